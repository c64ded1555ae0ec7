"""Norms: how the gaps of a profile combine into one number. The last axis is the profile."""

from __future__ import annotations

import math

import numpy as np

from calibtool.metrics.profiles import Profile
from calibtool.types import Array

# NumPy adds up a row in so many lanes; rows are short below so many columns.
_LANES, _SHORT = 8, 24


def l1(q: Profile) -> Array:
    """Return the sum of |gap|: the mean absolute gap of a row's bin (Guo et al. 2017, eq. 3)."""
    return sums(np.abs(q.gap))


def l2(q: Profile) -> Array:
    """Return the root of the weighted mean squared gap of a bin (Kumar et al. 2019, p = 2)."""
    return np.asarray(np.sqrt(sums(q.gap * _ratio(q))))


def sums(values: Array) -> Array:
    """Return the sums along the last axis as `values.sum(-1)` does, to the bit.

    Of many short rows, such as the bins of every class in every replicate, NumPy needs longer for
    each than for its numbers. Columns are added here, in the order of NumPy: in eight lanes, then
    the lanes in pairs, then what is left of a row.

    >>> float(sums(np.full((1, 10), 0.1))[0])
    1.0
    """
    columns = values.shape[-1]
    if not (_LANES <= columns < _SHORT and values.ndim > 1 and values.flags.c_contiguous):
        return np.asarray(values.sum(-1))
    column = np.moveaxis(values, -1, 0)
    whole = columns - columns % _LANES
    lanes = list(column[:_LANES])
    for low in range(_LANES, whole, _LANES):
        lanes = [a + b for a, b in zip(lanes, column[low : low + _LANES], strict=True)]
    while len(lanes) > 1:
        lanes = [a + b for a, b in zip(lanes[::2], lanes[1::2], strict=True)]
    total = np.asarray(lanes[0])
    for left in column[whole:]:
        total += left
    return total


def worst(q: Profile) -> Array:
    """Return the largest |accuracy - confidence| of a non-empty bin (Naeini et al. 2015)."""
    return np.asarray(np.abs(_ratio(q)).max(-1))


def average(q: Profile) -> Array:
    """Return the unweighted mean |accuracy - confidence| of the non-empty bins.

    Neumann et al. 2018.
    """
    return np.asarray(np.abs(_ratio(q)).sum(-1) / (q.mass > 0).sum(-1))


def over(q: Profile) -> Array:
    """Return the part of l1 where the confidence is above the accuracy."""
    return np.asarray(np.maximum(-q.gap, 0).sum(-1))


def under(q: Profile) -> Array:
    """Return the part of l1 where the confidence is below the accuracy."""
    return np.asarray(np.maximum(q.gap, 0).sum(-1))


def debiased_l2(q: Profile) -> Array:
    """Return l2 with the expected square of each bin's noise subtracted under the root.

    The noise of a bin of n rows and outcome rate r is r (1 - r) / (n - 1) (Kumar et al. 2019, def.
    5.2). The difference is cut at 0. A bin of one row, whose noise is unknown, is left out.
    """
    count = q.mass * q.rows
    several = count > 1  # by weight: row weights are taken as numbers of rows
    rate = np.clip(q.score + _ratio(q), 0, 1)
    noise = np.divide(rate * (1 - rate), count - 1, out=np.zeros_like(rate), where=several)
    square = np.where(several, q.mass * (_ratio(q) ** 2 - noise), 0).sum(-1)
    return np.asarray(np.sqrt(np.maximum(square, 0)))


def debiased_l1(q: Profile) -> Array:
    """Return twice l1 minus its mean under noise added to every bin's outcome rate.

    The noise is normal, of variance r (1 - r) / n in a bin of n rows and outcome rate r (Kumar et
    al. 2019, app. G.3: drawn there, in closed form here).
    """
    from calibtool.intervals.special import ndtr

    ratio = np.abs(_ratio(q))
    rate = np.clip(q.score + _ratio(q), 0, 1)
    count = np.where(q.mass > 0, q.mass * q.rows, 1)
    spread = np.sqrt(rate * (1 - rate) / count)
    z = np.divide(ratio, spread, out=np.full_like(ratio, np.inf), where=spread > 0)
    # the mean of |x| for a normal x of mean `ratio` and deviation `spread` (folded normal)
    noisy = np.where(spread > 0, spread * math.sqrt(2 / math.pi) * np.exp(-z * z / 2), 0)
    noisy = noisy + ratio * (1 - 2 * ndtr(-z))
    return np.asarray(np.maximum((q.mass * (2 * ratio - noisy)).sum(-1), 0))


def _ratio(q: Profile) -> Array:
    """Return accuracy - confidence of each bin, 0 where the bin is empty."""
    return np.asarray(np.divide(q.gap, q.mass, out=np.zeros_like(q.gap), where=q.mass > 0))
