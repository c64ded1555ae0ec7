"""Tails of the Poisson binomial distribution: sums of 0s and 1s of unequal probability.

By the saddlepoint approximation of Lugannani & Rice (1980) for lattice variables (Daniels 1987,
sec. 4: the second continuity correction). Where few of the terms have a probability away from 0 and
1, a normal approximation is far off; this one is accurate to a few per cent there too.
"""

from __future__ import annotations

import numpy as np

from calibtool.types import Array

# Largest tilt (shift of the log-odds): exp(40) is 2e17, beyond 1 / machine epsilon, so that further
# tilting changes no probability above 1e-17.
_FARTHEST = 40.0
# Newton's or bisection steps: 50 halvings of [-40, 40] leave 7e-14.
_STEPS = 50
# Probabilities are kept this far off 0 and 1, where log-odds are infinite: by less than a double
# resolves.
_SMALLEST, _LARGEST = 1e-300, 1 - 1e-16


def two_sided(gap: Array, count: Array, prob: Array) -> Array:
    """Return the two-sided p-value of each sum, (S,): twice the smaller tail, at most 1.

    Args:
        gap: (S,) each sum minus its expectation.
        count: (S, B) the number of terms with each probability.
        prob: (B,) or (S, B) the probabilities, in [0, 1].

    >>> p = two_sided(np.array([3.0]), np.array([[10.0]]), np.array([0.5]))
    >>> round(float(p[0]), 3)  # 8 or more of 10: 56 / 1,024, twice
    0.109
    """
    p = np.broadcast_to(np.clip(prob, _SMALLEST, _LARGEST), count.shape)
    # count the 1s where there are too many, else the 0s: the tail of interest is then the upper one
    toward = np.where(gap[:, None] > 0, p, 1 - p)
    return np.minimum(1.0, 2 * _upper((count * toward).sum(axis=1) + np.abs(gap), count, toward))


def excess(gap: Array, count: Array, prob: Array, level: float) -> tuple[Array, Array]:
    """Return low and high, (S,): how far each sum's true expectation lies above that of `prob`.

    The interval holds the shifts of the log-odds of all terms at which neither tail is below
    (1 - level) / 2, as expectations. It excludes 0 where `two_sided` is below 1 - level.

    Args:
        gap, count, prob: as of `two_sided`.
        level: of the interval, between 0 and 1.

    >>> low, high = excess(np.array([3.0]), np.array([[10.0]]), np.array([0.5]), 0.95)
    >>> round(float(low[0]), 2), round(float(high[0]), 2)  # Clopper & Pearson: -0.56, 4.75
    (-0.56, 4.75)
    """
    p = np.broadcast_to(np.clip(prob, _SMALLEST, _LARGEST), count.shape)
    mean = (count * p).sum(axis=1)
    tail = (1 - level) / 2
    odds = np.log(p) - np.log1p(-p)

    def shifted(by: Array) -> Array:
        # exp(690) does not overflow, and 1 / (1 + exp(-36)) is the last below 1
        return np.asarray(1 / (1 + np.exp(-np.clip(odds + by[:, None], -690, 36))))

    ends = []
    for tail_of, sign in ((_upper, 1), (_lower, -1)):
        # bisection: at `near` the tail is larger than `tail`, at `far` it is smaller
        near, far = np.full(len(gap), _FARTHEST), np.full(len(gap), -_FARTHEST)
        for _ in range(_STEPS):
            middle = (near + far) / 2
            large = tail_of(mean + gap, count, shifted(sign * middle)) > tail
            near, far = np.where(large, middle, near), np.where(large, far, middle)
        ends.append((count * shifted(sign * near)).sum(axis=1) - mean)
    return ends[0], ends[1]


def _lower(x: Array, count: Array, p: Array) -> Array:
    """Return P(sum <= x) for x below the mean, and 1 for x above it."""
    return _upper(count.sum(axis=1) - x, count, 1 - p)


def _upper(x: Array, count: Array, p: Array) -> Array:
    """Return P(sum >= x) for x above the mean, and 1 for x below it.

    With the cumulant function K, the tilt t at which K'(t) is the target, w = sqrt(2 (t x - K(t)))
    and u = 2 sinh(t / 2) sqrt(K''(t)), the tail is 1 - Phi(w) + phi(w) (1 / u - 1 / w).
    """
    from calibtool.intervals.special import ndtr

    total = count.sum(axis=1)
    mean = (count * p).sum(axis=1)
    # x - 1/2 is the continuity correction of a lattice; all 1s would need an infinite tilt
    target = np.minimum(x - 0.5, total - 1e-9 * np.maximum(total, 1))
    above = (x > mean) & (total > 0)
    with np.errstate(over="ignore"):
        t = _tilt(np.where(above, np.maximum(target, mean), mean), count, p)
        tilted = _tilted(t, p)
        k = (count * _log(t, p)).sum(axis=1)
        second = (count * tilted * (1 - tilted)).sum(axis=1)
        w = np.sqrt(np.maximum(2 * (t * np.maximum(target, mean) - k), 0))
        u = 2 * np.sinh(t / 2) * np.sqrt(second)
        # 1 / u - 1 / w cancels catastrophically near the mean: the limit takes over there
        near = (w < 1e-3) | (u <= 0)
        safe_w, safe_u = np.where(near, 1, w), np.where(near, 1, u)
        density = np.exp(-(w**2) / 2) / np.sqrt(2 * np.pi)
        tail = ndtr(-w) + density * (1 / safe_u - 1 / safe_w)
    tail = np.where(near, _middle(target - mean, count, p), tail)
    return np.where(above, np.clip(tail, 0, 1), 1.0)


def _middle(off: Array, count: Array, p: Array) -> Array:
    """Return the tail of a target that lies `off` the mean by less than the formula can resolve.

    The limit at the mean is 1/2 - skewness / (6 sqrt(2 pi)); the normal density leads on from it.
    """
    second = (count * p * (1 - p)).sum(axis=1)
    third = (count * p * (1 - p) * (1 - 2 * p)).sum(axis=1)
    scale = np.sqrt(np.maximum(second, 1e-24))
    return np.asarray(0.5 - (third / (6 * scale**3) + off / scale) / np.sqrt(2 * np.pi))


def _tilt(target: Array, count: Array, p: Array) -> Array:
    """Return the tilt at which the sum's expectation is the target: Newton's method in brackets."""
    low, high = np.zeros(len(target)), np.full(len(target), _FARTHEST)
    t = np.zeros(len(target))
    for _ in range(_STEPS):
        tilted = _tilted(t, p)
        off = (count * tilted).sum(axis=1) - target
        if (np.abs(off) <= 1e-9 * np.maximum(target, 1)).all():
            break
        low, high = np.where(off < 0, t, low), np.where(off < 0, high, t)
        slope = (count * tilted * (1 - tilted)).sum(axis=1)
        step = np.divide(off, slope, out=np.full(len(t), np.inf), where=slope > 1e-12)
        t = np.where((t - step > low) & (t - step < high), t - step, (low + high) / 2)
    return t


def _tilted(t: Array, p: Array) -> Array:
    """Return the probabilities with log-odds higher by t."""
    grown = p * np.exp(t)[:, None]
    return np.asarray(grown / (1 - p + grown))


def _log(t: Array, p: Array) -> Array:
    """Return each term's cumulant function at t, log(1 - p + p exp(t))."""
    return np.asarray(np.log1p(p * np.expm1(t)[:, None]))
