"""Sums over slices of scores and outcomes, and tests of these sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibtool.data.rows import Rows
from calibtool.intervals.saddlepoint import excess, two_sided
from calibtool.metrics.cells import Cells, locate
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

    def count(self, mask: Array) -> Array:
        """Return (S,) numbers of rows of each slice among those of the mask."""
        return np.bincount(self.codes[mask], minlength=len(self.names))


class Sums:
    """Sums over slices of the rows' scores, outcomes and weights, and tests of these sums.

    Attributes:
        score, outcome, weights: (N,) float64.
        cluster: (N,) numbers of the clusters, or None.
        bin: (N,) number of each score's bin.
        centres: (B,) mean score of each bin.
    """

    def __init__(self, rows: Rows, view: str, cluster: Array | None) -> None:
        score, outcome = rows.view(view)
        self.score, self.outcome = score.astype(np.float64), outcome.astype(np.float64)
        self.weights = np.ones(len(score)) if rows.weights is None else rows.weights
        self.cluster = None if cluster is None else np.unique(cluster, return_inverse=True)[1]
        cells = Cells.from_rows(score, outcome)
        edges = equal_mass(cells, bins=BINS)
        self.bin = locate(score, edges)
        self.centres = cells.pool(edges).centres()

    def residual(self) -> Array:
        """Return (N,) weighted residuals, outcome - score."""
        return self.weights * (self.outcome - self.score)

    def enough(self, part: Grouping, mask: Array) -> Array:
        """Return (S,) whether each slice has enough clusters among the rows of the mask."""
        if self.cluster is None:
            return np.ones(len(part.names), bool)
        pairs = np.unique(part.codes[mask] * (self.cluster.max() + 1) + self.cluster[mask])
        count = np.bincount(pairs // (self.cluster.max() + 1), minlength=len(part.names))
        return np.asarray(count >= FEW_CLUSTERS)

    def p_values(self, part: Grouping, mask: Array) -> Array:
        """Return (S,) two-sided p-values of each slice, from the rows of the mask.

        With clusters, the larger of two p-values counts: that of independent outcomes, and that of
        Student's t with a cluster-robust standard error.
        """
        gap, count, _ = self._sums(part, mask)
        p = two_sided(gap, count, self.centres)
        if self.cluster is None:
            return p
        error, clusters = self._robust(part, mask)
        deviate = np.divide(gap, error, out=np.zeros_like(gap), where=error > 0)
        return np.maximum(p, _student(deviate, np.maximum(clusters - 1, 1)))

    def _sums(self, part: Grouping, mask: Array) -> tuple[Array, Array, Array]:
        """Return sums over each slice, in units of `_unit`.

        These are the (S,) sums of outcome - score, the (S, B) numbers of rows with a score in each
        bin, and the (S,) numbers of rows.
        """
        codes, size = part.codes[mask], len(part.names)
        w, bins = self.weights[mask], len(self.centres)
        mass = np.bincount(codes * bins + self.bin[mask], w, size * bins).reshape(size, bins)
        unit = self._unit(part, mask)
        gap = np.bincount(codes, self.residual()[mask], size) / unit
        return gap, mass / unit[:, None], mass.sum(axis=1) / unit

    def _unit(self, part: Grouping, mask: Array) -> Array:
        """Return (S,) sums of squared weights over sums of weights.

        Divided by it, a sum of weights is the effective number of rows (Kish 1965), so that
        weighted rows can be treated as that many rows of weight 1. It is 1 without weights.
        """
        w, size = self.weights[mask], len(part.names)
        total = np.bincount(part.codes[mask], w, size)
        squares = np.bincount(part.codes[mask], w * w, size)
        return np.divide(squares, total, out=np.ones(size), where=total > 0)

    def _robust(self, part: Grouping, mask: Array) -> tuple[Array, Array]:
        """Return the (S,) standard errors of the slices' sums and their (S,) numbers of clusters.

        The variance is that of the sums per cluster (Liang & Zeger 1986), and at least that of
        independent outcomes: from few clusters it may come out too small.
        """
        assert self.cluster is not None
        size, count = len(part.names), int(self.cluster.max()) + 1
        codes, w = part.codes[mask], self.weights[mask]
        pairs, at = np.unique(codes * count + self.cluster[mask], return_inverse=True)
        per_cluster, which = np.bincount(at, self.residual()[mask]), pairs // count
        clusters = np.bincount(which, minlength=size)
        sums = np.bincount(which, per_cluster, size)
        squares = np.bincount(which, per_cluster**2, size)
        divisor = np.maximum(clusters, 2)
        robust = np.maximum(squares - sums**2 / divisor, 0) * divisor / (divisor - 1)
        independent = np.bincount(codes, w * w * self.score[mask] * (1 - self.score[mask]), size)
        return np.sqrt(np.maximum(robust, independent)) / self._unit(part, mask), clusters

    def means(
        self, part: Grouping, k: int, mask: Array, level: float
    ) -> tuple[float, float, float, float]:
        """Return the mean score and mean outcome of slice `k`, and the interval of their gap."""
        alone = Grouping("", ("", "slice"), (part.codes == k).astype(np.int64))
        at = mask & (alone.codes == 1)
        w = self.weights[at]
        score, outcome = (float(w @ x[at] / w.sum()) for x in (self.score, self.outcome))
        gap, count, rows = (x[1:] for x in self._sums(alone, mask))
        low, high = excess(gap, count, self.centres, level)
        if self.cluster is not None:
            error, clusters = (x[1:] for x in self._robust(alone, mask))
            reach = _student_reach(level, clusters - 1) * error
            low, high = np.minimum(low, gap - reach), np.maximum(high, gap + reach)
        # the sums are of outcome - score, the gap is score - outcome
        return score, outcome, -float(high[0] / rows[0]), -float(low[0] / rows[0])


def _student(deviate: Array, freedom: Array) -> Array:
    """Return the two-sided p-values of Student's t (through the incomplete beta function)."""
    from scipy.special import betainc

    t = np.abs(deviate)
    return np.asarray(betainc(freedom / 2, 0.5, freedom / (freedom + t * t)))


def _student_reach(level: float, freedom: Array) -> Array:
    """Return the deviates of Student's t that leave 1 - level outside on both sides together."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(freedom, (1 + level) / 2))
