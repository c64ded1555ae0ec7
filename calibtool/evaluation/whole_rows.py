"""Metrics of class counts, of whole rows of probabilities, and of two files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calibtool.data.rows import Rows
from calibtool.errors import NotAvailableError
from calibtool.evaluation.binary_problems import FINE
from calibtool.evaluation.collect import Collected
from calibtool.evaluation.measurement import Finish, Measurement, Settings, Sums
from calibtool.intervals.draws import drawn_sums
from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import CountMetric, Counts, MatrixMetric, TwoFileMetric
from calibtool.metrics.profiles import equal_mass
from calibtool.metrics.spec import Spec
from calibtool.types import Array

MOST_DRAWN = 1 << 28  # values of drawn weights that are held for a metric of whole rows


def of_counts(spec: Spec, metric: CountMetric, rows: Rows, settings: Settings) -> Finish:
    """Shares by class and the mean of a value a row, now and in every replicate."""
    labels, predicted = rows.labels, rows.predicted
    if labels is None or predicted is None:
        raise NotAvailableError("needs whole probability rows")
    size = 1 + int(max(labels.max(), predicted.max()))
    value = np.zeros(len(labels)) if metric.rows is None else metric.rows(rows)
    weight = _weight(rows)
    with np.errstate(invalid="ignore"):
        weighted = np.where(weight > 0, weight * value, 0)
    hit = weight * (labels == predicted)

    def counts(sums: Callable[[Array, Array, int], Array]) -> Counts:
        total = sums(np.zeros(len(labels), np.int64), weight, 1)
        mean = sums(np.zeros(len(labels), np.int64), weighted, 1)[..., 0] / total[..., 0]
        label, said, right = (
            sums(where, column, size) / total
            for where, column in ((labels, weight), (predicted, weight), (labels, hit))
        )
        return Counts(label, said, right, mean)

    found = float(metric.of(counts(np.bincount), **spec.options))
    if np.isnan(found):
        raise NotAvailableError("not defined on these data")

    def finish(sums: Sums) -> Measurement:
        draws = settings.draws
        if draws is None or not np.isfinite(found):
            return Measurement(found)
        every = np.arange(len(labels))

        def drawn(at: Array, column: Array, size: int) -> Array:
            return drawn_sums(every, at, size, [column], draws, settings.threads)[0]

        with np.errstate(invalid="ignore", divide="ignore"):
            return Measurement(found, replicates=metric.of(counts(drawn), **spec.options))

    return finish


def of_matrix(spec: Spec, metric: MatrixMetric, system: Collected, settings: Settings) -> Finish:
    """A function of whole rows, and its replicates where it has a way to them."""
    probs, rows = system.probs, system.rows
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
        return Measurement(value, replicates=metric.replicates(wide, labels, drawn, **spec.options))

    return finish


def of_other(
    spec: Spec, metric: TwoFileMetric, rows: Rows, other: Rows | None, settings: Settings
) -> Finish:
    """How well a score tells the rows from those of a second file; drawn apart in replicates."""
    if other is None:
        raise NotAvailableError("needs a second file: --ood FILE")
    score = [metric.scores(found, **spec.options) for found in (rows, other)]
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
        rng = np.random.Generator(np.random.SFC64([draws.seed, 8]))
        # rows of equal weight that are as informative as those of a cell, drawn as one
        y, n = (
            rng.poisson(mass * w.sum() / (w @ w), size) * ((w @ w) / w.sum())
            for mass, w in zip((coarse.y, coarse.n - coarse.y), weights, strict=True)
        )
        drawn = metric.of(Cells(coarse.at, y + n, (y + n) * coarse.centres(), y))
        return Measurement(value, replicates=drawn + (value - float(metric.of(coarse))))

    return finish


def _weight(rows: Rows) -> Array:
    return np.ones(len(rows.confidence)) if rows.weights is None else rows.weights
