"""Quantiles of values that are sorted once and asked for several."""

from __future__ import annotations

import math

import numpy as np

from calibtool.types import Array


def of_sorted(values: Array, share: float) -> float:
    """Return a quantile of sorted values, to the bit as `np.quantile` does (its default, method 7
    of Hyndman & Fan 1996), whose checks take longer than all else where values are few.

    Args:
        values: (n,) floats, increasing, NaN last; at least one.
        share: in [0, 1].

    >>> of_sorted(np.array([1.0, 2.0, 4.0]), 0.75)
    3.0
    """
    if values[-1] != values[-1]:
        return math.nan
    place = (len(values) - 1) * share
    below = int(place)
    a, b = values[below], values[min(below + 1, len(values) - 1)]
    t = place - below
    return float(b - (b - a) * (1 - t) if t >= 0.5 else a + (b - a) * t)


def of_sorted_rows(values: Array, share: float) -> Array:
    """Return what `of_sorted` returns for each row, (n,).

    Args:
        values: (n, R) floats, each row increasing, NaN last.
        share: in [0, 1].

    >>> of_sorted_rows(np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 2.0]]), 0.75).tolist()
    [3.0, 1.0]
    """
    most = values.shape[1] - 1
    place = most * share
    below = int(place)
    a, b = values[:, below], values[:, min(below + 1, most)]
    t = place - below
    found = b - (b - a) * (1 - t) if t >= 0.5 else a + (b - a) * t
    return np.where(np.isnan(values[:, -1]), math.nan, found)
