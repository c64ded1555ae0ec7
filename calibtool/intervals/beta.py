"""Beta distributions, in NumPy: loading SciPy takes longer than computing them.

The density of the log-odds is smooth and falls exponentially on both sides, so that sums over an
even grid are as good as integrals. Between two points the distribution function is a cubic.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from calibtool.types import Array

_POINTS = 256  # of the grid: steps of a sixth of a standard deviation or less
# Where the density ends: beyond 8 standard deviations, or 30 powers of e below its peak.
_DEVIATIONS, _POWERS = 8.0, 30.0


def lower(a: Array, b: Array, share: float) -> Array:
    """Return the quantiles at `share` of beta distributions, (n,), to four digits.

    Args:
        a, b: (n,) parameters, at least 0.5.
        share: in (0, 0.5].

    >>> lower(np.array([1.0, 10.0]), np.array([1.0, 1.0]), 0.5).round(4).tolist()
    [0.5, 0.933]
    """
    grid = _Grid.of(a, b)
    at = (grid.below < share).sum(axis=-1) - 1
    cubic = grid.cubic(at)
    t = (share - cubic.left) / np.maximum(cubic.right - cubic.left, 1e-300)
    for _ in range(3):  # Newton's method
        rate = np.maximum(cubic.rate(t), 1e-300)
        t = np.clip(t - (cubic.value(t) - share) / rate, 0, 1)
    odds = grid.start + grid.step * (np.clip(at, 0, _POINTS - 2) + t)
    return _share(odds)


def below(a: Array, b: Array, x: Array) -> Array:
    """Return the chance that a beta variable is at most x, (n,).

    Args:
        a, b: (n,) parameters, at least 0.5.
        x: (n,) values in [0, 1].

    >>> below(np.array([1.0, 2.0]), np.array([1.0, 1.0]), np.array([0.3, 0.5])).round(4).tolist()
    [0.3, 0.25]
    """
    grid = _Grid.of(a, b)
    with np.errstate(divide="ignore"):
        place = (np.log(x) - np.log1p(-x) - grid.start) / grid.step
    place = np.clip(place, 0, _POINTS - 1)  # beyond the grid there is nothing
    at = np.clip(np.floor(place).astype(np.int64), 0, _POINTS - 2)
    return np.clip(grid.cubic(at).value(place - at), 0, 1)


def quantile(share: float, a: float, b: float) -> float:
    """Return the value below which a Beta(a, b) variable lies with probability `share`.

    By Newton's method, kept between bounds, to the last digits.

    Args:
        share: in (0, 1).
        a, b: above 0.

    >>> round(quantile(0.025, 60.0, 1.0), 6)  # 0.025 ** (1 / 60)
    0.940371
    """
    least, most = 0.0, 1.0
    mean = a / (a + b)
    spread = math.sqrt(mean * (1 - mean) / (a + b + 1))
    x = mean + NormalDist().inv_cdf(share) * spread
    if not 0 < x < 1:
        x = mean / 2 if x <= 0 else (1 + mean) / 2
    for _ in range(200):  # halving alone needs 60 steps
        excess = probability(x, a, b) - share
        least, most = (least, x) if excess > 0 else (x, most)
        density = math.exp((a - 1) * math.log(x) + (b - 1) * math.log1p(-x) - _log_beta(a, b))
        step = x - excess / density if density > 0 else math.nan
        after = step if least < step < most else (least + most) / 2
        if abs(after - x) <= 1e-15 * x or not least < after < most:
            return after
        x = after
    return x


def probability(x: float, a: float, b: float) -> float:
    """Return the probability that a Beta(a, b) variable is at most x, to the last digits.

    The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22), which is
    evaluated by the method of Lentz (Press et al. 2007, sec. 5.2 and 6.4).

    >>> round(probability(0.3, 1.0, 1.0), 12)
    0.3
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # there the fraction of the other side converges faster
        return 1 - probability(1 - x, b, a)
    tiny = 1e-300  # stands for a denominator of 0
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d or tiny)
    fraction = d
    for m in range(1, 1_000_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d, c = 1 / ((1 + term * d) or tiny), (1 + term / c) or tiny
            fraction *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    front = a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b)
    return math.exp(front) / a * fraction


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _share(odds: Array) -> Array:
    """Return the share with these log-odds."""
    return np.asarray(np.exp(-np.logaddexp(0, -odds)))


class _Cubic(NamedTuple):
    """Cubics with these values and slopes at 0 and 1, (n,) each (Hermite)."""

    left: Array
    right: Array
    slope: Array
    end_slope: Array

    def value(self, t: Array) -> Array:
        u = 1 - t
        ends = self.left * (1 + 2 * t) * u**2 + self.right * t**2 * (3 - 2 * t)
        return np.asarray(ends + self.slope * t * u**2 - self.end_slope * t**2 * u)

    def rate(self, t: Array) -> Array:
        u = 1 - t
        ends = 6 * (self.right - self.left) * t * u
        return np.asarray(ends + self.slope * u * (1 - 3 * t) + self.end_slope * t * (3 * t - 2))


class _Grid(NamedTuple):
    """The distribution of the log-odds on grids of _POINTS points.

    Attributes:
        start, step: (n,) the first point, and the distance of two.
        below: (n, _POINTS) the distribution function.
        density: (n, _POINTS) its derivative.
    """

    start: Array
    step: Array
    below: Array
    density: Array

    @classmethod
    def of(cls, a: Array, b: Array) -> _Grid:
        spread = np.sqrt((a + 1) / a**2 + (b + 1) / b**2)  # about the log-odds' own
        peak = np.log(a) - np.log(b)
        low, high = (np.maximum(_DEVIATIONS * spread, _POWERS / side) for side in (a, b))
        start, step = peak - low, (low + high) / (_POINTS - 1)
        odds = start[:, None] + step[:, None] * np.arange(_POINTS)

        def log_density(odds: Array) -> Array:
            return np.asarray(a[:, None] * odds - (a + b)[:, None] * np.logaddexp(0, odds))

        density = np.exp(log_density(odds) - log_density(peak[:, None]))
        # the trapezoidal rule, with the first term of the Euler-Maclaurin formula at its upper end
        slope = density * (a[:, None] - (a + b)[:, None] * _share(odds))
        sums = step[:, None] * (density.cumsum(axis=-1) - density / 2 - step[:, None] / 12 * slope)
        whole = sums[:, -1:]
        return cls(start, step, sums / whole, density / whole)

    def cubic(self, at: Array) -> _Cubic:
        """Return the distribution function between the points `at`, (n,), and the next."""
        at = np.clip(at, 0, _POINTS - 2)[:, None]
        left, right, slope, end_slope = (
            np.take_along_axis(values, k, -1)[:, 0]
            for values in (self.below, self.density)
            for k in (at, at + 1)
        )
        return _Cubic(left, right, self.step * slope, self.step * end_slope)
