"""Intervals and p-values of differences."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from calibtool.intervals.inversion import Inverted
from calibtool.types import Array

_FARTHEST = 12.0  # normal deviates; beyond, no p-value is told apart


def difference(
    before: Inverted, after: Inverted, correlation: float, level: float
) -> tuple[float, float]:
    """Interval of after - before from their own intervals and the correlation of their replicates.

    MOVER (Zou & Donner 2008) on confidence curves: each error is a curve over standard normal
    deviates z, drawn through its low end, its estimate and its high end, and flat once it has
    reached 0. The interval is what the difference attains on the ellipse of pairs (z, z') within
    the level. Half the replicates' correlation is used: under the candidates at the ends, whose
    gaps are smaller, errors go along with one another about half as much (benchmarks/coverage.py).

    >>> one, two = Inverted(0.1, 0.3, 0.2, 0.0), Inverted(0.4, 0.6, 0.5, 0.0)
    >>> [round(end, 3) for end in difference(one, two, 0.0, 0.95)]
    [0.159, 0.441]
    """
    change = _changes(before, after, correlation, level, NormalDist().inv_cdf((1 + level) / 2))
    return float(change.min()), float(change.max())


def p_of_difference(before: Inverted, after: Inverted, correlation: float, level: float) -> float:
    """The smallest 1 - level at which the interval of `difference` excludes 0.

    Beyond the level at which the two errors' own ends are known, their curves go on as straight
    as they are, in units of normal deviates, and no error below 0.

    >>> one, two = Inverted(0.1, 0.3, 0.2, 0.0), Inverted(0.4, 0.6, 0.5, 0.0)
    >>> p_of_difference(one, one, 0.0, 0.95), p_of_difference(one, two, 0.0, 0.95) < 1e-4
    (1.0, True)
    """

    def excludes(reach: float) -> bool:
        change = _changes(before, after, correlation, level, reach)
        return bool(change.min() > 0 or change.max() < 0)

    low, high = 0.0, _FARTHEST
    if not excludes(1e-9):
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
    """What the difference attains on the ellipse of pairs of deviates within `reach`."""
    known = NormalDist().inv_cdf((1 + level) / 2)
    rho = correlation / 2
    angle = np.linspace(0, 2 * np.pi, 721)
    x = reach * np.cos(angle)
    y = reach * (rho * np.cos(angle) + math.sqrt(1 - rho * rho) * np.sin(angle))
    return np.asarray(_curve(after, x, known) - _curve(before, y, known))


def _curve(error: Inverted, z: Array, reach: float) -> Array:
    """The confidence bound at each deviate, linear between those that are known, and on beyond
    them; flat where the error has reached its least."""
    flat = min(reach, NormalDist().inv_cdf(min(max(1 - error.p_value, 1e-9), 1 - 1e-9)))
    low = flat if flat > 0 else reach
    fall = (error.unbiased - error.low) / low
    rise = (error.high - error.unbiased) / reach
    least = error.low if flat < reach else 0.0
    bound = error.unbiased + np.where(z < 0, fall, rise) * z
    return np.asarray(np.maximum(bound, max(least, 0.0)))


def p_of_replicates(drawn: Array, level: float) -> float:
    """The smallest 1 - level at which the percentile interval of a difference excludes 0.

    Below 1 - level, where few replicates are left to tell, it is no less than a normal distribution
    of their mean and spread makes it.

    >>> p_of_replicates(np.linspace(-1, 3, 101), 0.95), p_of_replicates(np.zeros(9), 0.95)
    (0.5, 1.0)
    """
    drawn = np.sort(drawn[np.isfinite(drawn)])
    if not len(drawn) or drawn[0] == drawn[-1] == 0:
        return 1.0
    p = 2 * min(_share_below(drawn), _share_below(-drawn[::-1]))
    rest = round(1 - level, 12)
    if p >= rest:
        return min(p, 1.0)
    spread = float(drawn.std())
    normal = math.erfc(abs(float(drawn.mean())) / spread / math.sqrt(2)) if spread else 0.0
    return min(max(p, normal), math.nextafter(rest, 0.0))


def _share_below(drawn: Array) -> float:
    """The largest share whose quantile of sorted values is at most 0, between values too; 0 if
    there is none."""
    at = int(np.searchsorted(drawn, 0.0, side="right")) - 1
    if at < 0:
        return 0.0
    if at == len(drawn) - 1:
        return 1.0
    part = -drawn[at] / (drawn[at + 1] - drawn[at])
    return float((at + part) / (len(drawn) - 1))
