"""How a calibration error sums: norms of a profile. The last axis is the profile."""

from __future__ import annotations

import math

import numpy as np

from calibtool.metrics.profiles import Profile
from calibtool.types import Array


def l1(q: Profile) -> Array:
    """Sum of |gap|: the mean absolute gap of a row's bin (Guo et al. 2017, eq. 3)."""
    return np.asarray(np.abs(q.gap).sum(-1))


def l2(q: Profile) -> Array:
    """Root of the weighted mean squared gap of a bin (Kumar et al. 2019, p = 2)."""
    return np.asarray(np.sqrt((q.gap * _ratio(q)).sum(-1)))


def worst(q: Profile) -> Array:
    """Largest |accuracy - confidence| of a non-empty bin (Naeini et al. 2015)."""
    return np.asarray(np.abs(_ratio(q)).max(-1))


def average(q: Profile) -> Array:
    """Mean |accuracy - confidence| of the non-empty bins, each counting the same (Neumann et al.
    2018)."""
    return np.asarray(np.abs(_ratio(q)).sum(-1) / (q.mass > 0).sum(-1))


def over(q: Profile) -> Array:
    """The part of l1 where the confidence is above the accuracy."""
    return np.asarray(np.maximum(-q.gap, 0).sum(-1))


def under(q: Profile) -> Array:
    """The part of l1 where the confidence is below the accuracy."""
    return np.asarray(np.maximum(q.gap, 0).sum(-1))


def debiased_l2(q: Profile) -> Array:
    """l2 with the expected square of each bin's noise, r (1 - r) / (n - 1), taken off under the
    root, not below 0 (Kumar et al. 2019, def. 5.2). A bin of one row counts for nothing."""
    count = q.mass * q.rows
    several = count > 1
    rate = np.clip(q.score + _ratio(q), 0, 1)
    noise = np.divide(rate * (1 - rate), count - 1, out=np.zeros_like(rate), where=several)
    square = np.where(several, q.mass * (_ratio(q) ** 2 - noise), 0).sum(-1)
    return np.asarray(np.sqrt(np.maximum(square, 0)))


def debiased_l1(q: Profile) -> Array:
    """Twice l1 less its mean when every bin's outcome rate r is drawn again from a normal with
    variance r (1 - r) / n (Kumar et al. 2019, app. G.3: drawn there, in closed form here)."""
    from scipy.special import ndtr

    ratio = np.abs(_ratio(q))
    rate = np.clip(q.score + _ratio(q), 0, 1)
    count = np.where(q.mass > 0, q.mass * q.rows, 1)
    spread = np.sqrt(rate * (1 - rate) / count)
    z = np.divide(ratio, spread, out=np.full_like(ratio, np.inf), where=spread > 0)
    drawn = np.where(spread > 0, spread * math.sqrt(2 / math.pi) * np.exp(-z * z / 2), 0)
    drawn = drawn + ratio * (1 - 2 * ndtr(-z))
    return np.asarray(np.maximum((q.mass * (2 * ratio - drawn)).sum(-1), 0))


def _ratio(q: Profile) -> Array:
    """Gap of each bin as accuracy - confidence; 0 where the bin is empty."""
    return np.asarray(np.divide(q.gap, q.mass, out=np.zeros_like(q.gap), where=q.mass > 0))
