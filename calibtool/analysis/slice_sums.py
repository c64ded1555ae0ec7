"""Sums over slices of scores and outcomes, and tests of these sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from calibtool.intervals.saddlepoint import excess, two_sided
from calibtool.metrics.cells import Cells, changes, lengths, locate
from calibtool.metrics.multicalibration import BLOCK
from calibtool.metrics.profiles import equal_mass
from calibtool.types import Array

# Bins of the scores, whose means stand for the scores in the saddlepoint approximation. Its cost
# grows with the bins, not with the rows; within 1/64 of the rows scores hardly differ.
BINS = 64
# A slice with fewer clusters in a half is not tested: the standard error from so few sums is too
# uncertain for Student's t to be accurate.
FEW_CLUSTERS = 20


@dataclass(frozen=True, eq=False)
class Grouping:
    """The slices by one column, or by a pair of columns.

    A search makes one for every column and for every two columns, so it holds less than a
    `Partition`.

    Attributes:
        by: the column, or the two.
        names: (S,) names of the slices.
        codes: (N,) number of each row's slice.
    """

    by: str
    names: Sequence[str]
    codes: Array

    @staticmethod
    def of(by: str, names: Sequence[str], codes: Array) -> Grouping:
        """Return a grouping that holds the codes in as few bytes as they need."""
        return Grouping(by, names, codes.astype(np.min_scalar_type(len(names))))

    def count(self) -> Array:
        """Return (S,) numbers of rows of each slice."""
        return np.bincount(self.codes, minlength=len(self.names))

    def take(self, index: Array) -> Grouping:
        """Return the slices of some of the rows, by their numbers or by a mask."""
        return replace(self, codes=self.codes[index])


@dataclass(frozen=True, eq=False)
class SliceSums:
    """Sums over each slice, in units of squared weights over weights.

    Divided by this unit, a sum of weights is the effective number of rows (Kish 1965), so that
    weighted rows can be treated as that many rows of weight 1. It is 1 without weights.

    Attributes:
        gap: (S,) sums of outcome - score.
        count: (S, B) numbers of rows with a score in each bin.
        rows: (S,) numbers of rows.
        error, clusters: (S,) standard errors of the sums, robust to clusters, and the numbers of
            clusters; None without clusters.
    """

    gap: Array
    count: Array
    rows: Array
    error: Array | None = None
    clusters: Array | None = None


@dataclass(frozen=True, eq=False)
class Sums:
    """Rows whose scores, outcomes and weights are summed over slices, and tests of these sums.

    Attributes:
        score: (N,) scores, in the precision of the predictions.
        outcome: (N,) outcomes.
        weights: (N,) float64, or None for 1 per row.
        cluster: (N,) numbers of the clusters, or None.
        bin: (N,) number of each score's bin.
        centres: (B,) mean score of each bin.
    """

    score: Array
    outcome: Array
    weights: Array | None
    cluster: Array | None
    bin: Array
    centres: Array

    @staticmethod
    def of(
        score: Array, outcome: Array, weights: Array | None = None, cluster: Array | None = None
    ) -> Sums:
        """Return the sums of rows; `cluster` holds the values of the clusters' column."""
        edges, centres = _binned(score)
        number = None if cluster is None else np.unique(cluster, return_inverse=True)[1]
        bins = locate(score, edges).astype(np.uint8)
        return Sums(score, outcome, weights, number, bins, centres)

    def take(self, index: Array | slice) -> Sums:
        """Return the sums of some of the rows, by their numbers or by a mask."""
        weights = None if self.weights is None else self.weights[index]
        cluster = None if self.cluster is None else self.cluster[index]
        score, outcome = self.score[index], self.outcome[index]
        return Sums(score, outcome, weights, cluster, self.bin[index], self.centres)

    @cached_property
    def residual(self) -> Array:
        """(N,) weighted residuals, outcome - score."""
        gap = np.subtract(self.outcome, self.score, dtype=np.float64)
        return gap if self.weights is None else np.multiply(gap, self.weights, out=gap)

    @property
    def variance(self) -> Array:
        """(N,) variances of the residuals if every score is the probability of its outcome."""
        score = self.score if self.weights is None else self.weights**2 * self.score
        other = np.subtract(1.0, self.score, dtype=np.float64)
        return np.multiply(score, other, out=other)

    def deviation(self, part: Grouping) -> Array:
        """Return (S,) standard deviations of each slice's sum of residuals, if every score is the
        probability of its outcome."""
        size = len(part.names)
        total: Array = np.zeros(size)
        for low in range(0, len(self.score), BLOCK):
            rows = slice(low, low + BLOCK)
            # the sums so far come first, so that they are to the bit those of all rows at once
            codes = np.concatenate([np.arange(size), part.codes[rows]])
            values = np.concatenate([total, self.take(rows).variance])
            total = np.bincount(codes, values, size)
        return np.sqrt(total)

    def enough(self, part: Grouping) -> Array:
        """Return (S,) whether each slice has enough clusters."""
        if self.cluster is None:
            return np.ones(len(part.names), bool)
        clusters = int(self.cluster.max(initial=0)) + 1
        pairs = np.unique(part.codes * np.int64(clusters) + self.cluster)
        count = np.bincount(pairs // clusters, minlength=len(part.names))
        return np.asarray(count >= FEW_CLUSTERS)

    def p_values(self, part: Grouping) -> Array:
        """Return (S,) two-sided p-values of each slice."""
        return self.p_values_of(self.over(part))

    def p_values_of(self, sums: SliceSums) -> Array:
        """Return (S,) two-sided p-values of sums over slices.

        With clusters, the larger of two p-values counts: that of independent outcomes, and that of
        Student's t with a cluster-robust standard error.
        """
        p = two_sided(sums.gap, sums.count, self.centres)
        if sums.error is None or sums.clusters is None:
            return p
        deviate = np.divide(sums.gap, sums.error, out=np.zeros_like(sums.gap), where=sums.error > 0)
        return np.maximum(p, _student(deviate, np.maximum(sums.clusters - 1, 1)))

    def over(self, part: Grouping) -> SliceSums:
        """Return the sums over each slice."""
        size, bins = len(part.names), len(self.centres)
        at = part.codes * np.int64(bins) + self.bin
        mass = np.bincount(at, self.weights, size * bins).reshape(size, bins)
        unit = self._unit(part)
        gap = np.bincount(part.codes, self.residual, size) / unit
        sums = SliceSums(gap, mass / unit[:, None], mass.sum(axis=1) / unit)
        if self.cluster is None:
            return sums
        error, clusters = self._robust(part, unit)
        return replace(sums, error=error, clusters=clusters)

    def _unit(self, part: Grouping) -> Array:
        """Return (S,) sums of squared weights over sums of weights, the unit of `SliceSums`."""
        w, size = self.weights, len(part.names)
        if w is None:
            return np.ones(size)
        total = np.bincount(part.codes, w, size)
        squares = np.bincount(part.codes, w * w, size)
        return np.divide(squares, total, out=np.ones(size), where=total > 0)

    def _robust(self, part: Grouping, unit: Array) -> tuple[Array, Array]:
        """Return the (S,) standard errors of the slices' sums and their (S,) numbers of clusters.

        The variance is that of the sums per cluster (Liang & Zeger 1986), and at least that of
        independent outcomes: from few clusters it may come out too small.
        """
        assert self.cluster is not None
        size, count = len(part.names), int(self.cluster.max(initial=0)) + 1
        pairs, at = np.unique(part.codes * np.int64(count) + self.cluster, return_inverse=True)
        per_cluster, which = np.bincount(at, self.residual), pairs // count
        clusters = np.bincount(which, minlength=size)
        sums = np.bincount(which, per_cluster, size)
        squares = np.bincount(which, per_cluster**2, size)
        divisor = np.maximum(clusters, 2)
        robust = np.maximum(squares - sums**2 / divisor, 0) * divisor / (divisor - 1)
        independent = np.bincount(part.codes, self.variance, size)
        return np.sqrt(np.maximum(robust, independent)) / unit, clusters

    def means(
        self, part: Grouping, k: int, sums: SliceSums, level: float
    ) -> tuple[float, float, float, float]:
        """Return the mean score and mean outcome of slice `k`, and the interval of their gap.

        `sums` are those over the slices of `part`.
        """
        at = np.flatnonzero(part.codes == k)
        w = np.ones(len(at)) if self.weights is None else self.weights[at]
        score, outcome = (
            float(w @ column[at].astype(np.float64) / w.sum())
            for column in (self.score, self.outcome)
        )
        one = slice(k, k + 1)
        gap, rows = sums.gap[one], sums.rows[one]
        low, high = excess(gap, sums.count[one], self.centres, level)
        if sums.error is not None and sums.clusters is not None:
            reach = _student_reach(level, sums.clusters[one] - 1) * sums.error[one]
            low, high = np.minimum(low, gap - reach), np.maximum(high, gap + reach)
        # the sums are of outcome - score, the gap is score - outcome
        return score, outcome, -float(high[0] / rows[0]), -float(low[0] / rows[0])


def _binned(score: Array) -> tuple[Array, Array]:
    """Return the upper edges of BINS bins of equal mass, and the mean score of each."""
    at = np.sort(score)
    starts = changes(at)
    n, at = lengths(starts, len(at)), at[starts]
    del starts  # of millions of rows, the memory is needed
    edges = equal_mass(Cells(at, n, n, n), bins=BINS)
    mass = n * at  # where bins are centred needs no outcomes
    return edges, Cells(at, n, mass, n).pool(edges).centres()


def _student(deviate: Array, freedom: Array) -> Array:
    """Return the two-sided p-values of Student's t (through the incomplete beta function)."""
    from calibtool.intervals.special import betainc

    t = np.abs(deviate)
    return np.asarray(betainc(freedom / 2, 0.5, freedom / (freedom + t * t)))


def _student_reach(level: float, freedom: Array) -> Array:
    """Return the deviates of Student's t that leave 1 - level outside on both sides together."""
    from calibtool.intervals.special import stdtrit

    return np.asarray(stdtrit(freedom, (1 + level) / 2))
