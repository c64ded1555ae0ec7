"""Bootstrap weights, a function of the position of a row alone.

A replicate gives each row an independent weight with mean 1 and variance 1, close to Poisson(1),
so that replicates of a sum can be collected block by block like the sum itself (the Poisson
bootstrap: Hanley & MacGibbon 2006; Chamandy et al. 2012). The weights of a block of rows come from
a stream keyed by (seed, block, group of replicates). The result therefore does not depend on the
number of threads, files or engines, and the first 100 of 1,000 replicates are those of 100.

Above EXACT_ROWS rows, each row is first put into one of UNITS units at random, and the units are
weighted instead of the rows: the cost of a replicate no longer grows with the rows.

Rows of a cluster (a user, a patient, a document) share their draw: each cluster is a unit, or, with
more than UNITS clusters, is put into one of UNITS units at random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import DTypeLike

from calibtool.intervals.streams import Stream, generator
from calibtool.types import BLOCK, Array

# Rows up to which each row has its own weight: 1,000 replicates of as many rows draw 1 GB of
# random bytes. A larger value gives other digits between the old and the new.
EXACT_ROWS = 1 << 20
# Units that rows are put into beyond that. The standard error of a standard deviation estimated
# from n sums is 1 / sqrt(2 n) of it: 2 % for 1,024.
UNITS = 1024
# Replicates that share a stream: 100 replicates draw little that they do not use, and 1,000 are
# eight pieces of work for threads.
GROUP = 128
# Replicates whose weights of a row are gathered side by side, each a byte of a 64-bit word.
SIDE_BY_SIDE = 8
# Weights that are kept for the next who asks, one byte each: 128 MB, such as 1,000 replicates of
# 131,072 rows. A view of 100 classes asks for the weights of the same rows dozens of times, a
# report of one file 5 times.
KEPT = 1 << 27
# Seconds that a row's weight in one replicate takes, drawn and multiplied, on a core of 2026: what
# work takes that draws them is a multiple of it. Progress alone depends on it.
DRAWING = 1e-8
# Of the 256 equally likely values of a byte, how many give a weight of 0, 1, ... 5. Poisson(1)
# (94.2, 94.2, 47.1, 15.7, 3.9, 0.8) rounded so that mean and variance are exactly 1; the third
# moment is 4.98, Poisson's is 5.
SHARES = (94, 95, 46, 16, 4, 1)
_CUTS = np.cumsum(SHARES)[:-1].astype(np.uint8)


class Kept(dict[tuple[int, int], Array]):
    """Weights that were drawn, by block of rows and group of replicates."""


_held: WeakValueDictionary[int, Kept] = WeakValueDictionary()


def kept_by(seed: int) -> Kept:
    """Return where all weights of a seed are kept, for as long as anybody holds it: all `Draws` do
    that have used it, and who makes several of them one after another had better, too.

    >>> kept_by(0) is kept_by(0)
    True
    """
    return _held.setdefault(seed, Kept())


@dataclass(frozen=True)
class Draws:
    """The bootstrap weights of some rows.

    Attributes:
        replicates: the number of replicates.
        seed: of all streams.
        rows: the number of rows.
        cluster: (rows,) the number of each row's cluster, from 0; None for independent rows.
    """

    replicates: int
    seed: int
    rows: int
    cluster: Array | None = field(default=None, compare=False)

    @property
    def grouped(self) -> bool:
        """True if units are weighted rather than rows."""
        return self.cluster is not None or self.rows > EXACT_ROWS

    @property
    def count(self) -> int:
        """The number of units."""
        if self.cluster is None or not len(self.cluster):
            return UNITS
        return min(int(self.cluster.max()) + 1, UNITS)

    @property
    def groups(self) -> list[slice]:
        """The replicates in groups that share a stream."""
        starts = range(0, self.replicates, GROUP)
        return [slice(low, min(low + GROUP, self.replicates)) for low in starts]

    def weights(self, start: int, stop: int, group: slice, kind: DTypeLike = np.float32) -> Array:
        """Return the weights of rows (or units) start to stop in one group of replicates.

        Args:
            start, stop: a range of rows; `start` is a multiple of BLOCK.
            group: one of `groups`.
            kind: the type of the numbers.

        Returns (stop - start, replicates of the group), whole numbers from 0 to 5.
        """
        out = np.empty((stop - start, group.stop - group.start), kind)
        for low in range(start, stop, BLOCK):
            at = slice(low - start, min(low + BLOCK, stop) - start)
            drawn = self._of_block(low // BLOCK, group.start // GROUP)
            out[at] = drawn[: at.stop - at.start, : out.shape[1]]
        return out

    def words(self, start: int, stop: int, group: slice) -> Array:
        """Return what `weights` returns as (pieces, stop - start) uint64: in each, the weights of
        SIDE_BY_SIDE replicates. The last piece may hold more replicates than the group."""
        pieces = -(-(group.stop - group.start) // SIDE_BY_SIDE)
        out = np.empty((pieces, stop - start), np.uint64)
        for low in range(start, stop, BLOCK):
            at = slice(low - start, min(low + BLOCK, stop) - start)
            drawn = self._of_block(low // BLOCK, group.start // GROUP).view(np.uint64)
            out[:, at] = drawn[: at.stop - at.start, :pieces].T
        return out

    def _of_block(self, block: int, group: int) -> Array:
        """Return the weights of a block of rows in one group of replicates, (BLOCK, GROUP) uint8.

        Whole blocks and groups are drawn and then cut, so that a row's weight does not depend on
        how many rows follow or how many replicates are wanted.
        """
        weights = self._kept.get((block, group))
        if weights is None:
            bits = self._bytes(Stream.WEIGHTS, block, group, count=BLOCK * GROUP)
            weights = _as_weights(bits.reshape(BLOCK, GROUP))
            if self._are_kept:
                self._kept[block, group] = weights
        return weights

    @property
    def _are_kept(self) -> bool:
        return (self.count if self.grouped else self.rows) * self.replicates <= KEPT

    @cached_property
    def _kept(self) -> Kept:
        return kept_by(self.seed) if self._are_kept else Kept()

    def weights_of(self, rows: Array) -> Array:
        """Return the weights of single rows in every replicate, (replicates, rows) float32.

        Args:
            rows: positions in the file, increasing; rows must not be drawn as units.
        """
        out = np.empty((self.replicates, len(rows)), np.float32)
        for low in np.unique(rows // BLOCK) * BLOCK:
            first, last = np.searchsorted(rows, [low, low + BLOCK])
            at = rows[first:last] - low
            for group in self.groups:
                drawn = self.weights(int(low), int(low + at[-1] + 1), group)
                out[group, first:last] = drawn[at].T
        return out

    def unit_weights(self, group: slice) -> Array:
        """Return the weights of every unit in one group, (count, replicates) float32."""
        return self.weights(0, self.count, group)

    def units(self, start: int, stop: int) -> Array:
        """Return the unit of each row from start, a multiple of BLOCK, to stop: (rows,) int64."""
        if self.cluster is not None:
            cluster = self.cluster[start:stop]
            if int(self.cluster.max()) < UNITS:
                return cluster
            return self._unit_of_cluster[cluster]
        # 65,536 values of 16 bits fall evenly on 1,024 units
        parts = [
            self._bytes(Stream.UNITS, low // BLOCK, count=2 * BLOCK).view(np.uint16)[: stop - low]
            % UNITS
            for low in range(start, stop, BLOCK)
        ]
        return np.concatenate(parts).astype(np.int64)

    @cached_property
    def _unit_of_cluster(self) -> Array:
        """The unit of each cluster, where there are more than UNITS: (clusters,) int64."""
        assert self.cluster is not None
        count = int(self.cluster.max()) + 1
        size = -(-2 * count // 8) * 8  # two bytes per cluster, rounded up to whole 64-bit words
        drawn = self._bytes(Stream.CLUSTERS, count=size).view(np.uint16)[:count]
        return (drawn % UNITS).astype(np.int64)

    def _bytes(self, stream: Stream, *index: int, count: int) -> Array:
        """Return random bytes, (count,) uint8, of a piece of a stream; 8 divides `count`."""
        rng = generator(stream, self.seed, *index)
        return rng.integers(0, 1 << 64, size=count // 8, dtype=np.uint64).view(np.uint8)


def _as_weights(drawn: Array) -> Array:
    """Return the weight of each byte by the table of shares: the number of cuts it reaches."""
    weight = (drawn >= _CUTS[0]).view(np.uint8)
    for cut in _CUTS[1:]:
        weight += (drawn >= cut).view(np.uint8)
    return weight


def on_grid(values: Array, terms: int, largest: float | None = None) -> Array:
    """Return the values rounded to a grid on which weighted sums of `terms` of them are exact.

    Sums that are exact in the values' own precision do not depend on the order of addition, so that
    BLAS may use any number of threads without changing a digit.

    Args:
        values: float32 or float64.
        terms: the number of values in a sum, each with a weight of up to 5.
        largest: the largest |value| of all values on this grid; None for that of these.

    >>> on_grid(np.array([0.1, 1.0], np.float32), 1024)
    array([0.09960938, 1.        ], dtype=float32)
    >>> on_grid(np.array([1e-320, 0.0]), 10)
    array([1.e-320, 0.e+000])
    """
    # the largest possible sum, and every multiple of the grid up to it, must fit the mantissa
    largest = (float(np.abs(values).max(initial=0)) if largest is None else largest) or 1.0
    kind = np.finfo(values.dtype)
    bits = kind.nmant - math.ceil(math.log2(largest * terms * (len(SHARES) - 1)))
    if bits >= kind.maxexp:  # of values next to the least, whose scale is no float
        return np.asarray(np.ldexp(np.rint(np.ldexp(values, bits)), -bits))
    scale = values.dtype.type(2.0**bits)
    rounded = values * scale
    np.rint(rounded, out=rounded)
    rounded /= scale
    return rounded


def sum_by(unit: Array, columns: Array, count: int) -> Array:
    """Return the sum of each column over the rows of each unit.

    Args:
        unit: (n,) the unit of each row, 0 to count - 1.
        columns: (n, C) values.
        count: the number of units.

    Returns (count, C) float64. Rows are added in file order within a unit.

    >>> sum_by(np.array([1, 0, 1]), np.array([[1.0], [2.0], [3.0]]), 2).ravel()
    array([2., 4.])
    """
    order = np.argsort(unit, kind="stable")
    sorted_unit = unit[order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_unit[1:] != sorted_unit[:-1]]))
    out = np.zeros((count, columns.shape[1]))
    out[sorted_unit[starts]] = np.add.reduceat(columns[order], starts, axis=0)
    return out
