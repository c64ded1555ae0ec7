"""The fixed grid of cells on which rows of any number are counted.

Cells are 1/4,096 wide, nearer to 0 and 1 no wider than 1/128 of the distance to the end, down to
2**-16; and they end at every *named* edge, so that bins between named edges stay exact. In front of
them stands a finer grid of 65,536 intervals: a row finds its own by one multiplication, and only
rows that share one with a named edge are compared with that edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from calibtool.checks import Array
from calibtool.state.exact import MOST_ROWS, Exact, by_cell

FINEST = 1 << 16  # intervals of the finer grid
WIDTH = 1 << 12  # a cell is no wider than 1 / WIDTH
RELATIVE = 128  # nor than 1 / RELATIVE of its distance to the nearer end
NAMED = (10, 15, 20, 25, 30, 50, 100)  # numbers of equal-width bins whose edges are always named
_FLUSH = 1 << 20  # rows after which counts on the finer grid become cells


def named(*bins: int) -> tuple[float, ...]:
    """The inner edges of so many equal-width bins.

    >>> named(2, 4)
    (0.25, 0.5, 0.75)
    """
    return tuple(sorted({k / m for m in bins for k in range(1, m)}))


@lru_cache(maxsize=8)
def grid(edges: tuple[float, ...] = (), width: int = WIDTH) -> Grid:
    """The grid that ends cells at these edges too."""
    return Grid(edges, width)


class Grid:
    """Where cells end.

    Attributes:
        at: (C,) float64 upper ends of the cells, increasing, the last is 1.
        cell: (FINEST + 1,) the cell in which each finer interval ends.
    """

    def __init__(self, edges: Sequence[float] = (), width: int = WIDTH) -> None:
        ends = np.union1d(_ends(width), np.asarray(edges, np.float64))
        self.at: Array = ends[(ends > 0) & (ends <= 1)]
        self._inner = np.setdiff1d(np.asarray(edges, np.float64), _ends(FINEST))
        # the cell of each finer interval, by its upper end; the first holds 0 alone
        self.cell = np.searchsorted(self.at, np.arange(FINEST + 1) / FINEST)
        self._starts = np.flatnonzero(np.diff(self.cell, prepend=-1))
        self._shared: dict[Any, Array] = {}

    @property
    def size(self) -> int:
        """C, the number of cells."""
        return len(self.at)

    def shared(self, kind: Any) -> Array:
        """Which finer intervals are not inside one cell, for scores of one float type, and the
        two in which float32 scores would not add up exactly."""
        if kind not in self._shared:
            own = self._inner.astype(kind).astype(np.float64)
            out = np.zeros(FINEST + 1, bool)
            out[np.ceil(own * FINEST).astype(np.int64)] = True
            out[:2] = True
            self._shared[kind] = out
        return self._shared[kind]

    def locate(self, score: Array) -> Array:
        """The cell of each score, compared with the edges in the scores' own precision."""
        own = np.maximum.accumulate(self.at.astype(score.dtype))
        return np.minimum(np.searchsorted(own, score), len(own) - 1)

    def of_finer(self, sums: Array) -> Array:
        """Sums by finer interval to sums by cell."""
        out = np.zeros(self.size)
        out[self.cell[self._starts]] = np.add.reduceat(sums, self._starts)
        return out


def finer(score: Array) -> Array:
    """The finer interval of each score, int64 in [0, FINEST]; 0 for a score of 0."""
    wide = score if score.itemsize > 2 else score.astype(np.float32)
    scaled = wide * wide.dtype.type(FINEST)
    return np.ceil(scaled, out=scaled).astype(np.int64)


