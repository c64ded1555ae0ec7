"""Intervals and p-values of differences between two errors or scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from calibtool.intervals.inversion import Inverted
from calibtool.intervals.shares import clopper_pearson
from calibtool.types import Array

# Normal deviates up to which p-values are searched: erfc(12 / sqrt(2)) is 4e-33, far below what
# any number of replicates could support.
_FARTHEST = 12.0
# Points on the ellipse of deviates, two per degree and both ends: the extremes on a smooth ellipse
# are missed by a factor of 1 - cos(0.25 degrees) at most, 1e-5 of the width.
_ANGLES = 721
# P-values between which errors come to be known as above 0: a factor of 2 around 0.05 each.
_KNOWN = (0.025, 0.1)
# By how much a negative correlation is enlarged: -0.2 counts as -1, so that there is no jump at 0.
_STEEP = 5.0
# Shares of two errors' intervals that are due to their unknown shapes, on average, from which and
# up to which they count. Below a fifth noise hides them: on the populations of
# benchmarks/coverage.py they are 0 to 0.2, but for class-wise errors of gaps near their noise.
_SHAPED = (0.2, 0.28)


def difference(
    before: Inverted,
    after: Inverted,
    correlation: float,
    level: float,
    reach: float = math.inf,
    jitter: float = 0.0,
) -> tuple[float, float]:
    """Return the interval of after - before, from their intervals and their correlation.

    MOVER (Zou & Donner 2008) on confidence curves: each error is a curve over standard normal
    deviates z, drawn through its low end, its estimate and its high end, and flat once it has
    reached 0. The interval is what the difference attains on the ellipse of pairs (z, z') within
    the level, in which the deviates are correlated as `_shared` says.

    Where an error may be 0, its estimate lies above most of what it may be. The difference then
    reaches at least to the other error's end: as if this error were 0. It also reaches the
    difference of two errors that are no more than the mean gap (`_shifted`).

    Args:
        before, after: the inverted intervals of the two errors, at the same level.
        correlation: of the two errors' bootstrap replicates, -1 to 1.
        level: of the interval.
        reach: the largest difference, of either sign, that the paired rows leave possible at this
            level (`evaluation.pairs`). The interval is cut there.
        jitter: how far the ends of the two intervals may be off by the noise of their draws; 0
            where both were made of the same draws, so that it cancels. The interval is widened by
            it.

    >>> before, after = Inverted(0.1, 0.3, 0.2, 0.0), Inverted(0.4, 0.6, 0.5, 0.0)
    >>> [round(end, 3) for end in difference(before, after, 0.0, 0.95)]
    [0.159, 0.441]
    >>> [round(end, 3) for end in difference(before, after, 0.0, 0.95, reach=0.2)]
    [0.159, 0.2]
    """
    low, high = _ends(before, after, correlation, level, _deviate(level), jitter)
    return max(min(low, reach), -reach), max(min(high, reach), -reach)


def p_of_difference(
    before: Inverted, after: Inverted, correlation: float, level: float, jitter: float = 0.0
) -> float:
    """Return the smallest 1 - level at which the interval of `difference` excludes 0.

    It is below 1 - `level` exactly where the interval at `level` excludes 0. A `reach` decides
    nothing here: it never excludes 0. Beyond `level`, where the ends of the two errors' intervals
    are not known, their confidence curves are extended as straight lines in normal deviates, but
    not below an error of 0.

    >>> before, after = Inverted(0.1, 0.3, 0.2, 0.0), Inverted(0.4, 0.6, 0.5, 0.0)
    >>> p_of_difference(before, before, 0.0, 0.95)
    1.0
    >>> p_of_difference(before, after, 0.0, 0.95) < 1e-4
    True
    """

    def excludes(deviate: float) -> bool:
        low, high = _ends(before, after, correlation, level, deviate, jitter)
        return low > 0 or high < 0

    # bisection for the deviate at which the interval stops excluding 0; p = 2 (1 - Phi(deviate))
    low, high = 0.0, _FARTHEST
    if not excludes(1e-9):  # the estimates themselves are equal, or both errors may be 0
        return 1.0
    if excludes(high):
        low = high
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if excludes(middle) else (low, middle)
    p_value = math.erfc(low / math.sqrt(2))
    return _agreeing(p_value, level, excludes=excludes(_deviate(level)))


def _deviate(level: float) -> float:
    """Return the normal deviate of a two-sided level, 1.96 for 95 %."""
    return NormalDist().inv_cdf((1 + level) / 2)


def _ends(
    before: Inverted,
    after: Inverted,
    correlation: float,
    level: float,
    deviate: float,
    jitter: float,
) -> tuple[float, float]:
    """Return the ends of the difference's interval at a normal deviate, that of `level` or
    another."""
    known = _deviate(level)
    rho = _shared(before, after, correlation)
    # (cos, rho cos + sqrt(1 - rho^2) sin) runs around x^2 - 2 rho x y + y^2 = 1 - rho^2, a level
    # set of two normal deviates with correlation rho
    angle = np.linspace(0, 2 * np.pi, _ANGLES)
    x = deviate * np.cos(angle)
    y = deviate * (rho * np.cos(angle) + math.sqrt(1 - rho * rho) * np.sin(angle))
    change = _curve(after, x, known) - _curve(before, y, known)
    low, high = float(change.min()), float(change.max())
    most = np.array([-deviate, deviate])
    (low_before, high_before), (low_after, high_after) = (
        _curve(error, most, known).tolist() for error in (before, after)
    )
    if low_before <= 0:
        high = max(high, high_after)
    if low_after <= 0:
        low = min(low, -high_before)
    low, high = low - jitter, high + jitter
    shifted = _shifted(before, after, deviate, known)
    return min([low, *shifted]), max([high, *shifted])


def _shifted(before: Inverted, after: Inverted, deviate: float, known: float) -> list[float]:
    """Return the changes that are left if each error is no more than its mean gap: where a shift of
    all scores is all that is wrong, before and after.

    Both mean gaps are off by the same outcomes, so that |gap after| - |gap before| moves from what
    is seen only where one of them may be of either sign. There, noise moves the two errors in
    opposite directions, which replicates of an error near 0 do not show. A pair of gaps that an
    error's interval refutes is left out.
    """
    if before.drift is None or after.drift is None:
        return []
    drifts = ((before, before.drift, -1), (after, after.drift, 1))
    z = np.linspace(-deviate, deviate, _ANGLES)
    change = np.full(len(z), after.corrected - before.corrected)
    kept = np.ones(len(z), bool)
    for error, (low, seen, high), sign in drifts:
        gap = np.abs(seen + np.where(z < 0, seen - low, high - seen) / known * z)
        least, most = _curve(error, np.array([-deviate, deviate]), known).tolist()
        kept &= (least <= gap) & (gap <= most)
        change += sign * (gap - abs(seen))
    return np.asarray(change[kept]).tolist()


def _shared(before: Inverted, after: Inverted, correlation: float) -> float:
    """Return the correlation of the two errors' noise, -1 to 1, from that of their replicates.

    Of a positive one, half is sure: where gaps may be 0, noise of either sign makes an error
    larger, which replicates around gaps that are seen do not show. Where both errors are known to
    be above 0 (p-values below 0.05), noise moves them as it moves the replicates, and
    rho (1 + rho) / 2 is taken; in between, something in between. A negative one is taken as far
    as it may go: beyond -0.2, as -1. So is one of errors whose shapes count (`_unshared`).
    Measured by benchmarks/coverage.py.
    """
    if correlation <= 0:
        noise = max(_STEEP * correlation, -1.0)
    else:
        p_value = max(before.p_value, after.p_value)
        least, most = _KNOWN
        share = math.log(most / max(p_value, 1e-12)) / math.log(most / least)
        noise = correlation * (1 + min(max(share, 0.0), 1.0) * correlation) / 2
    return noise - _unshared(before, after, correlation) * (1 + noise)


def _unshared(before: Inverted, after: Inverted, correlation: float) -> float:
    """Return how much it counts that the two errors may be of different shapes, 0 to 1.

    Noise adds more to an error concentrated in a few bins than to one spread over many. If the
    first turns into the second, or the other way round, both estimates are off, in opposite
    directions, which no noise does. Of bins whose gaps are no larger than their noise, as of many
    classes, the rows do not say which it is, and the intervals consist of it to a good part. But
    the more the replicates correlate, the more are the two errors those of the same gaps.
    """
    widths = [error.high - error.low for error in (before, after)]
    if min(widths) <= 0:
        return 0.0
    share = (before.shape / widths[0] + after.shape / widths[1]) / 2
    least, most = _SHAPED
    counts = min(max((share - least) / (most - least), 0.0), 1.0)
    return counts * min(2 * (1 - correlation), 1.0)


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


class Discordant(NamedTuple):
    """Rows of equal weight whose outcome (right or wrong, say) differs between two variants.

    Attributes:
        gained: rows that have it after but not before.
        lost: rows that have it before but not after.
        rows: all rows.
    """

    gained: float
    lost: float
    rows: float


def of_shares(seen: Discordant, level: float) -> tuple[float, float]:
    """Return the interval of the change of a share, (gained - lost) / rows.

    MOVER (Zou & Donner 2008) on the exact intervals (Clopper & Pearson 1934) of the two shares
    gained and lost, so that a change of which no row is seen is not taken to be impossible. Their
    correlation is that of two categories of a multinomial.

    >>> [round(end, 4) for end in of_shares(Discordant(0, 0, 300), 0.95)]  # 1 - 0.025 ** (1 / 300)
    [-0.0122, 0.0122]
    """
    rate = np.array([seen.gained, seen.lost]) / seen.rows
    low, high = clopper_pearson(rate, np.full(2, seen.rows), level)
    below, above = rate - low, high - rate
    rho = -float(np.sqrt(np.prod(rate / np.maximum(1 - rate, 1e-12))))
    rho = max(rho, -1.0)
    change = float(rate[0] - rate[1])
    down, up = (
        math.sqrt(float(x * x + y * y - 2 * rho * x * y))
        for x, y in ((below[0], above[1]), (above[0], below[1]))
    )
    return max(change - down, -1.0), min(change + up, 1.0)


def p_of_shares(seen: Discordant, level: float) -> float:
    """Return the smallest 1 - level at which the interval of `of_shares` excludes 0; it is below
    1 - `level` exactly where the one at `level` does.

    >>> p_of_shares(Discordant(4, 4, 300), 0.95), p_of_shares(Discordant(40, 4, 300), 0.95) < 1e-6
    (1.0, True)
    """

    def excludes(level: float) -> bool:
        low, high = of_shares(seen, level)
        return low > 0 or high < 0

    if seen.gained == seen.lost:
        return 1.0
    least, most = -15.0, 0.0  # decimal logarithms of p-values: bisection where the interval ends
    while most - least > 1e-6:
        middle = (least + most) / 2
        least, most = (least, middle) if excludes(1 - 10**middle) else (middle, most)
    return _agreeing(10**most, level, excludes=excludes(level))


def _agreeing(p_value: float, level: float, *, excludes: bool) -> float:
    """Return a p-value that agrees with whether the interval at a level excludes 0."""
    alpha = round(1 - level, 12)  # 1 - 0.95 is 0.050000000000000044 in binary
    return min(p_value, math.nextafter(alpha, 0.0)) if excludes else max(p_value, alpha)


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
    return p_of_kinds([drawn], level)


def p_of_kinds(kinds: Sequence[Array], level: float) -> float:
    """Return the smallest 1 - level at which the interval over all kinds excludes 0.

    The interval runs from the lowest lower quantile of a kind to the highest upper one, so that the
    kind with most on the other side of 0 decides (`intervals.unseen`).

    Args:
        kinds: (R,) replicates of the difference each.
        level: of the interval that the p-value goes with; both agree on significance at it.

    >>> p_of_kinds([np.linspace(-1, 3, 101), np.linspace(1, 2, 101)], 0.95)
    0.5
    """
    known = [np.sort(drawn[np.isfinite(drawn)]) for drawn in kinds]
    known = [drawn for drawn in known if len(drawn)]
    if not known or all(drawn[0] == drawn[-1] == 0 for drawn in known):
        return 1.0
    below = max(map(_share_below, known))
    p = 2 * min(below, max(_share_below(-drawn[::-1]) for drawn in known))
    alpha = round(1 - level, 12)  # 1 - 0.95 is 0.050000000000000044 in binary
    if p >= alpha:
        return min(p, 1.0)
    # with few replicates in the tail, no smaller than a normal distribution has it
    normal = [
        math.erfc(abs(float(drawn.mean())) / float(drawn.std()) / math.sqrt(2))
        for drawn in known
        if drawn.std() > 0
    ]
    # the interval excludes 0 at this level, so the p-value has to stay below 1 - level
    return min(max([p, *normal]), math.nextafter(alpha, 0.0))


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
