"""Bootstrap weights that are a function of where a row stands, never of who asks for them.

A replicate gives each row an independent weight with mean 1 and variance 1, close to Poisson(1),
so that replicates of a sum can be collected block by block like the sum itself (the Poisson
bootstrap: Hanley & MacGibbon 2006; Chamandy et al. 2012). The weights of a block of rows come from
a stream keyed by (seed, block, group of replicates): one thread or many, one file or forty, 100
replicates or 1,000, give the same digits.

From EXACT_ROWS rows on, each row is first put into one of UNITS units at random, and the units are
weighted instead: the cost of a replicate no longer grows with the rows, and the spread of 1,024
sums tells the same to within two per cent.

Rows of a cluster (a user, a patient, a document) share their draw: each cluster is a unit, or, of
more than UNITS clusters, is put into one of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from calibtool.parallel import ordered
from calibtool.types import BLOCK, Array

EXACT_ROWS = 1 << 20
UNITS = 1024
GROUP = 128  # replicates that share a stream
_AT_ONCE = 8 * BLOCK  # rows whose weights are drawn at a time
# Of 256 equally likely bytes, how many give a weight of 0, 1, ... 5. Poisson(1) rounded so that
# mean and variance are exactly 1; its third moment is 4.98 beside Poisson's 5.
SHARES = (94, 95, 46, 16, 4, 1)
_CUTS = np.cumsum(SHARES)[:-1].astype(np.uint8)


@dataclass(frozen=True)
class Draws:
    """Which replicates to draw of how many rows."""

    replicates: int
    seed: int
    rows: int
    cluster: Array | None = field(default=None, compare=False)  # (rows,) numbers of clusters

    @property
    def grouped(self) -> bool:
        """Whether units are weighted rather than rows."""
        return self.cluster is not None or self.rows > EXACT_ROWS

    @property
    def count(self) -> int:
        """How many units there are."""
        if self.cluster is None or not len(self.cluster):
            return UNITS
        return min(int(self.cluster.max()) + 1, UNITS)

    @property
    def groups(self) -> list[slice]:
        """The replicates in groups that share streams."""
        starts = range(0, self.replicates, GROUP)
        return [slice(low, min(low + GROUP, self.replicates)) for low in starts]

    def weights(self, start: int, stop: int, group: slice) -> Array:
        """Weights of rows (or units) start to stop in one group: (rows, replicates) float32.

        `start` is a multiple of BLOCK.
        """
        out = np.empty((stop - start, group.stop - group.start), np.float32)
        for low in range(start, stop, BLOCK):
            bits = _bytes([self.seed, low // BLOCK, group.start // GROUP], BLOCK * GROUP)
            at = slice(low - start, min(low + BLOCK, stop) - start)
            drawn = bits.reshape(BLOCK, GROUP)[: at.stop - at.start, : out.shape[1]]
            out[at] = _as_weights(drawn)
        return out

    def unit_weights(self, group: slice) -> Array:
        """Weights of every unit, (count, replicates)."""
        return self.weights(0, self.count, group)

    def units(self, start: int, stop: int) -> Array:
        """The unit of each row from start, a multiple of BLOCK, to stop: (rows,) int64."""
        if self.cluster is not None:
            own = self.cluster[start:stop]
            if int(self.cluster.max()) < UNITS:
                return own
            return self._of_cluster[own]
        parts = [
            _bytes([self.seed, low // BLOCK], 2 * BLOCK).view(np.uint16)[: stop - low] % UNITS
            for low in range(start, stop, BLOCK)
        ]
        return np.concatenate(parts).astype(np.int64)

    @cached_property
    def _of_cluster(self) -> Array:
        """The unit of each of many clusters."""
        assert self.cluster is not None
        count = int(self.cluster.max()) + 1
        whole = -(-2 * count // 8) * 8
        return (_bytes([self.seed, 10], whole).view(np.uint16)[:count] % UNITS).astype(np.int64)


def _bytes(key: list[int], count: int) -> Array:
    generator = np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))
    return generator.integers(0, 1 << 64, size=count // 8, dtype=np.uint64).view(np.uint8)


def _as_weights(drawn: Array) -> Array:
    """How many cuts each byte reaches: the weight by the table of shares."""
    weight = (drawn >= _CUTS[0]).view(np.uint8)
    for cut in _CUTS[1:]:
        weight += (drawn >= cut).view(np.uint8)
    return weight


def on_grid(values: Array, terms: int) -> Array:
    """Values rounded to a grid so coarse that sums of `terms` of them, weighted, are exact in
    their own precision: BLAS may then add in any order, in any number of threads.

    >>> on_grid(np.array([0.1, 1.0], np.float32), 1024)
    array([0.09960938, 1.        ], dtype=float32)
    """
    largest = float(np.abs(values).max(initial=0)) or 1.0
    bits = np.finfo(values.dtype).nmant - math.ceil(math.log2(largest * terms * (len(SHARES) - 1)))
    scale = values.dtype.type(2.0**bits)
    rounded = values * scale
    np.rint(rounded, out=rounded)
    rounded /= scale
    return rounded


def sum_by(unit: Array, columns: Array, count: int) -> Array:
    """Sums of rows that share a unit: (n,) and (n, C) to (count, C) float64.

    >>> sum_by(np.array([1, 0, 1]), np.array([[1.0], [2.0], [3.0]]), 2).ravel()
    array([2., 4.])
    """
    order = np.argsort(unit, kind="stable")
    own = unit[order]
    starts = np.flatnonzero(np.concatenate([[True], own[1:] != own[:-1]]))
    out = np.zeros((count, columns.shape[1]))
    out[own[starts]] = np.add.reduceat(columns[order], starts, axis=0)
    return out


def drawn_sums(
    at: Array, where: Array, size: int, columns: Sequence[Array], draws: Draws, threads: int
) -> list[Array]:
    """Sums by cell in every replicate: of drawn weight * value, for each column of values.

    Args:
        at: (n,) the rows' places in the file, increasing.
        where: (n,) the cell of each row.
        size: the number of cells.
        columns: (n,) values each.
        draws: the replicates to draw.
        threads: work on as many groups of replicates at a time; changes no digit.

    Returns (R, size) float64 a column.
    """
    if draws.grouped:
        key = draws.units(0, draws.rows)[at] * size + where
        shape = (draws.count, size)
        sums = [np.bincount(key, c, shape[0] * size).reshape(shape) for c in columns]
        grids = [on_grid(s, UNITS) for s in sums]
        drawn = [draws.unit_weights(group).T.astype(np.float64) for group in draws.groups]
        return [np.concatenate([w @ grid for w in drawn]) for grid in grids]
    out = [np.zeros((draws.replicates, size)) for _ in columns]
    blocks = list(_sorted_blocks(at, where, draws.rows))

    def work(group: slice) -> None:
        for low, high, source, target, order in blocks:
            drawn = draws.weights(low, high, group)[source - low]
            starts = np.flatnonzero(np.concatenate([[True], target[1:] != target[:-1]]))
            for sums, column in zip(out, columns, strict=True):
                own = drawn * column[order, None].astype(np.float32)
                sums[group, target[starts]] += np.add.reduceat(own, starts, axis=0).T

    list(ordered(work, draws.groups, threads))
    return out


def _sorted_blocks(
    at: Array, where: Array, rows: int
) -> Iterator[tuple[int, int, Array, Array, Array]]:
    """Rows in blocks, each by cell: the block, the rows' places in the file, their cells, and
    their places among the rows given."""
    for low in range(0, rows, _AT_ONCE):
        high = min(low + _AT_ONCE, rows)
        first, last = np.searchsorted(at, [low, high])
        if first < last:
            order = first + np.argsort(where[first:last], kind="stable")
            yield low, high, at[order], where[order].astype(np.int64), order
