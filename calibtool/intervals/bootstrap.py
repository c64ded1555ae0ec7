"""Bootstrap intervals from the quantiles of replicates: percentile, basic, BCa."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from calibtool.intervals.quantile import of_sorted
from calibtool.types import Array

METHODS = ("inverted", "percentile", "basic", "bca", "none")


def plain(
    method: str, value: float, replicates: Array, level: float, acceleration: float = 0.0
) -> tuple[float, float]:
    """Return the percentile, basic or BCa interval of a metric whose replicates scatter around it.

    BCa (Efron 1987) corrects the quantiles for the median bias of the replicates and, by the
    `acceleration`, for the change of their spread with the value.

    Args:
        method: "percentile", "basic" or "bca".
        value: the metric on the data.
        replicates: (R,) bootstrap replicates; those that are not finite are left out.
        level: of the interval, between 0 and 1.
        acceleration: from `skewness`; only BCa uses it.

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
    ordered = np.sort(replicates)
    low, high = (of_sorted(ordered, share) for share in shares)
    return (2 * value - high, 2 * value - low) if method == "basic" else (low, high)


def _accelerated(value: float, replicates: Array, share: float, acceleration: float) -> float:
    """Return the share of the replicates below BCa's end of the interval (Efron 1987)."""
    normal = NormalDist()
    # replicates equal to the value count half, so that a discrete metric is not biased by its ties
    below = float((replicates < value).mean() + (replicates == value).mean() / 2)
    # the bias is cut at 3.7 standard deviations: where all replicates lie on one side of the value,
    # it is unknown, not infinite
    bias = normal.inv_cdf(min(max(below, 1e-4), 1 - 1e-4))
    z = bias + normal.inv_cdf(share)
    # the formula has a pole at acceleration * z = 1, beyond which the end would jump to the other
    # side of the interval; 0.1 keeps it a tenth short of the pole
    accelerated = bias + z / max(1 - acceleration * z, 0.1)
    return normal.cdf(accelerated)


def skewness(influence: Array, count: Array | None = None) -> float:
    """Return BCa's acceleration, a sixth of the skewness of the influence (Efron 1987, eq. 6.6).

    Args:
        influence: (N,) how much the metric changes with the weight of a row.
        count: (N,) the number of rows that have this influence; 1 each by default.

    Returns 0 where all influences are equal.

    >>> skewness(np.array([-1.0, 1.0]))
    0.0
    """
    count = np.ones(len(influence)) if count is None else count
    centred = influence - (count @ influence) / count.sum()
    cubed = float(count @ centred**2) ** 1.5  # 0 too where it is too small for a float
    return float(count @ centred**3) / (6 * cubed) if cubed else 0.0
