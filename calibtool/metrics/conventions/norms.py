"""Norms: how the gaps of bins combine into one number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from calibtool.metrics.conventions.binned import Bins
from calibtool.types import Array

Norm: TypeAlias = Callable[[Bins], float]


def l1(b: Bins) -> float:
    """Return the sum of n/N gap."""
    return (b.n * b.gap).sum() / b.rows


def l1_of_kept(b: Bins) -> float:
    """Return the sum of n gap, over the number of rows that were not dropped."""
    return (b.n * b.gap).sum() / b.n.sum()


def l2(b: Bins) -> float:
    """Return the root of the sum of n/N gap^2."""
    return math.sqrt((b.n * b.gap**2).sum() / b.rows)


def worst(b: Bins) -> float:
    """Return the largest gap, 0 without bins."""
    return b.gap.max(initial=0.0)


def average(b: Bins) -> float:
    """Return the unweighted mean gap of the bins."""
    return b.gap.mean()


def debiased_l2(b: Bins) -> float:
    """Return the root of the sum of n/N (gap^2 - rate (1 - rate) / (n - 1)), at least 0.

    A bin of one row counts as 0.
    """
    square = np.where(b.n > 1, b.gap**2 - _noise(b), 0)
    return math.sqrt(max((b.n * square).sum() / b.rows, 0.0))


def debiased_roots(b: Bins) -> float:
    """Return the sum of n/N root of max(gap^2 - rate (1 - rate) / (n - 1), 0), bin by bin."""
    square = np.maximum(b.gap**2 - _noise(b), 0)
    return (b.n * np.sqrt(square)).sum() / b.rows


def debiased_l1(b: Bins) -> float:
    """Return 2 l1 minus its expectation when each rate is drawn again.

    Rates are drawn from a normal distribution with variance rate (1 - rate) / n.
    """
    spread = np.sqrt(b.rate * (1 - b.rate) / b.n)
    noisy = np.array([_folded_normal(*pair) for pair in zip(b.gap, spread, strict=True)])
    return (b.n * (2 * b.gap - noisy)).sum() / b.rows


def _noise(b: Bins) -> Array:
    """Return the variance of each rate, 0 for a bin of one row."""
    return np.where(b.n > 1, b.rate * (1 - b.rate) / np.maximum(b.n - 1, 1), 0)


def _folded_normal(mean: float, spread: float) -> float:
    """Return the mean of |x| for a normal x."""
    if spread == 0:
        return abs(mean)
    z = mean / spread
    peak = spread * math.sqrt(2 / math.pi) * math.exp(-z * z / 2)
    return peak + mean * math.erf(z / math.sqrt(2))
