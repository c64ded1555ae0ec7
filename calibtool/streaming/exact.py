"""Sums that do not depend on the order of what is summed.

A block's values are cut into parts on fixed binary grids on which the block's sum is exact in
float64; blocks are added up as pairs of float64 (high, low) with error-free additions (Knuth 1997,
sec. 4.2.2; Dekker 1971). One thread or many, one file or forty, one machine or a cluster: the same
bits. Of weighted rows, a block's sum is rounded once, so blocks have to be the same for that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibtool.types import Array

MOST_ROWS = 1 << 17  # rows of a block whose sums are exact
LARGE = 32.0  # values from here on are summed one by one


@dataclass(frozen=True, eq=False)
class Exact:
    """Sums as pairs: `high` is the sum rounded to float64, `low` what rounding took away."""

    high: Array
    low: Array

    @classmethod
    def of(cls, *parts: Array) -> Exact:
        """The sum of arrays that are themselves exact."""
        first = np.asarray(parts[0], np.float64)
        total = cls(first, np.zeros_like(first))
        for part in parts[1:]:
            other = np.asarray(part, np.float64)
            total += cls(other, np.zeros_like(other))
        return total

    def __add__(self, other: Exact) -> Exact:
        """
        >>> tiny = Exact.of(np.array(1e-17))
        >>> total = Exact.of(np.array(1.0)) + tiny + tiny
        >>> float(total.high), float(total.low)
        (1.0, 2e-17)
        """
        total = self.high + other.high
        part = total - self.high
        lost = (self.high - (total - part)) + (other.high - part) + self.low + other.low
        high = total + lost
        return Exact(high, lost - (high - total))


def stacked(sums: Sequence[Exact]) -> Exact:
    """Sums of equal shapes along a new first axis."""
    return Exact(np.stack([one.high for one in sums]), np.stack([one.low for one in sums]))


def by_cell(where: Array, values: Array, size: int) -> Exact:
    """Exact sums by cell of at most MOST_ROWS values in [0, 1], to a multiple of 2**-64.

    >>> by_cell(np.array([0, 1, 0]), np.array([0.5, 0.25, 0.125]), 2).high
    array([0.625, 0.25 ])
    """
    wide = values.astype(np.float64)
    coarse = np.rint(wide * 2.0**30) * 2.0**-30
    fine = np.rint((wide - coarse) * 2.0**64) * 2.0**-64
    return Exact.of(np.bincount(where, coarse, size), np.bincount(where, fine, size))


def moments(values: Array, weights: Array | None = None) -> Exact:
    """Sums of w, w v, w v**2 and w v**3 of at most MOST_ROWS values that are not negative, and of
    w**2 and w**2 v and w**2 v**2: (7,). Without weights, the last are those of w.

    >>> moments(np.array([1.0, 2.0])).high
    array([2., 3., 5., 9., 2., 3., 5.])
    """
    if weights is not None:
        square = weights * weights
        powers = [weights, weights * values, weights * values**2, weights * values**3]
        powers += [square, square * values, square * values**2]
        return Exact.of(np.array([float(x.sum()) for x in powers]))
    if values.dtype == bool:
        hits = float(np.count_nonzero(values))
        return Exact.of(np.array([len(values), hits, hits, hits, len(values), hits, hits]))
    large = values >= LARGE
    small = values
    extra = np.zeros(3)
    if large.any():
        some = values[large].tolist()
        extra = np.array([math.fsum(v**k for v in some) for k in (1, 2, 3)])
        small = np.where(large, 0.0, values)
    one, rest, two, three = _powers(np.asarray(small, np.float64))
    count = float(len(values))
    total = Exact.of(np.array([one, two, three]), np.array([rest, 0.0, 0.0]), extra)

    def laid_out(part: Array, count: float) -> Array:
        return np.array([count, *part, count, *part[:2]])

    return Exact(laid_out(total.high, count), laid_out(total.low, 0.0))


def _powers(v: Array) -> tuple[float, float, float, float]:
    """The sum in two parts, of squares and of cubes, of values below LARGE."""
    scaled = v * 2.0**30
    coarse = np.rint(scaled)
    scaled -= coarse
    scaled *= 2.0**36
    np.rint(scaled, out=scaled)
    one, rest = float(coarse.sum()) * 2.0**-30, float(scaled.sum()) * 2.0**-66
    square = np.multiply(v, v, out=scaled)
    cube = np.multiply(square, v, out=coarse)
    square *= 2.0**26
    cube *= 2.0**20
    two = float(np.rint(square, out=square).sum()) * 2.0**-26
    three = float(np.rint(cube, out=cube).sum()) * 2.0**-20
    return one, rest, two, three
