"""Sums that do not depend on the order of the addends.

The values of a block are split into parts on fixed binary grids, coarse enough that float64 adds
the block up without any rounding. Blocks are then added as pairs of float64 (high, low) by
error-free additions (Knuth 1997, sec. 4.2.2; Dekker 1971). One thread or many, one file or forty,
one machine or a cluster give the same bits. With row weights, the sum of a block is rounded once;
the same bits then need the same blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibtool.streaming import compiled
from calibtool.types import Array

# Most rows of a block. float64 adds integers without rounding up to 2**53. All grids below are
# chosen for 2**17 rows: every sum, in units of its grid, stays at or below that. More rows would
# need coarser grids, fewer rows more calls per row.
MOST_ROWS = 1 << 17
# The grids of `_powers` hold for values below 2**5. A negative log-likelihood beyond 32 means a
# probability below 1.3e-14: so rare that such values can be summed one by one.
LARGE = 32.0


@dataclass(frozen=True, eq=False)
class Exact:
    """Sums as pairs: `high` is the sum rounded to float64, `low` is what rounding took away."""

    high: Array
    low: Array

    @classmethod
    def of(cls, *parts: Array) -> Exact:
        """Return the sum of arrays of equal shape that are themselves exact."""
        first = np.asarray(parts[0], np.float64)
        total = cls(first, np.zeros_like(first))
        for part in parts[1:]:
            addend = np.asarray(part, np.float64)
            total += cls(addend, np.zeros_like(addend))
        return total

    def __add__(self, other: Exact) -> Exact:
        """
        >>> tiny = Exact.of(np.array(1e-17))
        >>> total = Exact.of(np.array(1.0)) + tiny + tiny
        >>> float(total.high), float(total.low)
        (1.0, 2e-17)
        """
        # Knuth's TwoSum: `virtual` is the share of `other.high` that the total holds. `lost` begins
        # as the rounding error of high + high, exactly, whichever of the two is larger; the low
        # halves join it.
        total = self.high + other.high
        virtual = total - self.high
        lost = (self.high - (total - virtual)) + (other.high - virtual) + self.low + other.low
        # Dekker's FastTwoSum makes `high` the rounded sum again: two pairs with the same sum are
        # then the same pair, which makes the order of adding invisible.
        high = total + lost
        return Exact(high, lost - (high - total))


def add_to(sums: dict[str, Exact], name: str, value: Exact) -> None:
    """Add `value` to the sum called `name`, which begins with it if it is not there yet."""
    sums[name] = sums[name] + value if name in sums else value


def stacked(sums: Sequence[Exact]) -> Exact:
    """Return sums of equal shapes stacked along a new first axis."""
    return Exact(np.stack([part.high for part in sums]), np.stack([part.low for part in sums]))


def by_cell(where: Array, values: Array, size: int) -> Exact:
    """Return exact sums per cell of at most MOST_ROWS values in [0, 1], to a multiple of 2**-64.

    Args:
        where: (n,) int, the cell of each value, in [0, size).
        values: (n,) floats.
        size: the number of cells.

    >>> by_cell(np.array([0, 1, 0]), np.array([0.5, 0.25, 0.125]), 2).high
    array([0.625, 0.25 ])
    """
    # Multiples of 2**-30 up to 1 sum to at most 2**47 units. What remains is at most 2**-31, that
    # is 2**33 units of 2**-64, and sums to at most 2**50 units. Both are below 2**53.
    wide = values.astype(np.float64)
    coarse = np.rint(wide * 2.0**30) * 2.0**-30
    fine = np.rint((wide - coarse) * 2.0**64) * 2.0**-64
    return Exact.of(np.bincount(where, coarse, size), np.bincount(where, fine, size))


def moments(values: Array, weights: Array | None = None) -> Exact:
    """Return the sums of w, w v, w v**2, w v**3, w**2, w**2 v and w**2 v**2: (7,).

    The means, variances and skewnesses of scores, and the variances of weighted means, are
    functions of these.

    Args:
        values: (n,) bool, or floats that are not negative; at most MOST_ROWS.
        weights: (n,) float64; None for a weight of 1 per row.

    >>> moments(np.array([1.0, 2.0])).high
    array([2., 3., 5., 9., 2., 3., 5.])
    """
    if weights is not None:
        square = weights * weights
        powers = [weights, weights * values, weights * values**2, weights * values**3]
        powers += [square, square * values, square * values**2]
        return Exact.of(np.array([float(x.sum()) for x in powers]))
    if values.dtype == bool:  # every power of 0 and 1 is itself
        hits = float(np.count_nonzero(values))
        return Exact.of(np.array([len(values), hits, hits, hits, len(values), hits, hits]))
    small = values
    extra = []
    if values.max(initial=0) >= LARGE:
        large = values >= LARGE
        few = values[large].tolist()
        extra.append(np.array([math.fsum(v**k for v in few) for k in (1, 2, 3)]))
        small = np.where(large, 0.0, values)
    loops = compiled.loops()
    sum_powers = loops.sum_powers if loops else _powers
    first, rest, second, third = sum_powers(np.require(small, np.float64, ["C", "A"]))
    count = float(len(values))
    total = Exact.of(np.array([first, second, third]), np.array([rest, 0.0, 0.0]), *extra)

    def laid_out(part: Array, count: float) -> Array:
        return np.array([count, *part, count, *part[:2]])

    return Exact(laid_out(total.high, count), laid_out(total.low, 0.0))


def scaled(sums: Exact, factor: float) -> Exact:
    """Return the sums of a score times `factor`, a power of two, which rounds nothing.

    Args:
        sums: what `moments` returns, (7,), or the first three of them.
        factor: of the score.

    >>> scaled(moments(np.array([1.0, 2.0])), 2.0).high
    array([ 2.,  6., 20., 72.,  2.,  6., 20.])
    """
    powers = np.array([0, 1, 2, 3, 0, 1, 2])[: sums.high.shape[-1]]
    return Exact(sums.high * factor**powers, sums.low * factor**powers)


def _powers(v: Array) -> tuple[float, float, float, float]:
    """Return the sum of values below LARGE in two parts, then those of squares and of cubes.

    Everything is rounded to a grid first, so that no sum is rounded. In units of the grids, 2**17
    values below 2**5 sum to at most 2**52 (2**-30), 2**52 (the rest, 2**-66), 2**53 (squares,
    2**-26) and 2**52 (cubes, 2**-20). The buffers are reused, since new ones would be new pages.
    """
    scaled = v * 2.0**30
    coarse = np.rint(scaled)
    scaled -= coarse
    scaled *= 2.0**36
    np.rint(scaled, out=scaled)
    first, rest = float(coarse.sum()) * 2.0**-30, float(scaled.sum()) * 2.0**-66
    square = np.multiply(v, v, out=scaled)
    cube = np.multiply(square, v, out=coarse)
    square *= 2.0**26
    cube *= 2.0**20
    second = float(np.rint(square, out=square).sum()) * 2.0**-26
    third = float(np.rint(cube, out=cube).sum()) * 2.0**-20
    return first, rest, second, third
