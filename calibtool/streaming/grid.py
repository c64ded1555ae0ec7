"""The fixed grid of cells on which any number of rows is counted.

Cells are at most 1/4,096 wide, and closer to 0 and 1 at most 1/128 of the distance to the end,
down to 2**-16. They also end at every *named* edge, so that bins between named edges stay exact.
In front of the cells stands a finer grid of 65,536 equal intervals: one multiplication finds the
interval of a score, a table its cell. Only rows whose interval holds a named edge are compared with
edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from calibtool.streaming import compiled
from calibtool.streaming.exact import MOST_ROWS, Exact, add_to, by_cell
from calibtool.types import Array

# Intervals of the finer grid. A power of two: multiplying a float by it is exact, so that no score
# lands in a neighbouring interval. It also bounds how close to 0 and 1 cells are told apart.
FINEST = 1 << 16
# A cell is no wider than 1 / WIDTH, which bounds the error of what depends on ranks within a cell
# (equal-mass bins, isotonic fits).
WIDTH = 1 << 12
# Nor is it wider than 1 / RELATIVE of its distance to the nearer end: a confidence of 0.9999 and
# one of 0.99999 differ tenfold in their odds. Larger values mean more cells (5,120 with 128).
RELATIVE = 128
# Numbers of equal-width bins whose edges are always named, so that their errors are always exact:
# 15 is the default (Guo et al. 2017), the others are common. Together they add 116 cells.
NAMED = (10, 15, 20, 25, 30, 50, 100)
# Rows counted at a time: the four buffers of `Tally`, 22 bytes per row, then stay in the L2 cache.
CHUNK = 1 << 16
# Rows after which counts become sums. What float64 scores add to float32 ones is at most 2**-25, or
# 2**32 units of 2**-57; 2**20 rows of that sum to 2**52 units, which float64 adds without rounding.
_FLUSH = 1 << 20


def named(*bins: int) -> tuple[float, ...]:
    """Return the inner edges of equal-width bins, for each number of bins.

    >>> named(2, 4)
    (0.25, 0.5, 0.75)
    """
    return tuple(sorted({k / m for m in bins for k in range(1, m)}))


@lru_cache(maxsize=8)  # those of a few metrics and views at a time; each has 65,537 table entries
def grid(edges: tuple[float, ...] = (), width: int = WIDTH) -> Grid:
    """Return the grid whose cells also end at these edges."""
    return Grid(edges, width)


class Grid:
    """Where cells end.

    Attributes:
        at: (C,) float64 upper ends of the cells, increasing, the last is 1.
    """

    def __init__(self, edges: Sequence[float] = (), width: int = WIDTH) -> None:
        inner = distinct(np.asarray(edges, np.float64))
        ends = distinct(_ends(width), inner)
        self.at: Array = ends[(ends > 0) & (ends <= 1)]
        self._inner = inner[~np.isin(inner, _ends(FINEST), assume_unique=True)]
        self._tables: dict[Any, Array] = {}

    @property
    def size(self) -> int:
        """C, the number of cells."""
        return len(self.at)

    def table(self, kind: Any) -> Array:
        """Return the cell of each finer interval, for scores of one float type: (FINEST + 1,).

        An entry is C where a score has to be compared with edges: in intervals that hold an edge,
        and in the two lowest, 0 itself and (0, 1 / FINEST]. They span all small binades: float32
        scores in them have too many different last places to be added without rounding.
        """
        if kind not in self._tables:
            edges = self._inner.astype(kind).astype(np.float64)
            cell = np.searchsorted(self.at, np.arange(FINEST + 1) / FINEST)
            cell[np.ceil(edges * FINEST).astype(np.int64)] = self.size
            cell[:2] = self.size
            # twice a cell, and one more, still fit: the places of misses and hits in `Tally`
            self._tables[kind] = cell.astype(np.int16 if self.size < 1 << 14 else np.int32)
        return self._tables[kind]

    def cells_of(self, score: Array) -> Array:
        """Return the cell of each score, as `locate` does, faster: mostly by the finer interval."""
        at = self.table(score.dtype)[finer(score)].astype(np.int64)
        apart = np.flatnonzero(at == self.size)
        at[apart] = self.locate(score[apart])
        return at

    def locate(self, score: Array) -> Array:
        """Return the cell of each score, compared with the edges in the scores' own precision.

        A float32 score of 0.1 is float32(0.1), which is above the float64 edge 0.1: compared in
        float64, it would fall into the next bin.
        """
        ends = self.at.astype(score.dtype)  # still in order, since rounding is monotone
        return np.minimum(np.searchsorted(ends, score), len(ends) - 1)


def finer(score: Array) -> Array:
    """Return the finer interval of each score, int64 in [0, FINEST]; 0 for a score of 0."""
    wide = score if score.itemsize > 2 else score.astype(np.float32)
    scaled = wide * wide.dtype.type(FINEST)
    return np.ceil(scaled, out=scaled).astype(np.int64)


def cell_sums(
    where: Array, score: Array, outcome: Array, weights: Array | None, size: int
) -> dict[str, Exact]:
    """Return the sums per cell of rows whose cells are known.

    Args:
        where: (n,) int, the cell of each row, in [0, size).
        score: (n,) floats in [0, 1]; at most MOST_ROWS without weights.
        outcome: (n,) bool.
        weights: (n,) float64; None for a weight of 1 per row.
        size: the number of cells.

    Returns the sums of the weight "n", of w * score "p", of w * outcome "y" and, with weights, of
    w**2 "w2": (size,) each.
    """
    if weights is None:
        return {
            "n": Exact.of(np.bincount(where, minlength=size)),
            "p": by_cell(where, score, size),
            "y": Exact.of(np.bincount(where, outcome, size)),
        }
    columns = {"n": weights, "p": weights * score, "y": weights * outcome, "w2": weights**2}
    return {name: Exact.of(np.bincount(where, values, size)) for name, values in columns.items()}


class Tally:
    """Sums of rows per cell, counted block by block."""

    def __init__(self, where: Grid) -> None:
        self.grid = where
        self.sums: dict[str, Exact] = {}
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
            where = self.grid.cells_of(score)
            self._add(cell_sums(where, score, outcome, weights, self.grid.size))
            return
        # scores of another float type are compared with other edges: those rounded to that type
        other_type = bool(self._apart) and self._apart[0][0].dtype != score.dtype
        if other_type or self._rows + len(score) > _FLUSH:
            self._flush()
        for low in range(0, len(score), CHUNK):
            self._count_some(score[low : low + CHUNK], outcome[low : low + CHUNK])
        self._rows += len(score)

    def _count_some(self, score: Array, outcome: Array) -> None:
        """Count at most CHUNK rows.

        Sums are not rounded: a cell lies within a binade or two, so that 2**20 float32 scores of
        one cell sum to some 2**45 units of their last place. A float64 score is split into its
        float32 rounding and the rest, which is summed on a grid of 2**-57 (see _FLUSH).
        """
        table, loops = self.grid.table(score.dtype), compiled.loops()
        if loops and table.dtype == np.int16:
            apart = self._buffers[2][: len(score)]
            kind = np.float32 if score.itemsize <= 4 else np.float64
            rows = np.require(score, kind, ["C", "A"]), np.ascontiguousarray(outcome)
            found = loops.count_rows(*rows, table, self._count, self._mass, self._lost, apart)
            apart = apart[:found]
        else:
            apart = self._count_by_numpy(score, outcome, table)
        self._apart.append((score[apart], outcome[apart]))

    def _count_by_numpy(self, score: Array, outcome: Array, table: Array) -> Array:
        """Do what `compiled.count_rows` does, in buffers that are reused and stay in the cache;
        return the numbers of the rows that are set apart."""
        n, size = len(score), self.grid.size + 1  # a last cell for rows that are set apart
        interval, cell, at, wide = (buffer[:n] for buffer in self._buffers)
        # a power of two times a float32 is exact in float32, which is half as many bytes
        kind = np.promote_types(score.dtype, np.float32)
        scaled = np.multiply(score, kind.type(FINEST), out=wide.view(kind)[:n], dtype=kind)
        np.ceil(scaled, out=scaled)
        np.copyto(interval, scaled, casting="unsafe")
        out = cell if cell.dtype == table.dtype else None
        cell = np.take(table, interval, out=out, mode="clip")
        apart = np.flatnonzero(cell == size - 1)
        np.copyto(at, cell)
        near = score if score.itemsize <= 4 else score.astype(np.float32)
        np.copyto(wide, near)
        self._mass += np.bincount(at, wide, size)
        if near is not score:
            np.subtract(score, wide, out=wide)
            wide *= 2.0**57
            np.rint(wide, out=wide)
            wide *= 2.0**-57
            self._lost += np.bincount(at, wide, size)
        # one bincount for rows and hits: even entries count misses, odd ones hits
        cell <<= 1
        cell |= outcome.view(np.int8)
        self._count += np.bincount(cell, minlength=2 * size)
        return apart

    def result(self) -> dict[str, Exact]:
        """Return sums per cell of the weight "n", of w * score "p", of w * outcome "y" and, for
        weighted rows, of the squared weights "w2"."""
        self._flush()
        return self.sums or {name: Exact.of(np.zeros(self.grid.size)) for name in ("n", "p", "y")}

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
        where, size = self.grid.locate(score), self.grid.size
        count = self._count[:-2] + np.bincount(2 * where + outcome, minlength=2 * size)
        mass = Exact.of(self._mass[:-1])
        if self._lost.any():  # of float64 scores alone
            mass += Exact.of(self._lost[:-1])
        for low in range(0, len(score), MOST_ROWS):
            piece = slice(low, low + MOST_ROWS)
            mass += by_cell(where[piece], score[piece], size)
        miss, hit = count[::2], count[1::2]
        self._add({"n": Exact.of(miss + hit), "p": mass, "y": Exact.of(hit)})
        self._clear()

    def _add(self, sums: dict[str, Exact]) -> None:
        for name, value in sums.items():
            add_to(self.sums, name, value)


def _ends(width: int) -> Array:
    """Return the upper ends of cells, in whole multiples of 1 / FINEST.

    A cell is no wider than 1 / width, nor than 1 / RELATIVE of the distance to the nearer end of
    [0, 1]. Its width is a power of two of intervals: whole cells hold whole intervals, and coarser
    grids are unions of the cells of finer ones. The upper half mirrors the lower one.
    """
    if width >= FINEST:
        return np.arange(1, FINEST + 1) / FINEST
    at, ends = 0, [0]
    while at < FINEST // 2:
        step = max(min(FINEST // width, 1 << max(at // RELATIVE, 1).bit_length() - 1), 1)
        at += step
        ends.append(at)
    low = np.array(ends)
    return distinct(low, FINEST - low)[1:] / FINEST


def distinct(*parts: Array) -> Array:
    """Return the numbers of all parts, above -1, increasing and each once.

    What `np.unique` returns, which imports numpy.ma: a hundredth of a second.

    >>> distinct(np.array([2, 4]), np.array([3, 2])).tolist()
    [2, 3, 4]
    """
    values = np.sort(np.concatenate(parts))
    return values[np.diff(values, prepend=-1) > 0]
