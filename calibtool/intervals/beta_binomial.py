"""Beta-binomial counts: how many of m new rows a promise covers that n rows have set.

The k-th smallest of n scores covers a new row with a probability that is itself random, Beta(k,
n + 1 - k), where no two scores are equal (Vovk 2012). The number of m new rows that it covers is
then beta-binomial.
"""

from __future__ import annotations

import numpy as np

from calibtool.types import Array


def probabilities(rows: int, a: float, b: float) -> Array:
    """Return the probability of each count from 0 to `rows`, (rows + 1,).

    Args:
        rows: the number of trials.
        a, b: the parameters of the beta distribution, above 0.

    >>> probabilities(2, 1.0, 1.0).round(4).tolist()
    [0.3333, 0.3333, 0.3333]
    """
    x = np.arange(rows)
    # each count's probability over that of the count before it
    ratio = np.log((rows - x) * (a + x)) - np.log((x + 1) * (b + rows - 1 - x))
    logs = np.concatenate([[0.0], np.cumsum(ratio)])
    with np.errstate(under="ignore"):
        weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def interval(rows: int, a: float, b: float, level: float) -> tuple[int, int]:
    """Return the counts between which a beta-binomial count lies with probability `level`, at
    least: beyond either end lies at most half of the rest.

    >>> interval(1000, 90.0, 11.0, 0.95)
    (820, 946)
    """
    below = np.cumsum(probabilities(rows, a, b))
    tail = (1 - level) / 2
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail, side="left"))
    return low, min(high, rows)


def at_most(count: int, rows: int, a: float, b: float) -> float:
    """Return the probability of at most this count.

    >>> round(at_most(0, 2, 1.0, 1.0), 4)
    0.3333
    """
    return float(min(probabilities(rows, a, b)[: count + 1].sum(), 1.0))
