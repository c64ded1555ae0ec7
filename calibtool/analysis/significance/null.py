"""The null hypothesis: other outcomes for the same scores, drawn with the scores as probabilities.

Outcomes are redrawn by cell, not by row, so that the cost stops growing with the rows. Weights are
taken as given numbers, not as counts: what is uncertain is the outcome of each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibtool.analysis.significance.result import CellStatistic, Observed, RedrawOptions
from calibtool.intervals.draws import GROUP
from calibtool.metrics.cells import Cells
from calibtool.metrics.profiles import equal_mass, equal_width
from calibtool.types import Array

EXACT = 2048  # distinct scores up to which each is a cell
SCALES = 10  # numbers of bins 2, 4, ... 1,024 at most
TIE = 1e-9  # relative, within which two statistics are the same

_MASS = 512  # cells of equal weight, beyond
_ROUNDING = 1 + 1e-12  # a whole number of trials that rounding has put just below is still whole


@dataclass(frozen=True, eq=False)
class Null:
    """Cells, and how their outcomes fall if the scores are the probabilities.

    A cell's outcomes are binomial, of as many trials as it has rows; of weighted rows, of as many
    as are worth its sum of weights and of squared weights (Kish 1965), scaled to the same mean and
    variance. Up to 2,048 distinct scores each is a cell, and for weights of 1 that is exact;
    beyond, cells are pooled along 512 quantiles and all bin edges that any test uses, and the
    variance of scores within a cell is taken for 0.

    Attributes:
        cells: what was observed.
        exact: the same, a cell a distinct score.
        trials: (C,) of each cell.
        scale: (C,) what an outcome weighs.
    """

    cells: Cells
    exact: Cells
    trials: Array
    scale: Array

    @classmethod
    def of(cls, score: Array, outcome: Array, weights: Array | None = None) -> Null:
        """From rows; a row without weight is not there."""
        if weights is not None:
            some = weights > 0
            score, outcome, weights = score[some], outcome[some], weights[some]
        cells = squares = exact = Cells.from_rows(score, outcome, weights)
        if weights is not None:
            squares = Cells.from_rows(score, outcome, weights**2)
        if len(cells.at) > EXACT:
            grid = np.concatenate([np.arange(1, 2**SCALES + 1) / 2**SCALES, equal_width(cells)])
            edges = np.unique(np.concatenate([grid, equal_mass(cells, bins=_MASS)]))
            cells, squares = (occupied(one.pool(edges)) for one in (cells, squares))
        return cls._worth(cells, squares.n, exact)

    @classmethod
    def _worth(cls, cells: Cells, squares: Array, exact: Cells) -> Null:
        """Cells of these sums of squared weights."""
        trials = np.floor(cells.n**2 / squares * _ROUNDING)
        return cls(cells, exact, trials.astype(np.int64), np.sqrt(squares / trials))

    def pool(self, edges: Array) -> Null:
        """The same in fewer cells: sums of weights, and of squared weights."""
        cells = self.cells.pool(edges)
        squares = replace(self.cells, n=self.scale**2 * self.trials).pool(edges).n
        return self._worth(occupied(cells), squares[cells.n > 0], self.exact)

    def redrawn(self, key: Sequence[int], count: int, chance: Array | None = None) -> Cells:
        """The cells with other outcomes, (count, C), drawn with the scores or other chances."""
        random = generator(key)
        chance = np.clip(self.cells.p / self.cells.n if chance is None else chance, 0, 1)
        hits = np.empty((count, len(chance)))
        one = self.trials == 1
        hits[:, one] = random.random((count, int(one.sum()))) < chance[one]
        many = (count, int((~one).sum()))
        hits[:, ~one] = random.binomial(self.trials[~one], chance[~one], many)
        y = self.cells.n * chance + self.scale * (hits - self.trials * chance)
        return replace(self.cells, y=y)

    def compare(self, rules: Sequence[CellStatistic], how: RedrawOptions) -> list[Observed]:
        """Each statistic as observed, and for redrawn outcomes."""
        drawn: list[list[Array]] = [[] for _ in rules]
        for low in range(0, how.resamples, GROUP):
            high = min(low + GROUP, how.resamples)
            cells = self.redrawn([how.seed, low // GROUP], high - low)
            for rule, parts in zip(rules, drawn, strict=True):
                parts.append(rule(cells))
            how.progress("redrawing outcomes", high / how.resamples)
        observed = [float(rule(self.cells)) for rule in rules]
        return [(x, np.concatenate(parts)) for x, parts in zip(observed, drawn, strict=True)]


def generator(key: Sequence[int]) -> np.random.Generator:
    """The stream of a key."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(list(key))))


def occupied(cells: Cells) -> Cells:
    """Without the empty ones."""
    some = cells.n > 0
    return Cells(cells.at[some], cells.n[some], cells.p[some], cells.y[some])


def monte_carlo(observed: float, drawn: Array) -> float:
    """Share of the statistics, the observed one included, that are as large as it or larger
    (Davison & Hinkley 1997, eq. 4.11). What cannot be computed counts as larger.

    >>> monte_carlo(2.0, np.array([1.0, 2.0, 3.0, np.nan]))
    0.8
    """
    slack = TIE * abs(observed) if np.isfinite(observed) else 0.0
    smaller = int((drawn < observed - slack).sum())
    return (len(drawn) - smaller + 1) / (len(drawn) + 1)
