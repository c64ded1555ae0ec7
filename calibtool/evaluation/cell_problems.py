"""The binary problems of a view of a summary, redrawn as counts of its cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from calibtool.errors import WHOLE_ROWS, NotAvailableError
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.drawn_problems import of_rows_drawn
from calibtool.evaluation.fine_cells import FINE, Fine, cut
from calibtool.evaluation.perfect import Null
from calibtool.evaluation.unseen_classes import UnseenOfClasses
from calibtool.intervals.draws import Draws
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics.cells import Cells
from calibtool.streaming.summary import Summary, in_bins
from calibtool.types import Array


class CellProblems(RowProblems):
    """The binary problems of a view of a summary. What `RowProblems` draws row by row is drawn
    here as counts: a cell's positive and negative outcomes are Poisson, the bootstrap of counts."""

    def __init__(self, summary: Summary, view: str) -> None:
        # of many classes a summary keeps bins of each class; fine cells are on a coarser grid
        name = "class-grid" if view == "class" and in_bins(summary.shape) else view
        if not summary.has(name):
            raise NotAvailableError(lacking_view(summary, view))
        cells = summary.cells(name)
        self.ends = cells.at
        n, p, y, squares = (
            x.reshape(-1, len(cells.at)) for x in (cells.n, cells.p, cells.y, summary.squares(name))
        )
        self.keys = np.arange(len(n)) if view != "label" else np.flatnonzero(n.sum(axis=1) > 0)
        row = np.divide(squares, n, out=np.ones(n.shape), where=n > 0)
        rows = row if summary.weighted else np.ones((len(n), 1))
        self._cells = [Cells(cells.at, n[k], p[k], y[k], rows[k]).occupied() for k in self.keys]
        self._squares = [squares[k][n[k] > 0] for k in self.keys]
        # two classes are the same rows, seen from either side: they are drawn once and mirrored
        self._twins = view == "class" and len(n) == 2
        weights = np.zeros(0) if summary.weighted else None
        self._begin(view, weights)

    def exact(self, index: int) -> Cells:
        """Return a problem's cells, as fine as the summary keeps them."""
        return self._cells[index]

    def null(self, edges: Sequence[Array], bins: int, draws: Draws) -> Null:
        """Return None: cells do not know single rows."""
        del edges, bins, draws
        return None

    def unseen_rows(self, draws: Draws) -> list[UnseenOfClasses] | None:
        """Return None: of several classes, cells do not know which rows they share."""
        del draws
        return None

    def first_row(self, index: int, score: float, outcome: int) -> int | None:
        """Return None: cells do not know which row is where."""
        del index, score, outcome
        return None

    def by_weight(self, index: int) -> Cells:
        """Return a problem's cells, which know the mean weight of a row in each."""
        return self._cells[index]

    def rows(self) -> float:
        """Return the number of equally weighted rows that would be as informative."""
        # every class has all rows, a predicted class only its own
        every = range(1) if self.view == "class" else range(len(self))
        total = sum(float(self._cells[k].total) for k in every)
        return total**2 / sum(float(self._squares[k].sum()) for k in every)

    def binned(
        self, edges: Sequence[Array], draws: Draws, threads: int
    ) -> Iterator[tuple[Array, Array]]:
        """Yield each problem's weights and outcomes by bin in every replicate, (R, bins) each; the
        edges are those of each problem."""
        for index, ends in enumerate(edges):
            pooled = self.exact(index).pool(ends)
            informative = self._rows_per_weight(index, ends, pooled)
            yield self._drawn(pooled, informative, draws, Stream.CELL_BINS, index)

    def rows_by_bin(self, index: int, edges: Array) -> Array:
        """Return the effective number of rows of each bin of a problem (Kish 1965), (bins,)."""
        pooled = self.exact(index).pool(edges)
        return pooled.n * self._rows_per_weight(index, edges, pooled)

    def bootstrapped(
        self, draws: Draws, threads: int, tick: Callable[[float], None]
    ) -> Iterator[Cells]:
        """Yield each problem's fine cells in every replicate: (R, C)."""
        for index, fine in enumerate(self.fine):
            columns = self._drawn(
                fine.cells, fine.rows_per_weight, draws, Stream.CELL_CURVES, index
            )
            n, y = of_rows_drawn(columns)
            tick((index + 1) / len(self))
            yield Cells(fine.cells.at, n, n * fine.cells.centres(), y, fine.cells.row)

    def column(self, edges: Array, draws: Draws) -> tuple[Array, Array]:
        """Return gaps and masses by bin of the only problem in every replicate, as shares of all
        weight: (R, bins) each.

        They are drawn in fine cells that also end at the edges: a bin as a whole has no spread of
        scores, so that drawing bins would lose the part of a gap's variance that comes from it.
        """
        exact = self.exact(0)
        ends = np.union1d(cut(exact, FINE), edges)
        fine = exact.pool(ends)
        n, y = self._drawn(fine, self._rows_per_weight(0, ends, fine), draws, Stream.CELL_COLUMN, 0)
        starts = np.searchsorted(ends, np.append(0.0, edges[:-1]), side="right")
        gap, mass = (np.add.reduceat(x, starts, axis=1) for x in (y - n * fine.centres(), n))
        total = mass.sum(axis=1, keepdims=True)
        some = total[:, 0] > 0  # of a few rows, a replicate may draw none
        return gap[some] / total[some], mass[some] / total[some]

    def widen(self) -> None:
        """Join cells two by two, counted from the upper end, which stays at 1."""
        wider = self.ends[(len(self.ends) + 1) % 2 :: 2]
        self._cells = [cells.pool(wider).occupied() for cells in self._cells]

    def truth(self, s: float) -> list[Cells]:
        """Return each problem's cells if candidate `s` is true and nothing is left to chance."""
        return [fine.truth(s) for fine in self.fine]

    def simulated(self, s: float, draws: Draws, threads: int) -> Iterator[Cells]:
        """Yield each problem's fine cells in data sets drawn under candidate `s`: (R, C)."""
        for index, fine in enumerate(self.fine):
            yield self.redrawn(index, fine.rate(s), draws)

    def redrawn(self, index: int, rate: Array, draws: Draws) -> Cells:
        """Return a problem's fine cells in data sets whose outcomes have these rates, (C,):
        (R, C)."""
        if not self._twins or index == 1:
            return super().redrawn(index, rate, draws)
        # class 0 is class 1 with scores 1 - s in reverse order, and outcomes that are its misses
        other = super().redrawn(1, 1 - rate[::-1], draws)
        at, n = self.fine[0].cells.at, other.n[:, ::-1]
        row = self.fine[0].cells.row
        return Cells(at, n, n * self.fine[0].cells.centres(), n - other.y[:, ::-1], row)

    def prepare(self, draws: Draws, threads: int) -> None:
        """Draw the scores of the simulated data sets."""
        if not self._resampled:
            for index, fine in enumerate(self.fine):
                columns = self._drawn(
                    fine.cells, fine.rows_per_weight, draws, Stream.CELL_SCORES, index
                )
                self._add_resampled(index, of_rows_drawn(columns)[0])

    def _fine(self, index: int, count: int) -> Fine:
        exact = self.exact(index)
        if not len(exact.at):  # a class that no row is predicted as, or that scores nothing
            raise NotAvailableError("a class has no rows")
        ends = np.union1d(cut(exact, count), self._kept)
        if self._twins and index == 0:  # the mirror image of the cells of class 1
            ends = np.union1d(cut(self.exact(1), count), self._kept)
            ends = np.append(1 - ends[-2::-1], 1.0)
        cells = exact.pool(ends)
        return Fine(cells, np.zeros(0), self._rows_per_weight(index, ends, cells))

    def _rows_per_weight(self, index: int, ends: Array, cells: Cells) -> Array:
        """Return, for each cell, the number of equally weighted rows that are as informative as a
        unit of its weight: sum(w) / sum(w**2)."""
        exact, squares = self.exact(index), self._squares[index]
        summed = Cells(exact.at, squares, squares, squares).pool(ends).n
        return np.divide(cells.n, summed, out=np.ones(len(summed)), where=summed > 0)

    def _drawn(
        self, cells: Cells, rows_per_weight: Array, draws: Draws, stream: Stream, index: int
    ) -> tuple[Array, Array]:
        """Return weights and outcomes by cell in every replicate, (R, C) each.

        Every cell has its own stream, so that its draws do not depend on which other cells there
        are; both sides of two classes use the same one.
        """
        positive = np.maximum(cells.y, 0) * rows_per_weight
        negative = np.maximum(cells.n - cells.y, 0) * rows_per_weight
        mirrored = self._twins and index == 0
        size = len(cells.at)
        drawn = np.empty((2, draws.replicates, size))
        for c in range(size):
            piece = (1, size - 1 - c) if mirrored else (index, c)
            rng = generator(stream, draws.seed, *piece)
            for which in (1, 0) if mirrored else (0, 1):
                mean = (positive, negative)[which][c]
                drawn[which, :, c] = rng.poisson(mean, draws.replicates) / rows_per_weight[c]
        return drawn.sum(axis=0), drawn[0]


def lacking_view(summary: Summary, view: str) -> str:
    """Return why a summary has no such view."""
    if summary.kind == "confidence" and view != "top":
        return WHOLE_ROWS
    return f"these cells keep no {view} view; make them with --metrics that need it"
