"""Metrics of class counts, of whole rows of probabilities, and of two files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from calibtool.data.rows import Rows
from calibtool.errors import NotAvailableError
from calibtool.evaluation.collect import Collected
from calibtool.evaluation.fine_cells import FINE
from calibtool.evaluation.measurement import Finish, Measurement, Settings, Sums
from calibtool.evaluation.unseen_rows import FewRows, UnseenRows, with_ends
from calibtool.intervals.drawn_sums import drawn_sums, weighted_ones
from calibtool.intervals.streams import Stream, generator
from calibtool.intervals.unseen import ends as of_kinds
from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import CountMetric, Counts, MatrixMetric, TwoFileMetric
from calibtool.metrics.profiles import equal_mass
from calibtool.metrics.spec import Spec
from calibtool.types import Array

# Values of drawn weights, float32, that a metric of whole rows may hold: 1 GiB. Beyond it, it has
# no interval.
MOST_DRAWN = 1 << 28


def of_counts(
    spec: Spec,
    metric: CountMetric,
    rows: Rows,
    settings: Settings,
    unseen: UnseenRows | None = None,
    few: FewRows | None = None,
) -> Finish:
    """Measure a metric of the shares by class, and of the mean of one value per row.

    Args:
        spec, metric: what is measured.
        rows: one value per row.
        settings: how it is measured.
        unseen: the rows of which an unseen one may be, or None.
        few: the rows that are drawn with Exp(1) weights where an unseen row is added.
    """
    labels, predicted = rows.labels, rows.predicted
    if labels is None or predicted is None:
        raise NotAvailableError("needs whole probability rows")
    size = 1 + int(max(labels.max(), predicted.max()))
    value = np.zeros(len(labels)) if metric.rows is None else metric.rows(rows)
    weight = _weight(rows)
    with np.errstate(invalid="ignore"):
        weighted = np.where(weight > 0, weight * value, 0)  # 0 * inf: rows of weight 0 do not count
    hit = weight * (labels == predicted)

    def counts(sums: Callable[[Array, Array, int], Array]) -> tuple[Counts, Array]:
        total = sums(np.zeros(len(labels), np.int64), weight, 1)
        mean = sums(np.zeros(len(labels), np.int64), weighted, 1)[..., 0] / total[..., 0]
        label, prediction, correct = (
            sums(classes, column, size) / total
            for classes, column in ((labels, weight), (predicted, weight), (labels, hit))
        )
        return Counts(label, prediction, correct, mean, rows.positive is not None), total[..., 0]

    observed = float(metric.of(counts(np.bincount)[0], **spec.options))
    if np.isnan(observed):
        raise NotAvailableError("not defined on these data")

    def finish(sums: Sums) -> Measurement:
        draws = settings.draws
        if draws is None or not np.isfinite(observed):
            return Measurement(observed)
        every_row = np.arange(len(labels))

        def drawn(at: Array, column: Array, size: int) -> Array:
            return drawn_sums(every_row, at, size, [column], draws, settings.threads)[0]

        with np.errstate(invalid="ignore", divide="ignore"):
            shares, total = counts(drawn)
            replicates = metric.of(shares, **spec.options)[weighted_ones(total)]
            measurement = Measurement(observed, replicates=replicates)
            if unseen is None or not settings.inverted:
                return measurement
            if few is not None:
                of_few = Counted(labels, predicted, value, weight).at(few.rows)
                shares, total = _with_few(shares, total, few.swapped, of_few)
            cases = [
                metric.of(_with_row(shares, total, case), **spec.options)
                for case in _count_cases(metric, unseen)
            ]
        ends = of_kinds(cases, settings.level, *spec.limits)
        return with_ends(measurement, ends, "unseen")

    return finish


@dataclass(frozen=True, eq=False)
class Counted:
    """What counts of some rows, (n,) each: label, predicted class, value and weight."""

    label: Array
    predicted: Array
    value: Array
    weight: Array

    def at(self, rows: Array) -> Counted:
        """Return the same of the rows at these positions."""
        columns = self.label, self.predicted, self.value, self.weight
        return Counted(*(column[rows] for column in columns))


def _with_few(counts: Counts, total: Array, swapped: Array, rows: Counted) -> tuple[Counts, Array]:
    """Return the counts of every replicate and their weight, with other weights of a few rows.

    `swapped`, (R, rows), is what is added to the rows' drawn weights.
    """
    added = swapped * rows.weight
    after = total + added.sum(axis=1)
    size = counts.label.shape[-1]

    def moved(shares: Array, of_class: Array, some: Array | float = 1.0) -> Array:
        member = (of_class[:, None] == np.arange(size)) * np.reshape(some, (-1, 1))
        # a difference of sums can fall below 0 by rounding
        return np.maximum((shares * total[:, None] + added @ member) / after[:, None], 0)

    finite = np.where(np.isfinite(rows.value), rows.value, 0)  # of rows of weight 0
    return replace(
        counts,
        label=moved(counts.label, rows.label),
        predicted=moved(counts.predicted, rows.predicted),
        correct=moved(counts.correct, rows.label, rows.label == rows.predicted),
        mean=(counts.mean * total + added @ finite) / after,
    ), after


def _count_cases(metric: CountMetric, unseen: UnseenRows) -> Iterator[Counted]:
    """Yield what the unseen row may be."""
    for one in unseen.labelled:
        labels, predicted = one.rows.labels, one.rows.predicted
        assert labels is not None
        assert predicted is not None
        value = np.zeros(len(labels)) if metric.rows is None else metric.rows(one.rows)
        finite = np.flatnonzero(np.isfinite(value))
        if len(finite):
            at = np.where(np.isfinite(value[one.at]), one.at, finite[one.at % len(finite)])
            yield Counted(labels[at], predicted[at], value[at], unseen.weight(at))


def _with_row(counts: Counts, total: Array, case: Counted) -> Counts:
    """Return the counts of every replicate with the unseen row."""
    size = 1 + int(max(case.label.max(), case.predicted.max(), counts.label.shape[-1] - 1))
    share = case.weight / (total + case.weight)

    def moved(shares: Array, at: Array, some: Array | float = 1.0) -> Array:
        out = np.zeros((len(shares), size))
        out[:, : shares.shape[-1]] = shares * (1 - share)[:, None]
        out[np.arange(len(out)), at] += share * some
        return out

    return replace(
        counts,
        label=moved(counts.label, case.label),
        predicted=moved(counts.predicted, case.predicted),
        correct=moved(counts.correct, case.label, case.label == case.predicted),
        mean=counts.mean + share * (case.value - counts.mean),
    )


def of_matrix(spec: Spec, metric: MatrixMetric, variant: Collected, settings: Settings) -> Finish:
    """Measure a function of whole rows, with replicates if the metric can compute them from drawn
    weights."""
    probs, rows = variant.probs, variant.rows
    if probs is None and metric.of_confidences is not None:
        found = metric.of_confidences(rows.confidence, rows.correct, rows.weights, **spec.options)
        return lambda sums: Measurement(found)
    if probs is None or rows.labels is None:
        raise NotAvailableError("needs whole probability rows")
    wide, labels = probs.astype(np.float64), rows.labels.astype(np.int64)
    value = metric.of(wide, labels, rows.weights, **spec.options)

    def finish(sums: Sums) -> Measurement:
        draws = settings.draws
        if draws is None or metric.replicates is None or draws.grouped:
            return Measurement(value)
        if len(labels) * draws.replicates > MOST_DRAWN:
            return Measurement(value)
        groups = [draws.weights(0, len(labels), group) for group in draws.groups]
        drawn = np.concatenate(groups, axis=1)
        if rows.weights is not None:
            drawn = drawn * rows.weights[:, None].astype(np.float32)
        drawn = drawn[:, weighted_ones(drawn.sum(axis=0))]
        return Measurement(value, replicates=metric.replicates(wide, labels, drawn, **spec.options))

    return finish


def of_two_files(
    spec: Spec, metric: TwoFileMetric, rows: Rows, other: Rows | None, settings: Settings
) -> Finish:
    """Measure how well a score separates the rows from those of a second file. In replicates the
    two files are drawn independently."""
    if other is None:
        raise NotAvailableError("needs a second file: --ood FILE")
    score = [metric.scores(file, **spec.options) for file in (rows, other)]
    weights = [_weight(rows), _weight(other)]
    here = np.arange(len(score[0]) + len(score[1])) < len(score[0])
    cells = Cells.from_rows(np.concatenate(score), here, np.concatenate(weights))
    value = float(metric.of(cells))
    weighted = rows.weights is not None or other.weights is not None

    def finish(sums: Sums) -> Measurement:
        draws = settings.draws
        if draws is None or draws.cluster is not None:
            return Measurement(value)
        if metric.interval and settings.inverted and not weighted:
            return Measurement(
                value, interval=metric.interval(cells, settings.level), method="delong"
            )
        coarse = cells.pool(equal_mass(cells, bins=FINE))
        size = (draws.replicates, len(coarse.at))
        rng = generator(Stream.TWO_FILES, draws.seed)
        # a cell is drawn as one Poisson count of equally weighted rows that are as informative
        y, n = (
            rng.poisson(mass * w.sum() / (w @ w), size) * ((w @ w) / w.sum())
            for mass, w in zip((coarse.y, coarse.n - coarse.y), weights, strict=True)
        )
        drawn = metric.of(Cells(coarse.at, y + n, (y + n) * coarse.centres(), y))
        return Measurement(value, replicates=drawn + (value - float(metric.of(coarse))))

    return finish


def _weight(rows: Rows) -> Array:
    """Return each row's weight, (N,)."""
    return np.ones(len(rows.confidence)) if rows.weights is None else rows.weights
