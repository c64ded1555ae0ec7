"""Tails of a sum of independent 0s and 1s with probabilities of their own (the Poisson binomial
distribution), by the saddlepoint approximation of Lugannani & Rice (1980) for lattices (Daniels
1987, sec. 4: the second continuity correction).

A normal approximation is far off where few of the 0s and 1s can surprise; this is right to a few
per cent there too.
"""

from __future__ import annotations

import numpy as np

from calibtool.types import Array

_FARTHEST = 40.0  # of the tilt
_STEPS = 50


def two_sided(gap: Array, count: Array, prob: Array) -> Array:
    """Twice the smaller tail of each sum, at most 1.

    Args:
        gap: (S,) each sum minus its expectation.
        count: (S, B) how many terms have each probability.
        prob: (B,) or (S, B) the probabilities.

    >>> p = two_sided(np.array([3.0]), np.array([[10.0]]), np.array([0.5]))
    >>> round(float(p[0]), 3)  # 8 or more of 10: 56 / 1,024, twice
    0.109
    """
    p = np.broadcast_to(np.clip(prob, 1e-300, 1 - 1e-16), count.shape)
    toward = np.where(gap[:, None] > 0, p, 1 - p)  # of 1s where there are too many, else of 0s
    return np.minimum(1.0, 2 * _upper((count * toward).sum(axis=1) + np.abs(gap), count, toward))


def excess(gap: Array, count: Array, prob: Array, level: float) -> tuple[Array, Array]:
    """Interval of how far each sum's true expectation lies above that of `prob`: of all shifts of
    the log-odds, those at which neither tail is below (1 - level) / 2. It leaves out 0 where
    `two_sided` is below 1 - level.

    >>> low, high = excess(np.array([3.0]), np.array([[10.0]]), np.array([0.5]), 0.95)
    >>> round(float(low[0]), 2), round(float(high[0]), 2)  # Clopper & Pearson: -0.56, 4.75
    (-0.56, 4.75)
    """
    p = np.broadcast_to(np.clip(prob, 1e-300, 1 - 1e-16), count.shape)
    mean = (count * p).sum(axis=1)
    tail = (1 - level) / 2
    odds = np.log(p) - np.log1p(-p)

    def shifted(by: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-np.clip(odds + by[:, None], -690, 36))))

    ends = []
    for of, sign in ((_upper, 1), (_lower, -1)):
        near, far = np.full(len(gap), _FARTHEST), np.full(len(gap), -_FARTHEST)
        for _ in range(_STEPS):  # near: the tail is larger than `tail`
            middle = (near + far) / 2
            large = of(mean + gap, count, shifted(sign * middle)) > tail
            near, far = np.where(large, middle, near), np.where(large, far, middle)
        ends.append((count * shifted(sign * near)).sum(axis=1) - mean)
    return ends[0], ends[1]


def _lower(x: Array, count: Array, p: Array) -> Array:
    """P(sum <= x) for x below the mean; 1 for x above it."""
    return _upper(count.sum(axis=1) - x, count, 1 - p)


def _upper(x: Array, count: Array, p: Array) -> Array:
    """P(sum >= x) for x above the mean; 1 for x below it."""
    from scipy.special import ndtr

    total = count.sum(axis=1)
    mean = (count * p).sum(axis=1)
    target = np.minimum(x - 0.5, total - 1e-9 * np.maximum(total, 1))
    asked = (x > mean) & (total > 0)
    with np.errstate(over="ignore"):
        t = _tilt(np.where(asked, np.maximum(target, mean), mean), count, p)
        tilted = _tilted(t, p)
        k = (count * _log(t, p)).sum(axis=1)
        second = (count * tilted * (1 - tilted)).sum(axis=1)
        w = np.sqrt(np.maximum(2 * (t * np.maximum(target, mean) - k), 0))
        u = 2 * np.sinh(t / 2) * np.sqrt(second)
        near = (w < 1e-3) | (u <= 0)
        safe_w, safe_u = np.where(near, 1, w), np.where(near, 1, u)
        density = np.exp(-(w**2) / 2) / np.sqrt(2 * np.pi)
        tail = ndtr(-w) + density * (1 / safe_u - 1 / safe_w)
    tail = np.where(near, _middle(target - mean, count, p), tail)
    return np.where(asked, np.clip(tail, 0, 1), 1.0)


def _middle(off: Array, count: Array, p: Array) -> Array:
    """The tail of a target at the mean, or `off` from it: the limit, by the skewness, and the
    normal density from there."""
    second = (count * p * (1 - p)).sum(axis=1)
    third = (count * p * (1 - p) * (1 - 2 * p)).sum(axis=1)
    scale = np.sqrt(np.maximum(second, 1e-24))
    return np.asarray(0.5 - (third / (6 * scale**3) + off / scale) / np.sqrt(2 * np.pi))


def _tilt(target: Array, count: Array, p: Array) -> Array:
    """The tilt at which the sum's expectation is the target: Newton's method, within brackets."""
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
    grown = p * np.exp(t)[:, None]
    return np.asarray(grown / (1 - p + grown))


def _log(t: Array, p: Array) -> Array:
    return np.asarray(np.log1p(p * np.expm1(t)[:, None]))
