"""Fine cells: the few hundred cells of a binary problem in which its replicates are drawn.

They hold about equal information. What a metric loses in them against exact cells is added back
(`CurveMetrics.replicates`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calibtool.intervals import inversion
from calibtool.intervals.observed import Observed
from calibtool.metrics.cells import Cells
from calibtool.types import Array

FINE = 256  # cells of the only problem of a view: more cost time and memory in every replicate
FINE_OF_MANY = 128  # cells of each of several problems
# Values of all replicates of all problems, which bounds memory (128 MB in float64): with more than
# 130 problems of 1,000 replicates, each has fewer cells, but never fewer than 16.
BUDGET = 1 << 24


def fine_count(problems: int) -> int:
    """Return how many fine cells each problem of a view has."""
    if problems == 1:
        return FINE
    return min(FINE_OF_MANY, max(BUDGET // (1000 * problems), 16))


@dataclass(frozen=True, eq=False)
class Fine:
    """The fine cells of a binary problem.

    Attributes:
        cells: (C,) the cells.
        where: the cell of each row; empty where there are only cells.
        rows_per_weight: (C,) for each cell, the number of equally weighted rows that are as
            informative as a unit of its weight.
    """

    cells: Cells
    where: Array
    rows_per_weight: Array

    @property
    def gap(self) -> Array:
        """The smoothed gap of each cell, (C,)."""
        return self._smoothed.delta

    @cached_property
    def _smoothed(self) -> Observed:
        """The gap as a curve over the cells, smoothed by a normal kernel (local means): observed
        in (C,) windows of as many rows as are as informative.

        Distance is the share of the information between two cells, so that the kernel is wide where
        there are few rows. Its width falls with the number of rows as rows**-0.2, the rate that
        balances bias and variance of a kernel estimate (Silverman 1986).
        """
        n = self.cells.n
        rank = np.cumsum(_information(self.cells)) - _information(self.cells) / 2
        # the factor: with 1,000 rows the kernel's standard deviation is 7.5 % of the information;
        # fewer than 10 rows count as 10
        width = 0.3 * max(float((n * self.rows_per_weight).sum()), 10.0) ** -0.2
        kernel = np.exp(-(((rank[:, None] - rank) / width) ** 2) / 2)
        mass = kernel @ n
        score = np.clip(kernel @ self.cells.p / mass, 0, 1)
        gap = kernel @ (self.cells.y - self.cells.p)
        squares = kernel**2 @ (n / np.maximum(self.rows_per_weight, 1e-300))
        return Observed(gap, mass, score, mass**2 / squares)

    def places(self, count: int) -> Array:
        """Return the place of each cell, (C,), among about `count` stretches of equal information:
        whole numbers that increase. Cells of other scores at the same place have the same one."""
        # `cut` ends cells close to multiples of 1 / count
        place = np.rint(np.cumsum(_information(self.cells)) * count).astype(np.int64)
        at = np.arange(len(place))
        return np.asarray(np.maximum.accumulate(place - at) + at)

    def truth(self, s: float) -> Cells:
        """Return cells whose outcomes are exactly the rates of candidate `s`."""
        n = self.cells.n
        return Cells(self.cells.at, n, self.cells.p, n * self.rate(s), self.cells.row)

    def rate(self, s: float) -> Array:
        """Return the outcome rate of each cell under candidate `s`: the scores at 0, the smoothed
        observed rates at 1."""
        return np.clip(self.cells.centres() + self.moved(s), 0, 1)

    def moved(self, s: float) -> Array:
        """Return the gap of each cell under candidate `s`, (C,).

        Up to 1, the least significant gaps go first (`inversion.concentrated`): of all truths that
        may lie behind the observed gap, those whose error is concentrated are the smallest, since
        noise adds most where there is no gap. Beyond 1, all gaps grow alike.
        """
        seen = self._smoothed
        # without any observed gap there is no direction: candidates pull the scores towards 1/2
        if np.abs(seen.delta).max() < 1e-9:
            return np.asarray(s * 0.01 * (0.5 - self.cells.centres()))
        if not 0 < s < 1:
            return s * seen.delta
        return np.asarray(seen.step * inversion.concentrated(seen.z, 1 - s))


def cut(cells: Cells, count: int) -> Array:
    """Return upper edges of at most `count` cells that hold about equal information."""
    if len(cells.at) <= count:
        edges = cells.at.astype(np.float64)
    else:
        cumulated = np.cumsum(_information(cells))
        # the last cell of each stretch; scaled down so that the sum's rounding opens no new one
        last = np.flatnonzero(np.diff(np.floor(cumulated * count * (1 - 1e-12))) >= 1)
        edges = cells.at[np.append(last, len(cells.at) - 1)].astype(np.float64)
    edges[-1] = 1.0
    return edges


def _information(cells: Cells) -> Array:
    """Return each cell's share of the information, half by weight, half by the variance that its
    outcomes should have: scores near 0 and 1 say little about gaps, though most rows are there."""
    mean = np.divide(cells.p, cells.n, out=np.zeros_like(cells.p), where=cells.n > 0)
    variance = cells.n * mean * (1 - mean)
    share = cells.n / cells.n.sum()
    if not variance.sum() > 0:
        return np.asarray(share)
    return np.asarray((share + variance / variance.sum()) / 2)


def design_effect(fine: Fine, n: Array, y: Array) -> float:
    """Return the design effect of a problem's gap over 1, 2, 4, 8 or 16 stretches of about equal
    information, whichever is the largest.

    Sums over long stretches vary most with clusters; which length does is not known beforehand.
    """
    rows = max(float((fine.cells.n * fine.rows_per_weight).sum()), 1.0)
    share = np.cumsum(_information(fine.cells))
    effects = [1.0]
    for count in (1, 2, 4, 8, 16):
        stretch = np.minimum((share * count * (1 - 1e-12)).astype(np.int64), count - 1)
        starts = np.flatnonzero(np.concatenate([[True], stretch[1:] != stretch[:-1]]))
        centres = fine.cells.centres()

        def sums(values: Array, starts: Array = starts) -> Array:
            return np.add.reduceat(values, starts, axis=-1)

        total = float(fine.cells.total)
        mass = sums(fine.cells.n)
        gap = sums(fine.cells.y - fine.cells.n * centres)
        score = np.divide(sums(fine.cells.n * centres), mass, where=mass > 0, out=0 * mass)
        whole = np.maximum(n.sum(axis=1, keepdims=True), 1e-300)
        drawn = sums(y - n * centres) / whole, sums(n) / whole
        profile = (gap / total, mass / total, score, *drawn)
        effects.append(inversion.design_effect(*profile, rows * mass / total))
    return max(effects)
