"""The mean of a metric over parts of the rows, such as the labels of multi-label rows (the macro
average), with an interval.

The parts of one row of a file are drawn together, as every prediction of the row has the row's
weight. A mean of one value per row is then a weighted mean, in which every part has the same total
weight. A binned error is that of one profile with the bins of all parts, as the errors of the
classes are, except that a part has rows of its own. It is never below the mean of the parts'
absolute mean gaps, and its upper end reaches as far as shifts of all parts that these do not refute
(`intervals.shift`). Of other metrics the mean has no interval: none is known to cover.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.errors import CalibtoolError
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.binned import of_problems
from calibtool.evaluation.collect import Collected
from calibtool.evaluation.drawn_problems import BinaryProblem
from calibtool.evaluation.evaluate import RowResults, evaluate_rows
from calibtool.evaluation.profile_errors import SharedProfiles
from calibtool.evaluation.request import Request
from calibtool.evaluation.results import estimate_of
from calibtool.intervals import shift
from calibtool.intervals.drawn_sums import drawn_sums
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.spec import ONE_SCORE, Spec
from calibtool.types import Array

# Binned errors whose mean has an interval that covers (benchmarks/macro.py). That of RMSCE covers
# less where only some of the parts are off.
COVERING = ("ece", "ada-ece", "mce")


class PartProblems(RowProblems):
    """The parts of the rows, each of which is a binary problem in a view of one score."""

    def __init__(self, variant: Collected, view: str, part: Array) -> None:
        super().__init__(variant, view)
        self.part, self.keys = part, np.unique(part)

    def problem(self, index: int) -> BinaryProblem:
        """Return the binary problem of a part."""
        at = np.flatnonzero(self.part == self.keys[index])
        weights = None if self.weights is None else self.weights[at]
        return BinaryProblem(self.score[at], self.outcome[at], weights, at)


def means_over_parts(
    request: Request, rows: Predictions, part: Array, means: Sequence[Estimate]
) -> tuple[Estimate, ...]:
    """Return means over parts with their intervals, where there are any.

    Args:
        request: the metrics, and how intervals are made.
        rows: the rows of all parts.
        part: (N,) the number of each row's part, from 0; every part has rows.
        means: of each metric, over the parts, without intervals.
    """
    specs = [spec for spec, mean in zip(request.specs, means, strict=True) if _covers(spec, mean)]
    if request.resampling.ci != "inverted" or not specs:
        return tuple(means)
    plain = [spec for spec in specs if _is_mean(spec)]
    binned = [spec for spec in specs if not _is_mean(spec)]
    rows, part = _alike(rows, part)
    measured = replace(request, predictions=rows, specs=tuple(plain), bias=False)
    try:
        results = evaluate_rows(measured)
    except CalibtoolError:  # what cannot be measured is said of all rows and of each part
        return tuple(means)
    if results.settings.draws is None or results.no_intervals:
        return tuple(means)
    found = dict(zip((spec.name for spec in measured.specs), results.estimates(), strict=True))
    found |= _binned(binned, results, part)
    return tuple(
        replace(
            mean,
            corrected=found[mean.name].corrected,
            low=found[mean.name].low,
            high=found[mean.name].high,
            error=found[mean.name].error,
            p_value=found[mean.name].p_value,
        )
        if mean.name in found
        else mean
        for mean in means
    )


def _covers(spec: Spec, mean: Estimate) -> bool:
    """Return whether the mean of a metric has an interval."""
    if mean.value is None or not np.isfinite(mean.value):
        return False
    return _is_mean(spec) or (spec.metric.name in COVERING and spec.view in ONE_SCORE)


def _is_mean(spec: Spec) -> bool:
    """Return whether a metric is the mean of one value per row."""
    return spec.is_mean or spec.metric.name == "bias"


def _alike(rows: Predictions, part: Array) -> tuple[Predictions, Array]:
    """Return the rows that count, with weights of which every part has the same sum, and their
    parts, numbered from 0."""
    if rows.weights is not None:
        some = rows.weights > 0
        rows, part = rows.take(some), part[some]
    part = np.unique(part, return_inverse=True)[1]
    own = np.ones(rows.rows) if rows.weights is None else rows.weights
    total = np.bincount(part, own)
    if rows.weights is None and (total == total[0]).all():
        return rows, part
    return replace(rows, weights=own * (total.mean() / total)[part]), part


def _binned(specs: Sequence[Spec], results: RowResults, part: Array) -> dict[str, Estimate]:
    """Return binned errors, averaged over the parts."""
    shared, finishes = SharedProfiles(), []
    reach = {view: _farthest(results, view, part) for view in {spec.view for spec in specs}}
    for spec in specs:
        problems = PartProblems(results.collected[0], spec.view, part)
        averaged = replace(spec, view="class")  # the view in which problems are averaged
        finishes.append(of_problems(averaged, problems, results.settings, shared))
    estimates = {}
    for spec, finish in zip(specs, finishes, strict=True):
        one = estimate_of(spec, finish(None), results.settings, results.data)
        high = None if one.high is None else max(one.high, reach[spec.view])
        estimates[spec.name] = replace(one, high=high)
    return estimates


def _farthest(results: RowResults, view: str, part: Array) -> float:
    """Return the mean over the parts of the largest shifts of their scores that the mean gaps do
    not refute: their noise is that of the replicates, as parts of one row are correlated."""
    draws, rows = results.settings.draws, results.collected[0].rows
    assert draws is not None
    score, outcome = rows.view(view)
    weight = np.ones(len(part)) if rows.weights is None else rows.weights
    columns = [weight, weight * (outcome - score.astype(np.float64))]
    size = int(part.max()) + 1
    at = np.arange(len(part))
    mass, gaps = drawn_sums(at, part, size, columns, draws, results.settings.threads)
    seen = np.bincount(part, columns[1]) / np.bincount(part, weight)
    some = (mass > 0).all(axis=1)  # of few rows, a replicate may draw none
    noise = (gaps[some] / mass[some] - seen).T
    ones = np.ones(size)
    shifts = shift.largest_of_many(
        seen, noise, lambda _: ones, lambda values: values.mean(axis=0), results.settings.level
    )
    return float(np.abs(shifts).mean())
