"""Intervals from replicates: percentile, basic, BCa."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from calibtool.types import Array

METHODS = ("inverted", "percentile", "basic", "bca", "none")


def plain(
    method: str, value: float, replicates: Array, level: float, acceleration: float = 0.0
) -> tuple[float, float]:
    """Percentile, basic or BCa interval of a metric whose replicates centre on its value.

    BCa (Efron 1987) takes the quantiles that undo the replicates' median bias and, by the
    `acceleration`, the change of their spread with the value.

    >>> plain("percentile", 0.0, np.arange(101.0), 0.5)
    (25.0, 75.0)
    >>> plain("basic", 40.0, np.arange(101.0), 0.5)
    (5.0, 55.0)
    >>> plain("bca", 50.0, np.arange(101.0), 0.5)
    (25.0, 75.0)
    """
    replicates = replicates[np.isfinite(replicates)]
    shares = [(1 - level) / 2, (1 + level) / 2]
    if method == "bca":
        shares = [_accelerated(value, replicates, share, acceleration) for share in shares]
    low, high = np.quantile(replicates, shares).tolist()
    return (2 * value - high, 2 * value - low) if method == "basic" else (low, high)


def _accelerated(value: float, replicates: Array, share: float, acceleration: float) -> float:
    normal = NormalDist()
    below = float((replicates < value).mean() + (replicates == value).mean() / 2)
    bias = normal.inv_cdf(min(max(below, 1e-4), 1 - 1e-4))
    z = bias + normal.inv_cdf(share)
    moved = bias + z / max(1 - acceleration * z, 0.1)
    return normal.cdf(moved)


def skewness(influence: Array, count: Array | None = None) -> float:
    """BCa's acceleration from the influence of each row, or of `count` rows at a time (Efron 1987,
    eq. 6.6).

    >>> skewness(np.array([-1.0, 1.0]))
    0.0
    """
    count = np.ones(len(influence)) if count is None else count
    centred = influence - (count @ influence) / count.sum()
    spread = float(count @ centred**2)
    return float(count @ centred**3) / (6 * spread**1.5) if spread > 0 else 0.0
