"""Quantiles of beta distributions, in NumPy: loading SciPy takes longer than computing them."""

from __future__ import annotations

import numpy as np

from calibtool.types import Array

_POINTS = 256  # of the grid: steps of a sixth of a standard deviation or less
# Where the density ends: beyond 8 standard deviations, or 30 powers of e below its peak.
_DEVIATIONS, _POWERS = 8.0, 30.0


def lower(a: Array, b: Array, share: float) -> Array:
    """Return the quantiles at `share` of beta distributions, to five digits.

    The density of the log-odds is smooth and falls exponentially on both sides, so that sums over
    an even grid are as good as integrals. Between two points the distribution function is a cubic.

    Args:
        a, b: (...) parameters above 0.
        share: in (0, 0.5].

    >>> lower(np.array([1.0, 10.0]), np.array([1.0, 1.0]), 0.5).round(4).tolist()
    [0.5, 0.933]
    """
    a, b = a[..., None], b[..., None]
    spread = np.sqrt((a + 1) / a**2 + (b + 1) / b**2)  # near the log-odds' own, which is trigamma
    peak = np.log(a) - np.log(b)
    low, high = (np.maximum(_DEVIATIONS * spread, _POWERS / side) for side in (a, b))
    step = (low + high) / (_POINTS - 1)
    odds = peak - low + step * np.arange(_POINTS)
    x = 1 / (1 + np.exp(-odds))

    def log_density(odds: Array) -> Array:
        return np.asarray(a * odds - (a + b) * np.logaddexp(0, odds))

    density = np.exp(log_density(odds) - log_density(peak))
    # the trapezoidal rule, with the first term of the Euler-Maclaurin formula at its upper end
    slope = density * (a - (a + b) * x)
    below = step * (density.cumsum(axis=-1) - density / 2) - step**2 / 12 * slope
    below, density = below / below[..., -1:], density / below[..., -1:]
    at = np.clip((below < share).sum(axis=-1, keepdims=True) - 1, 0, _POINTS - 2)
    left, right = (np.take_along_axis(below, k, -1) for k in (at, at + 1))
    from_left, from_right = (step * np.take_along_axis(density, k, -1) for k in (at, at + 1))
    t = (share - left) / np.maximum(right - left, 1e-300)
    for _ in range(3):  # Newton's method on the cubic of Hermite
        value = _hermite(t, left, right, from_left, from_right)
        rate = _hermite_rate(t, left, right, from_left, from_right)
        t = np.clip(t - (value - share) / np.maximum(rate, 1e-300), 0, 1)
    odds = peak - low + step * (at + t)
    return np.asarray(1 / (1 + np.exp(-odds)))[..., 0]


def _hermite(t: Array, left: Array, right: Array, slope: Array, end_slope: Array) -> Array:
    """Return the cubic with these values and slopes at 0 and 1."""
    u = 1 - t
    ends = left * (1 + 2 * t) * u**2 + right * t**2 * (3 - 2 * t)
    return np.asarray(ends + slope * t * u**2 - end_slope * t**2 * u)


def _hermite_rate(t: Array, left: Array, right: Array, slope: Array, end_slope: Array) -> Array:
    """Return the slope of that cubic."""
    u = 1 - t
    return np.asarray(
        6 * (right - left) * t * u + slope * u * (1 - 3 * t) + end_slope * t * (3 * t - 2)
    )
