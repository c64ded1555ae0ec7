"""Many p-values at once: how small each must be when all are looked at together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number: whoever rejects those at 0.05 or below rejects a true
    hypothesis at all in at most 5 % of cases, however they hang together (Holm 1979).

    >>> holm([0.04, 0.01, 0.03])
    [0.06, 0.03, 0.06]
    """
    count, highest = len(p_values), 0.0
    adjusted = [0.0] * count
    for rank, k in enumerate(sorted(range(count), key=lambda k: p_values[k])):
        highest = max(highest, min(1.0, p_values[k] * (count - rank)))
        adjusted[k] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for the share of true hypotheses among those rejected: at 0.05 or
    below, 5 % at most of what is rejected is expected to be true (Benjamini & Hochberg 1995).

    >>> benjamini_hochberg([0.01, 0.04, 0.02, 0.9])
    [0.04, 0.05333333333333334, 0.04, 0.9]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    least = np.minimum.accumulate(scaled[::-1])[::-1]
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(least, 1.0)
    return [float(value) for value in adjusted]
