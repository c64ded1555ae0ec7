"""The null hypothesis: outcomes of the same scores, redrawn with the scores as probabilities.

Outcomes are redrawn per cell, not per row, so that the cost does not grow with the number of rows.
Weights are fixed numbers, not counts: only the outcome of each row is random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibtool.analysis.significance.result import CellStatistic, Observed, RedrawOptions
from calibtool.intervals.draws import GROUP
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics.cells import Cells
from calibtool.metrics.profiles import equal_mass, equal_width
from calibtool.types import Array

# Up to this many distinct scores each score is a cell. Beyond it cells are pooled, which bounds the
# replicates x cells that are redrawn at once (GROUP x 2,048 float64 values are 2 MiB).
EXACT = 2048
SCALES = 10  # T-Cal looks at 2, 4, ... 2^10 bins; the pooled cells end at the edges of all of them
# Relative difference within which two statistics are equal: sums in another order differ by less,
# and an observed value that is drawn again must count as "as large".
TIE = 1e-9

_MASS = 512  # cells of equal weight that scores are pooled into beyond EXACT
# A whole number of trials that rounding has put just below that number is still whole.
_ROUNDING = 1 + 1e-12


@dataclass(frozen=True, eq=False)
class Null:
    """Cells, and the distribution of their outcomes if the scores are the probabilities.

    The number of positive outcomes in a cell is binomial, with one trial per row. With weights the
    number of trials is the effective number of rows, (sum of weights)^2 / sum of squared weights
    (Kish 1965), and the outcomes are scaled to the mean and the variance of the weighted sum.

    Up to 2,048 distinct scores each score is a cell; with weights of 1 this is exact. With more
    scores the cells are pooled along 512 quantiles and all bin edges that any test uses, and the
    variance of the scores within a cell is neglected.

    Attributes:
        cells: (C,) observed cells.
        exact: observed cells with one cell per distinct score.
        trials: (C,) int64 number of binomial trials per cell.
        scale: (C,) weight of one positive outcome.
    """

    cells: Cells
    exact: Cells
    trials: Array
    scale: Array

    @classmethod
    def of(cls, score: Array, outcome: Array, weights: Array | None = None) -> Null:
        """Return the null hypothesis of (N,) scores and outcomes; rows of weight 0 are left out."""
        if weights is not None:
            positive = weights > 0
            score, outcome, weights = score[positive], outcome[positive], weights[positive]
        cells = squares = exact = Cells.from_rows(score, outcome, weights)
        if weights is not None:
            squares = Cells.from_rows(score, outcome, weights**2)
        if len(cells.at) > EXACT:
            grid = np.concatenate([np.arange(1, 2**SCALES + 1) / 2**SCALES, equal_width(cells)])
            edges = np.unique(np.concatenate([grid, equal_mass(cells, bins=_MASS)]))
            cells, squares = (sums.pool(edges).occupied() for sums in (cells, squares))
        return cls._worth(cells, squares.n, exact)

    @classmethod
    def _worth(cls, cells: Cells, squares: Array, exact: Cells) -> Null:
        """Return the null hypothesis of cells with (C,) sums of squared weights.

        With n the sum of weights and s that of squared weights, n^2 / s trials of weight s / n
        have the mean n q and the variance s q (1 - q) of the weighted sum of outcomes. As trials
        are whole numbers, the scale keeps the variance and `redrawn` centres the mean.
        """
        trials = np.floor(cells.n**2 / squares * _ROUNDING)
        return cls(cells, exact, trials.astype(np.int64), np.sqrt(squares / trials))

    def pool(self, edges: Array) -> Null:
        """Return the null hypothesis of cells pooled to upper edges; `exact` stays."""
        cells = self.cells.pool(edges)
        squares = replace(self.cells, n=self.scale**2 * self.trials).pool(edges).n
        return self._worth(cells.occupied(), squares[cells.n > 0], self.exact)

    def redrawn(self, rng: np.random.Generator, count: int, chance: Array | None = None) -> Cells:
        """Return the cells with redrawn outcomes, y of shape (count, C).

        Args:
            rng: the generator of their random stream.
            count: number of replicates.
            chance: (C,) probability of a positive outcome; None for the mean score of the cell.
        """
        chance = np.clip(self.cells.p / self.cells.n if chance is None else chance, 0, 1)
        hits = np.empty((count, len(chance)))
        # a single trial is a comparison of a uniform number, much faster than `binomial`
        single = self.trials == 1
        hits[:, single] = rng.random((count, int(single.sum()))) < chance[single]
        shape = (count, int((~single).sum()))
        hits[:, ~single] = rng.binomial(self.trials[~single], chance[~single], shape)
        y = self.cells.n * chance + self.scale * (hits - self.trials * chance)
        return replace(self.cells, y=y)

    def compare(
        self, statistics: Sequence[CellStatistic], options: RedrawOptions
    ) -> list[Observed]:
        """Return each statistic as observed, and its (resamples,) values for redrawn outcomes.

        All statistics see the same redrawn outcomes. These come in groups with a random stream
        each, so that the first ones do not depend on how many there are.
        """
        drawn: list[list[Array]] = [[] for _ in statistics]
        for low in range(0, options.resamples, GROUP):
            high = min(low + GROUP, options.resamples)
            cells = self.redrawn(generator(Stream.NULL, options.seed, low // GROUP), high - low)
            for statistic, parts in zip(statistics, drawn, strict=True):
                parts.append(statistic(cells))
            options.progress("redrawing outcomes", high / options.resamples)
        observed = [float(statistic(self.cells)) for statistic in statistics]
        return [(x, np.concatenate(parts)) for x, parts in zip(observed, drawn, strict=True)]


def monte_carlo(observed: float, drawn: Array) -> float:
    """Return the Monte Carlo p-value (Davison & Hinkley 1997, eq. 4.11).

    It is the share of the statistics, the observed one included, that are at least as large as the
    observed one. A redrawn statistic that cannot be computed (NaN) counts as larger, which keeps
    the p-value valid.

    >>> monte_carlo(2.0, np.array([1.0, 2.0, 3.0, np.nan]))
    0.8
    """
    slack = TIE * abs(observed) if np.isfinite(observed) else 0.0
    smaller = int((drawn < observed - slack).sum())
    return (len(drawn) - smaller + 1) / (len(drawn) + 1)
