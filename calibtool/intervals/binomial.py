"""Binomial counts as a function of uniform variables, which two data sets can share.

A generator's own binomial draws consume a varying number of its values, so that a rate that moves
by a hair changes all later draws. As quantiles of given uniform variables, counts move as little as
their rates do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calibtool.types import Array

# Variance above which a count is taken from the normal quantile with Cornish & Fisher's (1938)
# corrections for skewness and kurtosis. Its distribution function is off by at most 0.003 at 4
# (tests/intervals/test_binomial.py), and 0.005 at 2, for counts well below their cell's mean.
_NORMAL = 4.0
# Counts drawn at a time: half a megabyte, so that all steps stay within a core's L2 cache.
_AT_ONCE = 1 << 16


def normal(uniform: Array) -> Array:
    """Return the normal quantiles of uniform variables in [0, 1), of the shape given."""
    from calibtool.intervals.special import ndtri

    return np.asarray(ndtri(np.maximum(uniform, 1e-16)))


def quantiles(uniform: Array, deviates: Callable[[], Array], trials: Array, rate: Array) -> Array:
    """Return the binomial quantile of each uniform variable.

    Args:
        uniform: (R, C) in (0, 1).
        deviates: returns their normal quantiles, (R, C); asked only where a cell needs them.
        trials: (R, C) whole numbers, as floats.
        rate: (C,) in [0, 1].

    Returns (R, C) counts, as floats.

    >>> u = np.array([[0.2], [0.3], [0.8]])
    >>> quantiles(u, lambda: u, np.full((3, 1), 2.0), np.array([0.5])).ravel()
    array([0., 1., 2.])
    """
    # at rates above 1/2 misses are counted, so that the sums of `_summed` are short
    flip = rate > 0.5
    p = np.where(flip, 1 - rate, rate)
    sign = np.where(flip, -1.0, 1.0)
    hits = np.empty(trials.shape)
    # the mean decides for all counts of a cell; few of a Poisson number are below half of it
    large = trials.mean(axis=0) * p * (1 - p) > _NORMAL
    few, many = np.flatnonzero(~large), np.flatnonzero(large)
    deviate = deviates() if len(many) else uniform  # of which no column is taken
    step = max(1, _AT_ONCE // max(len(p), 1))
    for low in range(0, len(trials), step):
        at = slice(low, low + step)
        n, u = trials[at, few], uniform[at, few]
        u = np.where(flip[few], 1 - u, u)
        hits[at, few] = _summed(u, n, p[few])
        hits[at, many] = _by_normal(deviate[at, many] * sign[many], trials[at, many], p[many])
    return np.where(flip, trials - hits, hits)


def _by_normal(z: Array, n: Array, p: Array) -> Array:
    """Return counts, (R, C), by normal quantiles with corrections for skewness and kurtosis."""
    root, skew, square = np.sqrt(n * (p * (1 - p))), 1 - 2 * p, z * z
    bent = (1 - 6 * p * (1 - p)) / 24 * (square - 3) - skew * skew / 36 * (2 * square - 5)
    skewed = n * p + z * (root + bent / np.maximum(root, 1)) + skew / 6 * (square - 1)
    # the count at which the distribution function, at half-way to the next one, reaches u
    return np.clip(np.ceil(skewed - 0.5), 0, n)


def _summed(u: Array, trials: Array, p: Array) -> Array:
    """Return the smallest counts whose distribution function reaches `u`, (R, C), by summing up the
    probabilities of 0, 1, 2, ..."""
    hits = np.zeros(u.shape)
    chance = np.exp(trials * np.log1p(-p))
    left = np.flatnonzero((u > chance) & (trials > 0))
    ratio = (p / (1 - p)).take(left % max(len(p), 1))
    chance = chance.take(left)
    u, trials = u.take(left) - chance, trials.take(left)
    out, count = hits.reshape(-1), 0
    while len(left):
        count += 1
        out[left] = count
        chance *= ratio
        chance *= trials - count + 1
        chance /= count
        u -= chance
        more = np.flatnonzero((u > 0) & (count < trials))
        left, u, trials, ratio, chance = (x.take(more) for x in (left, u, trials, ratio, chance))
    return hits
