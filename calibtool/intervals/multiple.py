"""Adjusted p-values of several tests that are read together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for the family-wise error rate (Holm 1979).

    Rejecting those at 0.05 or below rejects any true hypothesis with a probability of at most 5 %,
    whatever the dependence between the tests.

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
    """Return the p-values adjusted for the false discovery rate (Benjamini & Hochberg 1995).

    Of the hypotheses rejected at 0.05 or below, at most 5 % are expected to be true, for tests that
    are independent or positively dependent.

    >>> benjamini_hochberg([0.01, 0.04, 0.02, 0.9])
    [0.04, 0.05333333333333334, 0.04, 0.9]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    smallest = np.minimum.accumulate(scaled[::-1])[::-1]  # over the p-values from this one up
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(smallest, 1.0)
    return [float(value) for value in adjusted]
