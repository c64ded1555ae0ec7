"""Sums of drawn weights by cell, in every replicate.

Sums of whole numbers are exact in whichever order they are made: by sparse matrices, of as few
bytes as hold them. Others are made in pairs, so that few of their digits are lost.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from calibtool.intervals.draws import SIDE_BY_SIDE, UNITS, Draws, on_grid
from calibtool.intervals.scipy_parts import stored_by_column
from calibtool.parallel import ordered
from calibtool.types import BLOCK, Array

# Rows whose weights are held at a time: with GROUP float32 weights each, 4 MB per thread.
_AT_ONCE = 8 * BLOCK
# Every second byte of a 64-bit word of weights.
_EVERY_SECOND = np.uint64(0x00FF00FF00FF00FF)
# Rows from which on exact sums are made by a sparse matrix, several times as fast: of fewer, that
# brings back less than the 0.015 s of loading compiled functions, where SciPy is not loaded yet.
MANY = 1 << 13


def weighted_ones(mass: Array) -> Array | slice:
    """Return which replicate to take in place of each: itself, or the next that drew any weight,
    by the weight of each, (R,). Of ten rows one in 20,000 draws none, of a single one a third.

    Nothing can be measured of no rows, and there are as many replicates of one metric as of
    another only if none is left out.

    >>> weighted_ones(np.array([0.0, 2.0, 0.0, 0.0, 1.0])).tolist()
    [1, 1, 4, 4, 4]
    """
    some = np.flatnonzero(mass)
    if len(some) in (0, len(mass)):
        return slice(None)
    return np.asarray(some[np.searchsorted(some, np.arange(len(mass))) % len(some)])


def drawn_sums(
    at: Array, where: Array, size: int, columns: Sequence[Array], draws: Draws, threads: int
) -> list[Array]:
    """Return the sums by cell in every replicate, of drawn weight * value, for each column.

    Args:
        at: (n,) the rows' positions in the file, increasing within a cell.
        where: (n,) the cell of each row.
        size: the number of cells.
        columns: (n,) values each.
        draws: the replicates to draw.
        threads: the number of groups of replicates worked on at a time; changes no digit.

    Returns one (R, size) float64 array per column.
    """
    if draws.grouped:
        key = draws.units(0, draws.rows)[at] * size + where
        shape = (draws.count, size)
        sums = [np.bincount(key, c, shape[0] * size).reshape(shape) for c in columns]
        grids = [on_grid(s, UNITS) for s in sums]
        drawn = [draws.unit_weights(group).T.astype(np.float64) for group in draws.groups]
        return [np.concatenate([w @ grid for w in drawn]) for grid in grids]
    out = [np.zeros((draws.replicates, size)) for _ in columns]
    blocks = list(_by_cell(at, where, size, columns, draws.rows))

    def work(group: slice) -> None:
        for block, matrices, kinds, others in blocks:
            found = products(list(matrices.values()), draws, block, group)
            for kind, drawn in zip(matrices, found, strict=True):
                out[kind][group] += drawn.T
            if kinds:
                words = draws.words(block.start, block.stop, group)
                for kind, sums in zip(kinds, others.sums(words, group), strict=True):
                    out[kind][group] += sums.T

    list(ordered(work, draws.groups, threads))
    return out


def _by_cell(
    at: Array, where: Array, size: int, columns: Sequence[Array], rows: int
) -> Iterator[tuple[slice, dict[int, Any], list[int], Targets]]:
    """Yield blocks of rows, and what sums the columns by cell: matrices of the kinds whose sums are
    exact, in whichever order, where there are many rows; and the other kinds, with what sums them
    in pairs."""
    for block, some in _blocks(at, where, size, rows):
        cell, source = where[some].astype(np.int64), at[some] - block.start
        values = [column[some].astype(np.float32) for column in columns]
        exact = [k for k, v in enumerate(values) if has_matrices(rows) and whole(v)]
        shape = size, block.stop - block.start
        matrices = {k: sparse_sums(cell, source, values[k], shape) for k in exact}
        rest = [k for k in range(len(values)) if k not in matrices]
        others = [values[k] for k in rest]
        yield block, matrices, rest, Targets(cell, source, others, size, at_once=len(cell))


def _blocks(at: Array, where: Array, size: int, rows: int) -> Iterator[tuple[slice, Array]]:
    """Yield blocks of rows with the entries that lie in each, (e,), in the order of their cells.

    Args:
        at: (n,) the row of each entry.
        where: (n,) its cell.
        size, rows: the number of cells, and of rows.
    """
    block = at // _AT_ONCE
    key = block * size + where
    # numbers of 16 bits are sorted several times as fast
    order = np.argsort(key.astype(np.min_scalar_type(key.max(initial=0))), kind="stable")
    ends = np.bincount(block).cumsum()
    for low, (first, last) in zip(range(0, rows, _AT_ONCE), pairwise([0, *ends]), strict=False):
        if first < last:
            yield slice(low, min(low + _AT_ONCE, rows)), order[first:last]


def has_matrices(rows: int) -> bool:
    """Return whether exact sums of that many rows are made by a sparse matrix; changes no digit."""
    return rows >= MANY or "scipy" in sys.modules


def whole(values: Array) -> bool:
    """Return whether sums of drawn weight * value are whole numbers that float32 holds."""
    # the greatest sum, of as many weights of at most 5, must fit the mantissa
    most = (1 << 24) / (5 * max(len(values), 1))
    return bool(np.abs(values).max(initial=0) <= most and (np.rint(values) == values).all())


def sparse_sums(target: Array, source: Array, values: Array, shape: tuple[int, int]) -> Any:
    """Return the sparse matrix whose product with drawn weights are the sums by target.

    It is stored by source: the weights of a row, more than fit a cache, are read once, in order.
    The matrix, and the weights, have the type of the values, or are uint16 where that holds every
    sum: of half as many bytes as float32, and as exact.
    """
    some = values != 0
    target, source, values = target[some], source[some], values[some]
    most = 5 * float(np.bincount(target).max(initial=0)) * float(values.max(initial=0))
    fits = most < 1 << 16 and values.min(initial=0) >= 0 and (np.rint(values) == values).all()
    return stored_by_column(values.astype(np.uint16) if fits else values, target, source, shape)


def products(matrices: Sequence[Any], draws: Draws, rows: slice, group: slice) -> list[Array]:
    """Return the product of each matrix, sparse or not, with the weights of these rows in a group
    of replicates, each made in the type of the matrix."""
    types = {matrix.dtype for matrix in matrices}
    drawn = {kind: draws.weights(rows.start, rows.stop, group, kind) for kind in types}
    return [matrix @ drawn[matrix.dtype] for matrix in matrices]


class Counts:
    """Numbers of drawn rows by target, counted by sparse matrices: several times as fast as in
    `Targets`, which needs no scipy."""

    def __init__(self, target: Array, row: Array, size: int, rows: int) -> None:
        """Prepare.

        Args:
            target: (E,) the sum that each entry adds to.
            row: (E,) its row.
            size: the number of targets.
            rows: the number of rows.
        """
        self.size = size
        self.blocks = []
        for block, some in _blocks(row, target, size, rows):
            present, of_present = np.unique(target[some], return_inverse=True)
            shape = len(present), block.stop - block.start
            one = np.ones(len(some), np.float32)
            matrix = sparse_sums(of_present, row[some] - block.start, one, shape)
            self.blocks.append((block, present, matrix))

    def sums(self, draws: Draws, group: slice) -> Array:
        """Return the sums in a group of replicates, (size, replicates) float32."""
        out = np.zeros((self.size, group.stop - group.start), np.float32)
        for block, present, matrix in self.blocks:
            out[present] += products([matrix], draws, block, group)[0]
        return out


class Targets:
    """Sums of drawn weight * value by target, for entries in the order of their targets, and for
    several kinds of values.

    Weights of entries of value 1 are counted, four replicates in one addition. Other sums are made
    in pairs, so that few of their digits are lost.
    """

    def __init__(
        self, target: Array, source: Array, values: Sequence[Array], size: int, *, at_once: int
    ) -> None:
        """Prepare.

        Args:
            target: (E,) the sum that each entry adds to, increasing.
            source: (E,) the row, or the unit, whose drawn weight it has.
            values: of each kind, (E,) float32, what an entry adds per drawn weight.
            size: the number of targets.
            at_once: how many entries are summed at a time: at most 13,107, since counts of that
                many weights fit in 16 bits.
        """
        self.size, self.kinds = size, len(values)
        steps = [slice(low, low + at_once) for low in range(0, len(target), at_once)]
        self.parts = [
            _Part(target[at], source[at], [value[at] for value in values]) for at in steps
        ]

    def sums(self, words: Array, group: slice) -> list[Array]:
        """Return the sums of each kind, (size, replicates) float32, of the weights that
        `Draws.words` returned for a group of replicates."""
        shape = self.size, SIDE_BY_SIDE * len(words)
        out = [np.zeros(shape, np.float32) for _ in range(self.kinds)]
        for part in self.parts:
            for sums, found in zip(out, part.sums(words), strict=True):
                sums[part.present] += found
        return [sums[:, : group.stop - group.start] for sums in out]


class _Part:
    """Entries whose drawn weights are gathered, and summed by target."""

    def __init__(self, target: Array, source: Array, values: Sequence[Array]) -> None:
        self.starts = np.flatnonzero(np.diff(target, prepend=-1))
        self.present, self.source = target[self.starts], source
        self.values = [None if (value == 1).all() else value for value in values]

    def sums(self, words: Array) -> list[Array]:
        """Return the sums of each kind at the targets that are present, (P, replicates)."""
        gathered = words.take(self.source, axis=1)
        shape = len(self.starts), len(words), SIDE_BY_SIDE
        out = [np.empty(shape, np.float32) for _ in self.values]
        for sums, value in zip(out, self.values, strict=True):
            if value is None:
                for odd in (0, 1):  # every second byte, with room for its sum
                    drawn = gathered >> 8 * odd & _EVERY_SECOND
                    counts = np.add.reduceat(drawn, self.starts, axis=1).view(np.uint16)
                    sums[:, :, odd::2] = counts.reshape(len(words), -1, 4).swapaxes(0, 1)
                continue
            # as wide as a word, for products without a broadcast of so few columns
            factor = value.repeat(SIDE_BY_SIDE).reshape(-1, SIDE_BY_SIDE)
            weighted = np.empty_like(factor)
            for piece, of_rows in enumerate(gathered):
                weighted[...] = of_rows.view(np.uint8).reshape(-1, SIDE_BY_SIDE)
                weighted *= factor
                sums[:, piece] = np.add.reduceat(weighted, self.starts, axis=0)
        return [sums.reshape(len(sums), -1) for sums in out]
