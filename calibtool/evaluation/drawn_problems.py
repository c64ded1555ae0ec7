"""Binary problems, and sums of their drawn weights by cell, of several problems at a time.

To draw and to sort takes longer for a hundred problems of few rows than for all of them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from calibtool.intervals.drawn_sums import drawn_sums, weighted_ones
from calibtool.intervals.draws import Draws
from calibtool.metrics.cells import Cells
from calibtool.types import Array

# Rows of problems that are drawn together, and sums in all replicates: 8 MB each, about a cache.
_ROWS = 1 << 16
_SUMS = 1 << 20


class RowsInCells(NamedTuple):
    """The rows of a problem, each in one of its cells.

    Attributes:
        at: (n,) their positions in the file, increasing.
        where: (n,) the cell of each.
        size: the number of cells.
        columns: (n,) values each, of which the sums are wanted.
    """

    at: Array
    where: Array
    size: int
    columns: Sequence[Array]


@dataclass(frozen=True, eq=False)
class BinaryProblem:
    """Scores and outcomes of some rows; `rows` says which, None for all."""

    score: Array
    outcome: Array
    weights: Array | None
    rows: Array | None = None

    def cells(self, *, by_weight: bool = False) -> Cells:
        """Return one cell per distinct score, or per distinct score and weight."""
        return Cells.from_rows(self.score, self.outcome, self.weights, by_weight=by_weight)

    def in_cells(self, where: Array, size: int, *, outcome: bool = True) -> RowsInCells:
        """Return the rows, each in one of `size` cells, with their weights and, if wanted, their
        weighted outcomes."""
        weights = np.ones(len(where)) if self.weights is None else self.weights
        columns = [weights, weights * self.outcome] if outcome else [weights]
        at = np.arange(len(where)) if self.rows is None else self.rows
        return RowsInCells(at, where, size, columns)


def drawn_of_each(
    problems: Iterable[RowsInCells], draws: Draws, threads: int
) -> Iterator[list[Array]]:
    """Yield the sums of each problem, by cell and in every replicate, of drawn weight * value: for
    each column, (R, size). How many are drawn together changes no digit."""
    for some in _together(problems, draws):
        first = np.cumsum([0, *(one.size for one in some)])
        at = np.concatenate([one.at for one in some])
        where = np.concatenate([low + one.where for low, one in zip(first, some, strict=False)])
        columns = [np.concatenate(parts) for parts in zip(*(p.columns for p in some), strict=True)]
        sums = drawn_sums(at, where, int(first[-1]), columns, draws, threads)
        for low, high in pairwise(first):
            yield [np.ascontiguousarray(column[:, low:high]) for column in sums]


def of_rows_drawn(columns: Sequence[Array]) -> list[Array]:
    """Return drawn sums by cell, (R, C) each, with those of the next replicate where one drew none
    of the rows, of whose weights the first column is."""
    which = weighted_ones(columns[0].sum(axis=1))
    return [column[which] for column in columns]


def _together(problems: Iterable[RowsInCells], draws: Draws) -> Iterator[list[RowsInCells]]:
    """Yield the problems in runs that are drawn together: each alone where units are drawn, since
    the grid of their sums is that of all that are drawn together."""
    some: list[RowsInCells] = []
    for one in problems:
        rows = sum(len(other.at) for other in (*some, one))
        sums = draws.replicates * sum(other.size for other in (*some, one))
        if some and (draws.grouped or rows > _ROWS or sums > _SUMS):
            yield some
            some = []
        some.append(one)
    if some:
        yield some
