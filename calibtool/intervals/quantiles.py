"""Quantiles of replicates, without what `numpy.quantile` prepares for arrays of any shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from calibtool.types import Array


def quantiles(values: Array, shares: Sequence[float]) -> list[float]:
    """Return quantiles of some values, to the digit those of `numpy.quantile`.

    For a thousand replicates, `numpy.quantile` takes several times as long to prepare as to select,
    and an interval by candidate truths needs dozens of quantiles.

    Args:
        values: (N,) floats, at least one.
        shares: of the values below each quantile, in [0, 1].

    Returns a quantile per share, on the line between the two values beside it (Hyndman & Fan 1996,
    definition 7); NaN where a value is NaN.

    >>> quantiles(np.array([3.0, 1.0, 2.0, 4.0]), [0.0, 0.5, 0.9])
    [1.0, 2.5, 3.7]
    """
    last = len(values) - 1
    places = [share * last for share in shares]
    below = [math.floor(place) for place in places]
    above = [min(at + 1, last) for at in below]
    ordered = np.partition(values, sorted({*below, *above, last}))
    if np.isnan(ordered[last]):  # the largest in this order
        return [math.nan] * len(places)
    return [
        _between(ordered[low], ordered[high], place - low)
        for place, low, high in zip(places, below, above, strict=True)
    ]


def _between(low: np.floating, high: np.floating, share: float) -> float:
    """Return the value at a share of the way between two, from the nearer one."""
    step = high - low
    return float(high - step * (1 - share) if share >= 0.5 else low + step * share)
