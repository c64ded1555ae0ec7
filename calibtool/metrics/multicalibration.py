"""Multicalibration error: Kuiper's range of the gaps of each slice, over its standard deviation.

Guy et al. 2025 (arXiv 2506.11251). In a slice, the gaps outcome - score are summed from the lowest
score to the highest. If every score is the probability of its outcome, the sums are about a
Brownian motion of the variance sum w^2 p (1 - p), whose range has a known distribution (Feller
1951): the range over its standard deviation can be compared between slices of any size. The error
of a set of slices is the largest.
"""

from __future__ import annotations

import numpy as np

from calibtool.types import Array

# Terms of the two series of `range_tail`: where each is used, the next term is below 1e-16.
TERMS = 12
# Rows that are sorted by their slices at a time.
BLOCK = 1 << 20
# Range from which on the series of normal tails is used; below, that of the distribution function,
# whose terms fall faster there.
MIDDLE = 1.5
FARTHEST = (
    40.0  # sigmas: the tail beyond is below 1e-300, the smallest that a float can tell from 0
)


def kuiper_ranges(score: Array, gap: Array, codes: Array, slices: int) -> Array:
    """Return Kuiper's range of each slice, (S,), in units of weight.

    Rows of equal score in a slice are one step of its sums, as in `kuiper`.

    Args:
        score: (N,) scores, sorted from the lowest.
        gap: (N,) weight times (outcome - score).
        codes: (N,) number of each row's slice, from 0.
        slices: S, the number of slices; those without rows have a range of 0.

    >>> kuiper_ranges(np.array([0.2, 0.8]), np.array([0.8, -0.8]), np.zeros(2, int), 1)
    array([0.8])
    """
    rows = np.bincount(codes, minlength=slices)
    of = np.flatnonzero(rows)
    starts = np.cumsum(rows)[of] - rows[of]
    at = by_slice(score, codes, rows)
    last = np.ones(len(at), bool)  # of its score, in its slice
    np.not_equal(at[1:], at[:-1], out=last[:-1])
    last[starts[1:] - 1] = True
    del at  # of millions of rows, the memory is needed
    sums = by_slice(gap, codes, rows)
    np.cumsum(sums, out=sums)
    before = np.where(starts > 0, sums[starts - 1], 0.0)
    for start, count, base in zip(starts, rows[of], before, strict=True):
        sums[start : start + count] -= base
    sums[~last] = 0.0
    ranges = np.zeros(slices)
    if len(of):
        highest = np.maximum(np.maximum.reduceat(sums, starts), 0)
        ranges[of] = highest - np.minimum(np.minimum.reduceat(sums, starts), 0)
    return ranges


def by_slice(values: Array, codes: Array, rows: Array) -> Array:
    """Return values, (N,), with those of each slice together: slice by slice, in their order.

    A stable counting sort, block by block, so that no position of every row is held.

    Args:
        values: (N,) numbers.
        codes: (N,) number of each row's slice, from 0.
        rows: (S,) number of rows of each slice.

    >>> by_slice(np.array([0.1, 0.2, 0.3]), np.array([1, 0, 1]), np.array([1, 2])).tolist()
    [0.2, 0.1, 0.3]
    """
    # radix sort, linear in the rows, is what a stable sort of 16 bits is
    narrow = np.uint16 if len(rows) < 1 << 16 else codes.dtype
    free = np.cumsum(rows) - rows  # the place of each slice's next row
    out = np.empty_like(values)
    for low in range(0, len(values), BLOCK):
        part = codes[low : low + BLOCK].astype(narrow)
        order = np.argsort(part, kind="stable")
        count = np.bincount(part, minlength=len(rows))
        before = np.cumsum(count) - count
        out[np.repeat(free - before, count) + np.arange(len(part))] = values[low + order]
        free += count
    return out


def in_sigmas(ranges: Array, deviation: Array) -> Array:
    """Return ranges over their standard deviations; infinite where only the latter is 0, since
    scores of 0 and 1 allow no gap."""
    sure = np.where(ranges > 0, np.inf, 0.0)
    return np.divide(ranges, deviation, out=sure, where=deviation > 0)


def range_tail(x: Array) -> Array:
    """Return the probability that the range of a Brownian motion on [0, 1] is at least x (Feller
    1951).

    >>> range_tail(np.array([0.0, 1.0, 2.4977, 5.0])).round(4).tolist()
    [1.0, 0.9366, 0.05, 0.0]
    """
    from calibtool.intervals.special import ndtr

    x = np.asarray(x, np.float64)
    k = np.arange(1, TERMS + 1)
    far = np.minimum(np.maximum(x, MIDDLE), FARTHEST)[..., None]
    above = 8 * ((-1.0) ** (k - 1) * k * ndtr(-k * far)).sum(axis=-1)
    near = np.maximum(np.minimum(x, MIDDLE), 0.05)[..., None]  # below 0.05 the tail is 1 to 1e-300
    turn = ((k - 0.5) * np.pi) ** 2
    below = 1 - ((8 / near**2 + 2 / turn) * np.exp(-2 * turn / near**2)).sum(axis=-1)
    return np.where(x >= MIDDLE, above, below)


def range_quantile(tail: float) -> float:
    """Return the range of a Brownian motion that is exceeded with this probability.

    >>> round(range_quantile(0.05), 4), round(range_quantile(0.05 / 100), 3)
    (2.4977, 3.836)
    """
    low, high = 0.0, FARTHEST
    for _ in range(60):  # halvings: 40 / 2^60 is below the last digit of a float
        middle = (low + high) / 2
        low, high = (middle, high) if range_tail(np.array(middle)) > tail else (low, middle)
    return high
