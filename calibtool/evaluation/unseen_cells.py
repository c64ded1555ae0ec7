"""The unseen row of metrics of cells.

It falls into one of the fine cells of a view's only problem, with either outcome
(`intervals.unseen`). A cell stands for as many rows as its weight is informative, and the row
weighs as one of those.

Where many rows of both outcomes were seen, and many that the score did not announce, one row moves
a metric by no more than its influence, the derivative by the row's weight: then it is added to the
replicates. With fewer, every replicate is computed again with the row in it, six times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from calibtool.evaluation.fine_cells import Fine
from calibtool.intervals import bootstrap, unseen
from calibtool.intervals.draws import Draws
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics.cells import Cells
from calibtool.types import Array

# Rows of an outcome, or surprising ones, from which a row's influence is good enough for its
# effect: with 36, ends differ by at most 2 % of the interval (8 % for the slope), with 15 by 26 %.
MANY = 50


@dataclass(frozen=True, eq=False)
class UnseenCell:
    """One kind of unseen row, in every replicate.

    Attributes:
        outcome: 1 or 0.
        at: (R,) its cell.
        weight: (R,) its weight.
    """

    outcome: int
    at: Array
    weight: Array

    def added(self, cells: Cells) -> Cells:
        """Return the cells of every replicate, (R, C), with the row in them."""
        n, y = cells.n.copy(), cells.y.copy()
        rows = np.arange(len(n))
        n[rows, self.at] += self.weight
        y[rows, self.at] += self.weight * self.outcome
        # the row is placed where its cell is, which keeps the cell's mean score
        return Cells(cells.at, n, n * cells.centres(), y)


def unseen_cells(fine: Fine, draws: Draws, mass: Array | None = None) -> list[UnseenCell]:
    """Return the six kinds of unseen row.

    Args:
        fine: the cells.
        draws: the replicates.
        mass: (R,) weight of the unseen row before it is drawn, such as that of a whole cluster;
            None for that of a row of its cell.
    """
    cells, informative = fine.cells, fine.rows_per_weight
    count = np.maximum(cells.n, 0) * informative
    drawn = unseen.weights(draws)
    return [
        UnseenCell(
            kind.outcome, kind.at, drawn * (1 / informative[kind.at] if mass is None else mass)
        )
        for kind in unseen.kinds(np.clip(cells.centres(), 0, 1), count, draws)
    ]


def beyond_cuts(cuts: Sequence[float], fine: Fine, row: UnseenCell) -> list[UnseenCell]:
    """Return the kinds of unseen row of a metric that jumps at cuts: next to a cut, with either
    outcome, on a side where few rows were seen, or none.

    A row like those that were seen would say that there are none on that side.

    Args:
        cuts: the scores at which the metric jumps, where cells end.
        fine: the cells.
        row: an unseen row that is like any of those that were seen, whose weight it has.
    """
    at, rows = fine.cells.at, np.maximum(fine.cells.n, 0) * fine.rows_per_weight
    found = []
    for cut in cuts:
        first = int(np.searchsorted(at, cut, side="right"))
        for cell, seen in ((first - 1, rows[:first].sum()), (first, rows[first:].sum())):
            if 0 <= cell < len(at) and seen < MANY:
                where = np.full(len(row.weight), cell)
                found += [UnseenCell(outcome, where, row.weight) for outcome in unseen.OUTCOMES]
    return found


def few_of(fine: Fine) -> list[tuple[int, Array]]:
    """Return which cells have few rows of an outcome: pairs of the outcome and a mask, (C,).

    Few are fewer than MANY rows of an outcome, or fewer than MANY surprises, which are rows with a
    score above 1/2 and the outcome 0, or the other way round: a handful of them can be all that a
    metric depends on.
    """
    low = fine.cells.centres() < 0.5
    rows = _rows(fine, 0), _rows(fine, 1)
    surprising = surprises(fine) < MANY
    found = []
    for outcome, surprise in enumerate((~low, low)):
        if rows[outcome].sum() < MANY:
            found.append((outcome, np.ones(len(low), bool)))
        elif surprising:
            found.append((outcome, surprise))
    return found


def surprises(fine: Fine) -> float:
    """Return how many rows have a score above 1/2 and the outcome 0, or the other way round."""
    low = fine.cells.centres() < 0.5
    return float(_rows(fine, 0)[~low].sum() + _rows(fine, 1)[low].sum())


def _rows(fine: Fine, outcome: int) -> Array:
    """Return how many rows of each cell have an outcome, as many as their weight is informative."""
    mass = fine.cells.y if outcome else fine.cells.n - fine.cells.y
    return np.maximum(mass, 0) * fine.rows_per_weight


def smoothed(cells: Cells, fine: Fine, draws: Draws) -> Cells:
    """Return the cells of every replicate, (R, C), with gamma weights where an outcome has few
    rows.

    `intervals.unseen.swapped` says why: k rows of a cell have the Gamma(k) weight of k Exp(1) rows.

    Args:
        cells: (R, C) the cells of every replicate.
        fine: the observed cells.
        draws: the replicates, of independent rows.
    """
    ones, zeros = cells.y, cells.n - cells.y
    informative = fine.rows_per_weight
    for outcome, where in few_of(fine):
        rng = generator(Stream.UNSEEN, draws.seed, 8 + outcome)
        drawn = rng.standard_gamma(_rows(fine, outcome), cells.n.shape) / informative
        ones = np.where(where, drawn, ones) if outcome else ones
        zeros = zeros if outcome else np.where(where, drawn, zeros)
    n = ones + zeros
    return Cells(cells.at, n, n * cells.centres(), ones)


def rarer(fine: Fine) -> float:
    """Return how many rows have the rarer outcome, as many as their weight is informative."""
    return min(float(_rows(fine, outcome).sum()) for outcome in unseen.OUTCOMES)


def influence(function: Callable[[Cells], Array], more: More) -> Array:
    """Return how much a metric grows with the weight of a row, for each outcome and cell, (2, C).

    A numerical derivative: the error of a one-sided one goes with the step, that of rounding with
    1e-16 / step.
    """
    both = [function(more.miss), function(more.hit)]
    return (np.array(both) - function(more.without)) / more.step


@dataclass(frozen=True, eq=False)
class More:
    """Fine cells with a little more weight.

    Metrics that are asked of the same cells compute once what they share.

    Attributes:
        step: the weight.
        without: (C,) the cells without it.
        miss, hit: (C, C) the cells with it added to each of them, with an outcome of 0 and of 1.
    """

    step: float
    without: Cells
    miss: Cells
    hit: Cells

    @classmethod
    def of(cls, cells: Cells) -> More:
        """Add it to cells, (C,)."""
        size = len(cells.at)
        step = 1e-4 * max(float(cells.total) / size, 1e-300)
        centres = cells.centres()
        more = step * np.eye(size)
        without = Cells(cells.at, cells.n, cells.n * centres, cells.y)
        n = cells.n + more
        miss = Cells(cells.at, n, n * centres, np.broadcast_to(cells.y, n.shape))
        return cls(step, without, miss, miss.with_outcomes(cells.y + more))


def acceleration(function: Callable[[Cells], Array], fine: Fine, more: More) -> float:
    """Return BCa's acceleration (Efron 1987) by the influence of the rows of each outcome and
    cell."""
    effect = influence(function, more)
    rows = np.stack([fine.cells.n - fine.cells.y, fine.cells.y])
    some = np.isfinite(effect) & (rows > 0)
    return bootstrap.skewness(effect[some], rows[some])
