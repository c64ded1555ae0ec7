"""The largest shift of all scores that the mean gap does not refute.

Candidates that scale or thin out the observed gap are never a pure shift, under which noise varies
most and adds least to an error: their upper ends lie too low if the truth is one. How large a shift
may be, the mean gap alone says. A shift by t is refuted if a mean gap as small as the observed one,
in absolute terms, has a probability below the interval's tail (a *folded* test: with a normal mean
gap d of standard deviation s, t is 1.96 s + |d| where |d| is large).

Of one problem the number of outcomes is taken for binomial, with the mean and the variance that it
has if the shift is true: so the test holds with few events too. Of several problems (classes) the
mean gaps drawn from calibrated candidates are shifted, since those of classes are correlated.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calibtool.types import Array

# Standard deviations beyond the observed mean gaps at which every shift is refuted.
_FAR = 12.0
_STEPS = 50  # bisections, to the last digits


def largest(score: Array, rows: Array, gap: float, level: float) -> float:
    """Return the largest shift, in either direction, that a mean gap does not refute.

    Args:
        score: (C,) mean score of each cell.
        rows: (C,) its effective number of rows.
        gap: mean outcome - mean score.
        level: of the interval whose upper end the shift is.

    >>> cells = np.array([0.5]), np.array([400.0])  # the mean of 400 rows varies by 0.025
    >>> [round(largest(*cells, gap, 0.95), 3) for gap in (0.0, 0.1)]
    [0.024, 0.148]
    >>> cells = np.array([1e-9]), np.array([60.0])  # no event in 60 rows: 1 - 0.025^(1/60)
    >>> round(largest(*cells, 0.0, 0.95), 4)
    0.0596
    """
    total = float(rows.sum())
    if not total > 0:
        return 0.0
    tail = (1 - level) / 2
    shifts = [abs(gap)]
    # the rarer side of outcomes is counted, so that few events are few
    rare = score if float(rows @ score) <= total / 2 else 1 - score
    for sign in (1.0, -1.0):
        expected = float(rows @ rare)
        ends = expected - abs(gap) * total, expected + abs(gap) * total

        def kept(t: float, sign: float = sign, ends: tuple[float, float] = ends) -> bool:
            rate = np.clip(rare + sign * t, 0, 1)
            return _between(*ends, float(rows @ rate), float(rows @ (rate * (1 - rate)))) >= tail

        # rates end at 0 and 1: what counts is how far the mean has moved
        moved = np.clip(rare + sign * _last(kept, 0.0, 1.0), 0, 1) - rare
        shifts.append(abs(float(rows @ moved)) / total)
    return max(shifts)


def _between(low: float, high: float, mean: float, variance: float) -> float:
    """Return the probability that a count of this mean and variance lies between `low` and `high`,
    both included.

    The count is binomial with the trials n and the rate r that give mean n r and variance
    n r (1 - r); its distribution function, at any real count, is that of a beta variable.
    """
    from scipy.special import betainc

    # at least half a trial that is not a certainty keeps the rate off 0
    rate = min(max(1 - variance / mean, 1e-9), 1.0) if mean > 0 else 1.0
    if mean <= 0 or rate >= 1.0:
        return float(low - 1e-9 <= mean <= high + 1e-9)
    trials = mean / rate

    def below(k: float) -> float:
        """Return the probability of at most k, a continuous function of k from -1 on."""
        if k <= -1 or k >= trials:
            return float(k >= trials)
        return float(betainc(trials - k, k + 1, 1 - rate))

    return below(high + 1e-9) - below(low - 1 - 1e-9)


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
