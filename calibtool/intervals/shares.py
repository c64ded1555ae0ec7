"""Intervals of shares: binomial rates, each observed in its number of rows.

By SciPy, to the last digits for any number of rates, where SciPy is loaded anyway. `beta.py` has
the same quantiles without it: `lower` to four digits for a thousand bins at a time, `quantile` for
a single share, which differs from SciPy's by up to 2e-12.
"""

from __future__ import annotations

import numpy as np

from calibtool.types import Array


def clopper_pearson(rate: Array, rows: Array, level: float) -> tuple[Array, Array]:
    """Return the exact interval of binomial rates, (M,), each observed in its number of rows.

    Clopper & Pearson 1934, by quantiles of the beta distribution, so that `rows` need not be whole.

    >>> low, high = clopper_pearson(np.array([0.0]), np.array([10.0]), 0.95)
    >>> float(low[0]), float(high[0].round(4))  # 1 - 0.025 ** (1 / 10)
    (0.0, 0.3085)
    """
    hits, tail = rate * rows, (1 - level) / 2
    return lower(hits, rows, tail), upper(hits, rows, tail)


def lower(hits: Array, rows: Array, tail: float) -> Array:
    """Return the lower Clopper-Pearson bound of rates, (M,), whose error rate is `tail`."""
    from scipy.special import betaincinv

    # betaincinv has no parameter 0; this end is replaced by 0 below
    bound = betaincinv(np.maximum(hits, 1e-300), rows - hits + 1, tail)
    # 1e-9: the product of a rate and its rows is 0, or `rows`, up to rounding only
    return np.asarray(np.where(hits > 1e-9, bound, 0 * hits))


def upper(hits: Array, rows: Array, tail: float) -> Array:
    """Return the upper Clopper-Pearson bound of rates, (M,), whose error rate is `tail`."""
    from scipy.special import betaincinv

    misses = rows - hits
    bound = betaincinv(hits + 1, np.maximum(misses, 1e-300), 1 - tail)
    return np.asarray(np.where(misses > 1e-9, bound, 1 + 0 * hits))
