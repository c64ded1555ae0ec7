"""Intervals and p-values of differences between two errors or scores."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from calibtool.intervals.inversion import Inverted
from calibtool.types import Array

# Normal deviates up to which p-values are searched: erfc(12 / sqrt(2)) is 4e-33, far below what
# any number of replicates could support.
_FARTHEST = 12.0
# Points on the ellipse of deviates, two per degree and both ends: the extremes on a smooth ellipse
# are missed by a factor of 1 - cos(0.25 degrees) at most, 1e-5 of the width.
_ANGLES = 721


def difference(
    before: Inverted, after: Inverted, correlation: float, level: float
) -> tuple[float, float]:
    """Return the interval of after - before, from their intervals and their correlation.

    MOVER (Zou & Donner 2008) on confidence curves: each error is a curve over standard normal
    deviates z, drawn through its low end, its estimate and its high end, and flat once it has
    reached 0. The interval is what the difference attains on the ellipse of pairs (z, z') within
    the level.

    Args:
        before, after: the inverted intervals of the two errors, at the same level.
        correlation: of the two errors' bootstrap replicates, -1 to 1.
        level: of the interval.

    >>> before, after = Inverted(0.1, 0.3, 0.2, 0.0), Inverted(0.4, 0.6, 0.5, 0.0)
    >>> [round(end, 3) for end in difference(before, after, 0.0, 0.95)]
    [0.159, 0.441]
    """
    change = _changes(before, after, correlation, level, NormalDist().inv_cdf((1 + level) / 2))
    return float(change.min()), float(change.max())


def p_of_difference(before: Inverted, after: Inverted, correlation: float, level: float) -> float:
    """Return the smallest 1 - level at which the interval of `difference` excludes 0.

    Beyond `level`, where the ends of the two errors' intervals are not known, their confidence
    curves are extended as straight lines in normal deviates, but not below an error of 0.

    >>> before, after = Inverted(0.1, 0.3, 0.2, 0.0), Inverted(0.4, 0.6, 0.5, 0.0)
    >>> p_of_difference(before, before, 0.0, 0.95)
    1.0
    >>> p_of_difference(before, after, 0.0, 0.95) < 1e-4
    True
    """

    def excludes(reach: float) -> bool:
        change = _changes(before, after, correlation, level, reach)
        return bool(change.min() > 0 or change.max() < 0)

    # bisection for the deviate at which the interval stops excluding 0; p = 2 (1 - Phi(deviate))
    low, high = 0.0, _FARTHEST
    if not excludes(1e-9):  # the estimates themselves are equal
        return 1.0
    if excludes(high):
        low = high
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if excludes(middle) else (low, middle)
    return math.erfc(low / math.sqrt(2))


def _changes(
    before: Inverted, after: Inverted, correlation: float, level: float, reach: float
) -> Array:
    """Return the differences, (_ANGLES,), on the ellipse of pairs of deviates within `reach`."""
    known = NormalDist().inv_cdf((1 + level) / 2)
    # Half the replicates' correlation: under the candidates at the ends, whose gaps are smaller,
    # the two errors are about half as correlated (measured by benchmarks/coverage.py).
    rho = correlation / 2
    # (cos, rho cos + sqrt(1 - rho^2) sin) runs around x^2 - 2 rho x y + y^2 = 1 - rho^2, a level
    # set of two normal deviates with correlation rho
    angle = np.linspace(0, 2 * np.pi, _ANGLES)
    x = reach * np.cos(angle)
    y = reach * (rho * np.cos(angle) + math.sqrt(1 - rho * rho) * np.sin(angle))
    return np.asarray(_curve(after, x, known) - _curve(before, y, known))


def _curve(error: Inverted, z: Array, reach: float) -> Array:
    """Return the confidence bound of an error at each deviate `z`.

    It is linear from the estimate at 0 to the two ends at -reach and reach, and extended beyond
    them. Below, it is flat from where the error has reached its smallest value.
    """
    # The lower bound reaches its smallest value at the deviate whose upper tail is the p-value of
    # perfect calibration, which may lie within the interval.
    flat = min(reach, NormalDist().inv_cdf(min(max(1 - error.p_value, 1e-9), 1 - 1e-9)))
    low = flat if flat > 0 else reach
    fall = (error.corrected - error.low) / low
    rise = (error.high - error.corrected) / reach
    floor = error.low if flat < reach else 0.0
    bound = error.corrected + np.where(z < 0, fall, rise) * z
    return np.asarray(np.maximum(bound, max(floor, 0.0)))


def p_of_replicates(drawn: Array, level: float) -> float:
    """Return the smallest 1 - level at which the percentile interval of a difference excludes 0.

    Below 1 - level few replicates are left in the tail; there the p-value is at least that of a
    normal distribution with the replicates' mean and spread.

    Args:
        drawn: (R,) bootstrap replicates of the difference; those that are not finite are left out.
        level: of the interval that the p-value goes with. Both always agree on whether the
            difference is significant at this level.

    >>> p_of_replicates(np.linspace(-1, 3, 101), 0.95), p_of_replicates(np.zeros(9), 0.95)
    (0.5, 1.0)
    """
    drawn = np.sort(drawn[np.isfinite(drawn)])
    if not len(drawn) or drawn[0] == drawn[-1] == 0:
        return 1.0
    p = 2 * min(_share_below(drawn), _share_below(-drawn[::-1]))
    alpha = round(1 - level, 12)  # 1 - 0.95 is 0.050000000000000044 in binary
    if p >= alpha:
        return min(p, 1.0)
    spread = float(drawn.std())
    normal = math.erfc(abs(float(drawn.mean())) / spread / math.sqrt(2)) if spread else 0.0
    # the interval excludes 0 at this level, so the p-value has to stay below 1 - level
    return min(max(p, normal), math.nextafter(alpha, 0.0))


def _share_below(drawn: Array) -> float:
    """Return the largest share whose quantile of the sorted values is at most 0, or 0.

    Quantiles are interpolated between values, as by `numpy.quantile`.
    """
    at = int(np.searchsorted(drawn, 0.0, side="right")) - 1
    if at < 0:
        return 0.0
    if at == len(drawn) - 1:
        return 1.0
    fraction = -drawn[at] / (drawn[at + 1] - drawn[at])
    return float((at + fraction) / (len(drawn) - 1))
