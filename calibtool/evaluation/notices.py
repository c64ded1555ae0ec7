"""Notices: what a reader should know about the data before the numbers, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from calibtool.data.rows import Rows
from calibtool.errors import NotAvailableError
from calibtool.evaluation.measurement import Measurement, Settings
from calibtool.evaluation.resampling import FEW_ROWS
from calibtool.formatting import counted
from calibtool.metrics.kinds import CountMetric, Score
from calibtool.metrics.registry import score_of
from calibtool.metrics.spec import Spec, parse

NO_WEIGHT = "all weights are zero; nothing can be measured"


def without_interval(specs: Sequence[Spec], measured: Sequence[Measurement]) -> Iterator[str]:
    """Yield the metrics that have no interval, by the reason why."""
    reasons: dict[str, list[str]] = {}
    for spec, measurement in zip(specs, measured, strict=True):
        if measurement.without:
            reasons.setdefault(measurement.without, []).append(spec.name)
    for reason, names in reasons.items():
        yield f"no interval for {', '.join(names)}: {reason}"


def too_few_rows(rows: int, settings: Settings) -> Iterator[str]:
    """Yield why there are no intervals, where the rows are too few for those that were asked
    for."""
    if rows < FEW_ROWS and settings.resampling.ci != "none":
        yield f"no intervals: {rows} rows, at least {FEW_ROWS} are needed"


def other_names(specs: Sequence[Spec]) -> Iterator[str]:
    """Yield the metrics that were asked for by another name than the one that they have here."""
    for spec in specs:
        if spec.alias:
            yield f"{spec.alias} is another name of {spec.metric.name}, and is reported as that"


def left_out_classes(specs: Sequence[Spec], names: Sequence[str] | None) -> Iterator[str]:
    """Yield the names of the classes that metrics leave out by their numbers, if they have any."""
    if names:
        for k in sorted({spec.without for spec in specs if spec.without is not None}):
            yield f"without={k} leaves out class {names[k]}"


def nlls(specs: Sequence[Spec], classes: int | None) -> Iterator[Spec]:
    """Yield the log-likelihoods that the metrics rest on: that of whole rows, and that of the
    confidence, which is another number unless there are two classes."""
    whole, top = parse("nll"), parse("nll(view=top)")
    logs = [
        spec
        for spec in specs
        if (isinstance(spec.metric, Score) and "log_prob" in spec.metric.needs)
        or (isinstance(spec.metric, CountMetric) and score_of(spec.metric) == "nll")
    ]
    if classes is not None and any(classes == 2 or not spec.view for spec in logs):
        yield whole
    if classes != 2 and any(spec.view == "top" for spec in logs):
        yield top


def infinite_nll(spec: Spec, rows: int, when: str, first: int | None = None) -> str:
    """Return the warning about infinite log-likelihoods.

    Args:
        spec: one of `nlls`.
        rows: how many rows have one.
        when: what was done to the rows, such as " after the calibrator".
        first: the number of the first of them, where the rows are at hand.
    """
    many = rows != 1
    if spec.view:
        fact = "refute a confidence of exactly 1" if many else "refutes a confidence of exactly 1"
    else:
        fact = f"{'give their' if many else 'gives its'} label a probability of 0"
    place = ""
    if first is not None:
        place = f" ({'the first is ' if many else ''}row {first}, counting from 0)"
    whose = "their" if many else "its"
    return (
        f"{counted(rows, 'row')} {fact}{when}{place}: {whose} NLL is infinite, and so is the mean"
    )


def infinite_nlls(rows: Rows, spec: Spec, when: str) -> Iterator[str]:
    """Yield how many rows have an infinite log-likelihood, and which is the first."""
    try:
        infinite = np.isinf(spec.of_rows(rows))
    except NotAvailableError:
        return
    if rows.weights is not None:
        infinite &= rows.weights > 0  # rows of weight 0 do not count
    at = np.flatnonzero(infinite)
    if len(at):
        yield infinite_nll(spec, len(at), when, int(at[0]))
