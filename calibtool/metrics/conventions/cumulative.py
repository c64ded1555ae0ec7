"""Statistics of the cumulative gaps over the sorted rows."""

from __future__ import annotations

import math

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.metrics.conventions.binned import binned
from calibtool.metrics.conventions.equal_mass import distinct
from calibtool.types import Array


def jittered_path(score: Array, outcome: Array) -> Array:
    """Return the cumulative gaps / N of rows sorted by score, as MAPIE orders them.

    It adds noise of 1e-8, from a fixed seed, which orders ties.
    """
    noise = np.random.RandomState(1).normal(size=len(score))  # MAPIE's own seed
    jittered = score * (1 + 1e-8 * noise)
    order = np.argsort(jittered)
    return np.cumsum(outcome[order] - jittered[order]) / len(score)


def ks_statistic(score: Array, outcome: Array) -> float:
    """Return the largest |cumulative gap| over its scale under calibration."""
    return np.abs(jittered_path(score, outcome)).max() / _length_scale(score)


def kuiper_statistic(score: Array, outcome: Array) -> float:
    """Return the highest minus the lowest cumulative gap, over its scale under calibration."""
    path = jittered_path(score, outcome)
    return (path.max() - path.min()) / _length_scale(score)


def _length_scale(score: Array) -> float:
    """Return the standard deviation of the last cumulative gap / N under calibration."""
    return float(np.sqrt(np.sum(score * (1 - score))) / len(score))


def ks_p(score: Array, outcome: Array) -> float:
    """Return the probability that the largest |x| of a Brownian motion on [0, 1] is as large."""
    x = ks_statistic(score, outcome)
    k = np.arange(_terms(x, 4 / (np.pi * 1e-8), 1)) + 0.5
    return 1 - 2 / np.pi * np.sum((-1) ** (k - 0.5) / k * np.exp(-((k * np.pi / x) ** 2) / 2))


def kuiper_p(score: Array, outcome: Array) -> float:
    """Return the probability that the range of a Brownian motion on [0, 1] is as large."""
    x = kuiper_statistic(score, outcome)
    ratio = 4 / (math.sqrt(2 * np.pi) * 1e-8) * (1 / x + x / np.pi**2)
    k = np.arange(_terms(x, ratio, 2)) + 0.5
    weights = 8 / x**2 + 2 / k**2 / np.pi**2
    return 1 - np.sum(weights * np.exp(-2 * (k * np.pi / x) ** 2))


def _terms(x: float, ratio: float, halves: int) -> int:
    """Return the number of terms of the series until they fall below MAPIE's 1e-8."""
    if not 0 < x < math.inf:
        raise NotAvailableError(f"raises an error: no series for a statistic of {x:g}")
    return int(np.ceil(0.5 + x * math.sqrt(2) / (halves * np.pi) * math.sqrt(math.log(ratio))))


def largest_deviation(score: Array, outcome: Array) -> float:
    """Return the largest |cumulative gap| at the ends of tie groups."""
    return np.abs(_walk(score, outcome)[0]).max()


def mean_deviation(score: Array, outcome: Array) -> float:
    """Return the mean over rows of the |cumulative gap| at the end of their tie group."""
    path, n = _walk(score, outcome)
    return np.average(np.abs(path), weights=n)


def _walk(score: Array, outcome: Array) -> tuple[Array, Array]:
    """Return the cumulative gap / N at the end of each tie group, and the group's rows."""
    b = binned(score, outcome, distinct, 1)
    return np.cumsum(b.n * (b.rate - b.score)) / b.rows, b.n
