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

from calibtool.streaming.exact import MOST_ROWS, Exact, by_cell
from calibtool.types import Array

FINEST = 1 << 16  # intervals of the finer grid
WIDTH = 1 << 12  # a cell is no wider than 1 / WIDTH
RELATIVE = 128  # nor than 1 / RELATIVE of its distance to the nearer end
NAMED = (10, 15, 20, 25, 30, 50, 100)  # numbers of equal-width bins whose edges are always named
CHUNK = 1 << 16  # rows counted at a time
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
    """

    def __init__(self, edges: Sequence[float] = (), width: int = WIDTH) -> None:
        ends = np.union1d(_ends(width), np.asarray(edges, np.float64))
        self.at: Array = ends[(ends > 0) & (ends <= 1)]
        self._inner = np.setdiff1d(np.asarray(edges, np.float64), _ends(FINEST))
        self._tables: dict[Any, Array] = {}

    @property
    def size(self) -> int:
        """C, the number of cells."""
        return len(self.at)

    def table(self, kind: Any) -> Array:
        """The cell of each finer interval, for scores of one float type: (FINEST + 1,). It is C
        where only the edges tell: in intervals that hold one, and in the two lowest, in which
        float32 scores would not add up exactly."""
        if kind not in self._tables:
            own = self._inner.astype(kind).astype(np.float64)
            cell = np.searchsorted(self.at, np.arange(FINEST + 1) / FINEST)
            cell[np.ceil(own * FINEST).astype(np.int64)] = self.size
            cell[:2] = self.size
            self._tables[kind] = cell.astype(np.int16 if self.size < 1 << 15 else np.int32)
        return self._tables[kind]

    def cells_of(self, score: Array) -> Array:
        """As `locate`, by the finer interval where that tells."""
        at = self.table(score.dtype)[finer(score)].astype(np.int64)
        apart = np.flatnonzero(at == self.size)
        at[apart] = self.locate(score[apart])
        return at

    def locate(self, score: Array) -> Array:
        """The cell of each score, compared with the edges in the scores' own precision."""
        own = np.maximum.accumulate(self.at.astype(score.dtype))
        return np.minimum(np.searchsorted(own, score), len(own) - 1)


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
        kinds = (np.int32, np.int16, np.int64, np.float64)
        self._buffers: list[Array] = [np.empty(CHUNK, kind) for kind in kinds]
        self._rows = 0
        self._clear()

    def add(self, score: Array, outcome: Array, weights: Array | None = None) -> None:
        """Count a block.

        Args:
            score: (n,) floats in [0, 1].
            outcome: (n,) bool.
            weights: (n,) float64; with them, sums of squared weights are kept too.
        """
        if weights is not None:
            self._weighted(score, outcome, weights)
            return
        other = bool(self._apart) and self._apart[0][0].dtype != score.dtype  # and other edges
        if other or self._rows + len(score) > _FLUSH:
            self._flush()
        for low in range(0, len(score), CHUNK):
            self._count_some(score[low : low + CHUNK], outcome[low : low + CHUNK])
        self._rows += len(score)

    def _count_some(self, score: Array, outcome: Array) -> None:
        """Count some rows, with buffers that stay in the cache: new ones would be new pages."""
        n, size = len(score), self.grid.size + 1
        finer_, cell, at, wide = (buffer[:n] for buffer in self._buffers)
        np.multiply(score, float(FINEST), out=wide, dtype=np.float64)
        np.ceil(wide, out=wide)
        np.copyto(finer_, wide, casting="unsafe")
        table = self.grid.table(score.dtype)
        found = np.take(table, finer_, out=cell if cell.dtype == table.dtype else None, mode="clip")
        np.copyto(at, found)
        apart = np.flatnonzero(at == size - 1)
        near = score if score.itemsize <= 4 else score.astype(np.float32)
        np.copyto(wide, near)
        self._mass += np.bincount(at, wide, size)
        if near is not score:
            np.subtract(score, wide, out=wide)
            wide *= 2.0**57
            np.rint(wide, out=wide)
            wide *= 2.0**-57
            self._lost += np.bincount(at, wide, size)
        at <<= 1
        np.bitwise_or(at, outcome, out=at)
        self._count += np.bincount(at, minlength=2 * size)
        self._apart.append((score[apart], outcome[apart]))

    def result(self) -> dict[str, Exact]:
        """Sums by cell of the weight "n", of w * score "p", of w * outcome "y" and, of weighted
        rows, of the squared weights "w2"."""
        self._flush()
        return self.sums

    def _clear(self) -> None:
        size = self.grid.size + 1
        self._count = np.zeros(2 * size, np.int64)
        self._mass, self._lost = np.zeros(size), np.zeros(size)
        self._rows = 0
        self._apart: list[tuple[Array, Array]] = []

    def _flush(self) -> None:
        """Add what was counted to the sums."""
        if not self._rows:
            return
        score, outcome = (np.concatenate(parts) for parts in zip(*self._apart, strict=True))
        for low in range(0, len(score), MOST_ROWS):
            self._one_by_one(score[low : low + MOST_ROWS], outcome[low : low + MOST_ROWS])
        miss, hit = self._count[:-2:2], self._count[1:-2:2]
        self._add("n", Exact.of(miss + hit))
        self._add("y", Exact.of(hit))
        self._add("p", Exact.of(self._mass[:-1], self._lost[:-1]))
        self._clear()

    def _one_by_one(self, score: Array, outcome: Array) -> None:
        """Count rows whose cell only the edges tell."""
        where, size = self.grid.locate(score), self.grid.size
        self._add("n", Exact.of(np.bincount(where, minlength=size)))
        self._add("y", Exact.of(np.bincount(where, outcome, size)))
        self._add("p", by_cell(where, score, size))

    def _weighted(self, score: Array, outcome: Array, weights: Array) -> None:
        where, size = self.grid.cells_of(score), self.grid.size
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
