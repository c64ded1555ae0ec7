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


def design_effects(
    where: Array, outcome: Array, weights: Array | None, cluster: Array, size: int
) -> Array:
    """Return how many times as much the mean outcome of each group varies as that of independent
    rows would, (size,), at least 1 (Kish 1965).

    The exact interval of the rows divided by it is that of Korn & Graubard 1998. Groups whose
    outcomes are all equal show none, and get that of all groups together.

    Args:
        where: (N,) the group of each row.
        outcome: (N,) 0 or 1.
        weights: (N,), or None.
        cluster: (N,) the number of each row's cluster.
        size: the number of groups.

    >>> where, outcome = np.zeros(6, int), np.array([1, 1, 1, 0, 0, 0])
    >>> design_effects(where, outcome, None, np.array([0, 0, 0, 1, 1, 1]), 1)
    array([3.])
    """
    weight = np.ones(len(where)) if weights is None else weights
    mass = np.bincount(where, weight, size)
    rate = np.bincount(where, weight * outcome, size) / np.where(mass > 0, mass, 1)
    residual = weight * (outcome - rate[where])
    _, numbers = np.unique(cluster * size + where, return_inverse=True)
    totals = np.bincount(numbers, residual) ** 2
    of_cluster = np.zeros(len(totals), np.int64)
    of_cluster[numbers] = where
    together, alone = np.bincount(of_cluster, totals, size), np.bincount(where, residual**2, size)
    whole = float(together.sum() / alone.sum()) if alone.sum() > 0 else 1.0
    varies = alone > 1e-9 * np.maximum(mass, 1)  # beyond rounding
    each = np.divide(together, alone, out=np.full(size, whole), where=varies)
    return np.asarray(np.maximum(each, 1))


def lower(hits: Array, rows: Array, tail: float) -> Array:
    """Return the lower Clopper-Pearson bound of rates, (M,), whose error rate is `tail`."""
    from calibtool.intervals.special import betaincinv

    # betaincinv has no parameter 0; this end is replaced by 0 below
    bound = betaincinv(np.maximum(hits, 1e-300), rows - hits + 1, tail)
    # 1e-9: the product of a rate and its rows is 0, or `rows`, up to rounding only
    return np.asarray(np.where(hits > 1e-9, bound, 0 * hits))


def upper(hits: Array, rows: Array, tail: float) -> Array:
    """Return the upper Clopper-Pearson bound of rates, (M,), whose error rate is `tail`."""
    from calibtool.intervals.special import betaincinv

    misses = rows - hits
    bound = betaincinv(hits + 1, np.maximum(misses, 1e-300), 1 - tail)
    return np.asarray(np.where(misses > 1e-9, bound, 1 + 0 * hits))
