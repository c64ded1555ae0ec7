"""What calibrated probabilities imply of rows without labels.

Assumed is that the probabilities are calibrated on these rows. Then each row's label is a draw from
its probabilities, which gives the mean of every metric and how measured values would scatter. Rows
without labels cannot show whether the assumption holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from calibtool.analysis.evaluate import evaluate
from calibtool.analysis.trial import specs_of
from calibtool.calibrators.calibrator import Calibrator
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.data.rows import to_probs
from calibtool.evaluation.resampling import Resampling, require_resamples
from calibtool.intervals import bootstrap
from calibtool.intervals.streams import Stream, generator
from calibtool.parallel import cores, ordered
from calibtool.streaming.read import read as read_data
from calibtool.types import Array, Progress, Shown, silent

METRICS = ("accuracy", "brier", "nll", "ece")
DRAWS = 200  # of all labels: the ends of a range are then known to a tenth of its width


@dataclass(frozen=True)
class ImpliedMetric:
    """A metric without labels.

    Attributes:
        name: of the metric.
        value: its mean if the labels are drawn from the probabilities.
        low, high: the range in which it would be measured on these rows, in `level` of all cases.
        measured: the value with the labels of the file; None if it has none.
    """

    name: str
    value: float
    low: float
    high: float
    measured: float | None = None

    @property
    def off(self) -> bool:
        """Whether the measured value lies outside the range."""
        return self.measured is not None and not self.low <= self.measured <= self.high


@dataclass(frozen=True)
class Implied(Shown):
    """Metrics that calibrated probabilities imply.

    Attributes:
        data: the rows.
        calibrator: what they were calibrated with, in words; "" for nothing.
        level: share of the measurements that lie in the ranges.
        draws: how many times all labels were drawn.
        metrics: one entry per metric.
    """

    data: DataInfo
    calibrator: str
    level: float
    draws: int
    metrics: tuple[ImpliedMetric, ...]

    def __getitem__(self, name: str) -> ImpliedMetric:
        for metric in self.metrics:
            if metric.name == name:
                return metric
        known = ", ".join(metric.name for metric in self.metrics)
        raise KeyError(f"no {name!r} among the implied metrics; they are {known}")


def estimate(
    data: Any,
    calibrator: Calibrator | None = None,
    *,
    resamples: int = DRAWS,
    level: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
    **keys: Any,
) -> Implied:
    """Return the accuracy, Brier score, NLL and ECE that rows without labels have if their
    probabilities are calibrated.

    Args:
        data: all that `ct.read` takes. Labels are not used, but for what they measure.
        calibrator: applied to the rows first.
        resamples: how many times the labels of all rows are drawn from their probabilities.
        level, seed: of the ranges.
        progress: called with a stage and the share of it that is done.
        keys: which column has which role, as for `ct.load`.

    Raises UsageError for fewer than 20 draws.

    >>> import calibtool as ct
    >>> found = estimate(ct.Predictions.from_probs([0.9, 0.2, 0.7], None))
    >>> round(found["accuracy"].value, 6)
    0.8
    """
    require_resamples(resamples)
    Resampling("percentile", resamples, level, seed)  # checks the others
    rows: Predictions = read_data(data, need_labels=False, **keys).load()
    rows = rows if calibrator is None else calibrator(rows)
    specs = [specs_of(rows)[name] for name in METRICS]
    tick = progress or silent
    drawn: list[list[float]] = []
    one = partial(_measured, replace(rows, labels=None, correct=None), specs, seed)
    for done, values in enumerate(ordered(one, range(resamples), cores()), start=1):
        drawn.append(values)
        tick("drawing labels", done / resamples)
    known = rows.labels is not None or rows.correct is not None
    measured = _values(rows, specs) if known else [None] * len(specs)
    exact = _means(rows)
    metrics = []
    for name, values, seen in zip(METRICS, np.array(drawn).T, measured, strict=True):
        mean = exact.get(name, float(values.mean()))
        low, high = bootstrap.plain("percentile", mean, values, level)
        metrics.append(ImpliedMetric(name, mean, low, high, seen))
    title = "" if calibrator is None else calibrator.describe()
    return Implied(DataInfo.of(rows), title, level, resamples, tuple(metrics))


def _measured(rows: Predictions, specs: Sequence[str], seed: int, number: int) -> list[float]:
    """Return the metrics of rows whose labels are drawn."""
    rng = generator(Stream.IMPLIED, seed, number)
    uniform = rng.random(rows.rows)
    if rows.kind == "confidence":
        return _values(replace(rows, correct=uniform < rows.values), specs)
    # the label is the number of classes whose cumulated probability lies below a uniform number
    cumulated = to_probs(rows).matrix().cumsum(axis=1)[:, :-1]
    return _values(replace(rows, labels=(cumulated <= uniform[:, None]).sum(axis=1)), specs)


def _values(rows: Predictions, specs: Sequence[str]) -> list[float]:
    # one thread: the draws themselves are made in parallel
    report = evaluate(rows, ",".join(specs), ci="none", threads=1)
    return [np.nan if (value := report[spec].value) is None else value for spec in specs]


def _means(rows: Predictions) -> dict[str, float]:
    """Return the means that need no draws: of scores, which are means of rows."""
    if rows.kind == "confidence":
        right = np.minimum(rows.values.astype(np.float64), 1)
        p = np.stack([1 - right, right], axis=1)
        top = right
    else:
        p = to_probs(rows).matrix().astype(np.float64)
        top = p.max(axis=1)
    spread = 1 - (p**2).sum(axis=1)  # of K classes; two are one problem, and count half
    logs = np.log(np.where(p > 0, p, 1))
    each: dict[str, Array] = {
        "accuracy": top,
        "brier": spread / 2 if p.shape[1] == 2 else spread,
        "nll": -(p * logs).sum(axis=1),
    }
    return {name: float(np.average(x, weights=rows.weights)) for name, x in each.items()}
