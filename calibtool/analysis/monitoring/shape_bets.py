"""Bets on a change of known time: a mixture over its shape and size.

After a change with period tau, the normal score of group g in period t has the mean delta_g w_tg,
where delta_g is the change of the log-odds in the group and w_tg follows from the rows. For a
normal prior of delta the likelihood ratio to no change is known in closed form, from the sums
A_g = sum of w z and B_g = sum of w^2 since tau.
"""

from __future__ import annotations

import numpy as np

from calibtool.analysis.monitoring.score_groups import ScoreGroups
from calibtool.types import Array

# Shapes of a change and their prior weights: all scores up or down by the same log-odds; a slope
# that turns about the middle; both; one group or two neighbours alone; every group by itself. Drift
# is most often a level, which is why it has the largest weight.
_LEVEL, _SLOPE, _LINE, _PLACE, _FREE = 0.4, 0.1, 0.2, 0.15, 0.15
# Standard deviations of the prior of the size, in log-odds, and their weights. Most changes that
# are hard to find are small; each factor of 4 costs at most a third of a nat within the range.
_SIZES, _SIZE_WEIGHTS = (0.1, 0.4, 1.6), (0.5, 0.35, 0.15)


def log_ratio(a: Array, b: Array, groups: ScoreGroups) -> Array:
    """Return log-likelihood ratios of the mixture of all shapes and sizes.

    Args:
        a, b: (..., G) sums of w z and w^2.
        groups: the groups, whose places make the slope.
    """
    turn = groups.centre - groups.middle
    level = a.sum(-1), b.sum(-1)
    slope = a @ turn, b @ turn**2
    cross = b @ turn
    pairs = (a[..., :-1] + a[..., 1:], b[..., :-1] + b[..., 1:])
    total = np.full(level[0].shape, -np.inf)
    for size, share in zip(_SIZES, _SIZE_WEIGHTS, strict=True):
        each = _normal(a, b, size)
        place = log_mean(np.concatenate([each, _normal(*pairs, size)], axis=-1))
        shapes = (
            (_LEVEL, _normal(*level, size)),
            (_SLOPE, _normal(*slope, size)),
            (_LINE, _normal_line(*level, *slope, cross, size)),
            (_PLACE, place),
            (_FREE, each.sum(-1)),
        )
        for weight, ratio in shapes:
            total = np.logaddexp(total, np.log(share * weight) + ratio)
    return total


def log_mean(x: Array) -> Array:
    """Return log(mean(exp(x))) along the last axis, without overflow.

    >>> round(float(np.exp(log_mean(np.log([1.0, 3.0])))), 9)
    2.0
    """
    top = x.max(-1)
    return np.asarray(top + np.log(np.exp(x - top[..., None]).mean(-1)))


def _normal(a: Array, b: Array, size: float) -> Array:
    """Return log E exp(delta a - delta^2 b / 2) for delta ~ N(0, size^2)."""
    spread = 1 + size**2 * b
    return np.asarray(size**2 * a**2 / spread / 2 - np.log(spread) / 2)


def _normal_line(a: Array, b: Array, c: Array, d: Array, cross: Array, size: float) -> Array:
    """Return the same for two independent deltas.

    Args:
        a, b: sums of w z and w^2 of the first.
        c, d: the same of the second.
        cross: sum of the products of their w.
        size: standard deviation of both.
    """
    v = size**2
    first, second = 1 + v * b, 1 + v * d
    both = first * second - (v * cross) ** 2
    quadratic = (a**2 * second + c**2 * first - 2 * a * c * v * cross) / both
    return np.asarray(v * quadratic / 2 - np.log(both) / 2)
