"""The largest shift of all scores that the mean gap does not refute.

Candidates that scale or thin out the observed gap are never a pure shift, under which noise varies
most and adds least to an error: their upper ends lie too low if the truth is one. How large a shift
may be, the mean gap alone says: a shift is refuted if a number of outcomes as far on the other side
of what it predicts has a probability below the interval's tail. With many rows these are the ends
of the interval of the bias, so that an error that is never below |bias| has an upper end that is
never below that of |bias|.

Of one problem the number of outcomes is taken for binomial, with the mean and the variance that it
has if the shift is true: so the test holds with few events too. Of several problems (classes) the
mean gaps drawn from calibrated candidates are shifted, since those of classes are correlated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from calibtool.intervals import beta
from calibtool.types import Array

# Standard deviations beyond the observed mean gaps at which every shift is refuted.
_FAR = 12.0
_STEPS = 30  # bisections, to 1e-9 of a score
# Variance of a number of outcomes beyond which it counts as normal: its skewness is then at most
# 1 / sqrt(400) = 0.05.
MANY = 400


class Drift(NamedTuple):
    """The mean gap that all scores may share: outcome - score, the least, the seen and the most."""

    low: float
    seen: float
    high: float

    @property
    def largest(self) -> float:
        """The largest in either direction."""
        return max(abs(gap) for gap in self)


def largest(score: Array, rows: Array, gap: float, level: float) -> float:
    """Return the largest shift, in either direction, that a mean gap does not refute.

    Args:
        score: (C,) mean score of each cell.
        rows: (C,) its effective number of rows.
        gap: mean outcome - mean score.
        level: of the interval whose upper end the shift is.

    >>> cells = np.array([0.5]), np.array([400.0])  # the mean of 400 rows varies by 0.025
    >>> [round(largest(*cells, gap, 0.95), 3) for gap in (0.0, 0.1)]
    [0.05, 0.148]
    >>> cells = np.array([1e-9]), np.array([60.0])  # no event in 60 rows: 1 - 0.025^(1/60)
    >>> round(largest(*cells, 0.0, 0.95), 4)
    0.0596
    """
    return ends(score, rows, gap, level).largest


def ends(score: Array, rows: Array, gap: float, level: float) -> Drift:
    """Return the shifts that a mean gap does not refute, from the lowest to the highest.

    The arguments are those of `largest`.

    >>> cells = np.array([0.5]), np.array([400.0])
    >>> [round(gap, 3) for gap in ends(*cells, 0.1, 0.95)]
    [0.05, 0.1, 0.148]
    """
    total = float(rows.sum())
    if not total > 0:
        return Drift(0.0, 0.0, 0.0)
    tail = (1 - level) / 2
    # the rarer side of outcomes is counted, so that few events are few
    swapped = float(rows @ score) > total / 2
    rare, seen = (1 - score, -gap) if swapped else (score, gap)
    observed = float(rows @ rare) + seen * total
    found = []
    for sign in (-1.0, 1.0):

        def kept(t: float, sign: float = sign) -> bool:
            rate = np.clip(rare + sign * t, 0, 1)
            mean, variance = float(rows @ rate), float(rows @ (rate * (1 - rate)))
            return _as_far(observed, mean, variance, above=sign < 0) >= tail

        last = _last(kept, 0.0, 1.0) if kept(0.0) else _last(kept, -1.0, 0.0)
        # rates end at 0 and 1: what counts is how far the mean has moved
        moved = np.clip(rare + sign * last, 0, 1) - rare
        found.append(float(rows @ moved) / total)
    low, high = (-found[1], -found[0]) if swapped else found
    return Drift(min(low, gap), gap, max(high, gap))


def of_odds(score: Array, rows: Array, outcome: Array, level: float) -> list[Array]:
    """Return the outcome rates of the largest shifts of all log odds that are not refuted, (C,)
    each: one downwards, one upwards.

    Where scores span orders of magnitude, rates are off by a factor rather than by an amount. A
    mean of squared gaps is then that of the largest scores, of which the mean gap says little. So a
    shift is refuted by what it gains: the Brier score of the scores less that of the shifted rates
    is in proportion to the sum of (2 y - s - q)(q - s). If q is true, the chance of a gain as low
    as the observed one is the normal one, and has to be at least the interval's tail.

    Args:
        score, rows: those of `largest`.
        outcome: (C,) mean outcome of each cell.
        level: of the interval whose upper end the shifts make.

    >>> cells = np.array([0.5]), np.array([400.0]), np.array([0.5])
    >>> [rate.round(2).tolist() for rate in of_odds(*cells, 0.95)]
    [[0.45], [0.55]]
    """
    inside = np.clip(score, 1e-12, 1 - 1e-12)
    odds, tail = np.log(inside / (1 - inside)), (1 - level) / 2

    def rates(t: float) -> Array:
        return np.asarray(np.where(inside == score, 1 / (1 + np.exp(-odds - t)), score))

    def kept(t: float) -> bool:
        q = rates(t)
        push = rows * (q - score)
        spread = float(push * (q - score) @ (q * (1 - q)))
        # the chance of a gain as low as the observed one
        z = float(push @ (q - outcome)) / math.sqrt(max(spread, 1e-300))
        return math.erfc(z / math.sqrt(2)) / 2 >= tail

    down, up = _last(lambda t: kept(-t), 0.0, _FAR), _last(kept, 0.0, _FAR)
    return [rates(-down), rates(up)]


def design_effect(drawn: Array, gap: Array, mass: Array, score: Array, rows: Array) -> float:
    """Return how many times as much the mean gap varies as that of independent outcomes would.

    Rows of a cluster lie in many cells and move all their gaps together, so that the mean gap may
    vary many times more than the single gaps suggest, however many rows those are worth.

    Args:
        drawn: (R,) replicates of the mean gap, of whole clusters.
        gap, mass: (...) mean outcome - mean score of each cell times its mass, and its mass.
        score, rows: (...) its mean score, and its number of independent rows.

    >>> ones = np.ones(1)
    >>> alone = np.array([-0.05, 0.05])  # as much as of 100 rows
    >>> round(design_effect(alone, 0 * ones, ones, ones / 2, 100 * ones), 2)
    1.0
    """
    rate = np.clip(score + gap / np.where(mass > 0, mass, 1), 0, 1)
    alone = float((rows * rate * (1 - rate)).sum()) / float(rows.sum()) ** 2
    if not (alone > 0 and drawn.any()):
        return 1.0
    return max(float(drawn.var()) / alone, 1e-3)  # replicates of which none differs say nothing


def _as_far(observed: float, mean: float, variance: float, *, above: bool) -> float:
    """Return the probability that a count of this mean and variance is at most (or, if `above`, at
    least) the observed one.

    The count is binomial with the trials n and the rate r that give mean n r and variance
    n r (1 - r); its distribution function, at any real count, is that of a beta variable.
    """
    if variance > MANY:  # normal, with half a row for the steps between whole numbers
        z = (observed + (-0.5 if above else 0.5) - mean) / math.sqrt(2 * variance)
        return math.erfc(z if above else -z) / 2
    # at least half a trial that is not a certainty keeps the rate off 0
    rate = min(max(1 - variance / mean, 1e-9), 1.0) if mean > 0 else 1.0
    if mean <= 0 or rate >= 1.0:
        return float(observed <= mean + 1e-9 if above else observed >= mean - 1e-9)
    trials = mean / rate

    def below(k: float) -> float:
        """Return the probability of at most k, a continuous function of k from -1 on."""
        if k <= -1 or k >= trials:
            return float(k >= trials)
        return beta.probability(1 - rate, trials - k, k + 1)

    return 1 - below(observed - 1 - 1e-9) if above else below(observed + 1e-9)


def _last(kept: Callable[[float], bool], low: float, high: float) -> float:
    """Return the last of the values from `low` to `high` that is kept; `low` if none is."""
    if kept(high):
        return high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle) else (low, middle)
    return low


def largest_of_many(
    gap: Array,
    noise: Array,
    widened: Callable[[Array], Array],
    combine: Callable[[Array], Array],
    level: float,
) -> Array:
    """Return shifts of several problems, (K,), that together are as large as is not refuted.

    They lie on the curve that evens the observed mean gaps out, and then makes all of them grow
    (`inversion.spread`): noise adds least to those.

    Args:
        gap: (K,) observed mean gaps.
        noise: (K, R) mean gaps drawn if the scores are calibrated.
        widened: widened(shifts) to by how much noise grows under shifts, (K,) each.
        combine: combine(values) of problems, (K, ...), to that of the view, (...).
        level: of the interval whose upper end they make.

    >>> noise = np.stack([np.linspace(-1, 1, 101)] * 2)
    >>> ones, mean = (lambda shift: np.ones(2)), (lambda values: values.mean(axis=0))
    >>> largest_of_many(np.array([3.0, 3.0]), noise, ones, mean, 0.95).round(2)
    array([3.95, 3.95])
    """
    unit = np.maximum(noise.std(axis=1) * widened(gap), 1e-12)
    z = gap / unit
    peak, sign = float(np.abs(z).max()), np.where(z < 0, -1.0, 1.0)
    seen = float(combine(np.abs(gap)))

    def shifts(t: float) -> Array:
        far = np.minimum(np.abs(z), t) if t <= peak else np.abs(z) + (t - peak)
        return np.asarray(unit * sign * far)

    def kept(t: float) -> bool:
        moved = shifts(t)
        drawn = combine(np.abs(moved[:, None] + noise * widened(moved)[:, None]))
        return bool(np.quantile(drawn, (1 - level) / 2) <= seen)

    return shifts(_last(kept, 0.0, peak + _FAR))
