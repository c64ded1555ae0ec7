"""Intervals of shares: binomial rates, each observed in its number of rows."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from calibtool.types import Array


def clopper_pearson(rate: Array, rows: Array, level: float) -> tuple[Array, Array]:
    """Return the exact interval of binomial rates, (M,), each observed in its number of rows.

    Clopper & Pearson 1934, by quantiles of the beta distribution, so that `rows` need not be whole.

    >>> low, high = clopper_pearson(np.array([0.0]), np.array([10.0]), 0.95)
    >>> float(low[0]), float(high[0].round(4))  # 1 - 0.025 ** (1 / 10)
    (0.0, 0.3085)
    """
    from scipy.special import betaincinv

    hits, tail = rate * rows, (1 - level) / 2
    misses = rows - hits
    # betaincinv has no parameter 0; these ends are replaced by 0 and 1 below
    low = betaincinv(np.maximum(hits, 1e-300), misses + 1, tail)
    high = betaincinv(hits + 1, np.maximum(misses, 1e-300), 1 - tail)
    # 1e-9: the product of a rate and its rows is 0, or `rows`, up to rounding only
    return np.where(hits > 1e-9, low, 0 * hits), np.where(misses > 1e-9, high, 1 + 0 * hits)


def beta_quantile(share: float, a: float, b: float) -> float:
    """Return the value below which a Beta(a, b) variable lies with probability `share`.

    By Newton's method, kept between bounds. Without scipy, which would take longer to load than an
    evaluation without it takes.

    Args:
        share: in (0, 1).
        a, b: above 0.

    >>> round(beta_quantile(0.025, 60.0, 1.0), 6)  # 0.025 ** (1 / 60)
    0.940371
    """
    least, most = 0.0, 1.0
    mean = a / (a + b)
    spread = math.sqrt(mean * (1 - mean) / (a + b + 1))
    x = mean + NormalDist().inv_cdf(share) * spread
    if not 0 < x < 1:
        x = mean / 2 if x <= 0 else (1 + mean) / 2
    for _ in range(200):  # halving alone needs 60 steps
        excess = _beta_below(x, a, b) - share
        least, most = (least, x) if excess > 0 else (x, most)
        density = math.exp((a - 1) * math.log(x) + (b - 1) * math.log1p(-x) - _log_beta(a, b))
        step = x - excess / density if density > 0 else math.nan
        after = step if least < step < most else (least + most) / 2
        if abs(after - x) <= 1e-15 * x or not least < after < most:
            return after
        x = after
    return x


def _beta_below(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function, by its continued fraction (DLMF 8.17.22).

    It is evaluated by the method of Lentz (Press et al. 2007, sec. 5.2 and 6.4).
    """
    if x > (a + 1) / (a + b + 2):  # there the fraction of the other side converges faster
        return 1 - _beta_below(1 - x, b, a)
    tiny = 1e-300  # stands for a denominator of 0
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d or tiny)
    fraction = d
    for m in range(1, 1_000_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d, c = 1 / ((1 + term * d) or tiny), (1 + term / c) or tiny
            fraction *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    front = a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b)
    return math.exp(front) / a * fraction


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