class Tally:
    """Counts rows into cells: scores and outcomes, block by block."""

    def __init__(self, where: Grid) -> None:
        self.grid = where
        zero = np.zeros(where.size)
        self.sums = {name: Exact.of(zero) for name in ("n", "p", "y")}
        self._held: list[tuple[Array, Array]] = []
        self._shared: Array | None = None
        self._lost: Array | None = None
        self._rows = 0
        self._clear()

    def add(self, score: Array, outcome: Array, weights: Array | None = None) -> None:
        """Count a block of at most MOST_ROWS // 2 rows.

        Args:
            score: (n,) floats in [0, 1].
            outcome: (n,) bool.
            weights: (n,) float64; with them, sums of squared weights are kept too.
        """
        if weights is not None:
            self._weighted(score, outcome, weights)
            return
        if self._held and score.dtype != self._held[0][0].dtype:
            self._count_held()
        self._held.append((score, outcome))
        if sum(len(held) for held, _ in self._held) > MOST_ROWS // 2:
            self._count_held()

    def _count_held(self) -> None:
        """Count what was held back: a few blocks at a time, since an array of all intervals is made
        each time."""
        if not self._held:
            return
        score, outcome = (np.concatenate(parts) for parts in zip(*self._held, strict=True))
        self._held = []
        shared = self.grid.shared(score.dtype)
        if self._rows + len(score) > _FLUSH or shared is not self._shared:
            self._flush()
            self._shared = shared
        at = finer(score)
        apart = np.flatnonzero(shared[at])
        if score.itemsize <= 4:
            mass = np.bincount(at, score, FINEST + 1)
        else:
            near = score.astype(np.float32)
            rest = np.rint((score - near) * 2.0**57) * 2.0**-57
            mass = np.bincount(at, near, FINEST + 1)
            lost = np.bincount(at, rest, FINEST + 1)
            self._lost = lost if self._lost is None else self._lost + lost
        key = at
        key <<= 1
        key |= outcome
        self._count += np.bincount(key, minlength=2 * FINEST + 2)
        self._mass += mass
        self._rows += len(score)
        self._apart.append((score[apart], outcome[apart]))

    def result(self) -> dict[str, Exact]:
        """Sums by cell of the weight "n", of w * score "p", of w * outcome "y" and, of weighted
        rows, of the squared weights "w2"."""
        self._count_held()
        self._flush()
        return self.sums

    def _clear(self) -> None:
        self._count = np.zeros(2 * FINEST + 2, np.int64)
        self._mass = np.zeros(FINEST + 1)
        self._lost = None
        self._rows = 0
        self._apart: list[tuple[Array, Array]] = []

    def _flush(self) -> None:
        """Counts by interval become counts by cell."""
        if not self._rows:
            return
        score, outcome = (np.concatenate(parts) for parts in zip(*self._apart, strict=True))
        for low in range(0, len(score), MOST_ROWS):
            self._one_by_one(score[low : low + MOST_ROWS], outcome[low : low + MOST_ROWS])
        assert self._shared is not None
        self._count.reshape(-1, 2)[self._shared] = 0  # those rows have been counted apart
        self._mass[self._shared] = 0
        if self._lost is not None:
            self._lost[self._shared] = 0
        miss, hit = self._count[0::2], self._count[1::2]
        for name, sums in (("n", miss + hit), ("y", hit), ("p", self._mass), ("p", self._lost)):
            if sums is not None:
                self._add(name, Exact.of(self.grid.of_finer(sums)))
        self._clear()

    def _one_by_one(self, score: Array, outcome: Array) -> None:
        """Count rows that share an interval with a named edge."""
        where, size = self.grid.locate(score), self.grid.size
        self._add("n", Exact.of(np.bincount(where, minlength=size)))
        self._add("y", Exact.of(np.bincount(where, outcome, size)))
        self._add("p", by_cell(where, score, size))

    def _weighted(self, score: Array, outcome: Array, weights: Array) -> None:
        where, size = self.grid.locate(score), self.grid.size
        columns = {"n": weights, "p": weights * score, "y": weights * outcome, "w2": weights**2}
        for name, values in columns.items():
            self._add(name, Exact.of(np.bincount(where, values, size)))

    def _add(self, name: str, sums: Exact) -> None:
        self.sums[name] = self.sums[name] + sums if name in self.sums else sums


def _ends(width: int) -> Array:
    """Upper ends of cells no wider than 1 / width, nor than 1 / RELATIVE of the distance to the
    nearer end of [0, 1], in whole multiples of 1 / FINEST."""
    if width >= FINEST:
        return np.arange(1, FINEST + 1) / FINEST
    at, ends = 0, [0]
    while at < FINEST // 2:
        step = max(min(FINEST // width, 1 << max(at // RELATIVE, 1).bit_length() - 1), 1)
        at += step
        ends.append(at)
    low = np.array(ends)
    return np.union1d(low, FINEST - low)[1:] / FINEST
