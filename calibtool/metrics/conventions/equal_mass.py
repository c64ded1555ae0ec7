"""Rules of equal mass: bins whose edges depend on the scores.

A rule takes scores, (N,), and a number of bins, and returns the bin of each score, (N,), `DROPPED`
where it has none. Libraries differ in the quantiles, in ties, and in the ends.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.metrics.conventions.equal_width import DROPPED, between
from calibtool.types import Array


def one_fewer_quantiles(score: Array, bins: int) -> Array:
    """Return bins as by `one_fewer`, between quantiles: the lowest score has a bin of its own."""
    edges = np.percentile(score, 100 * np.linspace(0, 1, bins))
    return _seen(np.digitize(score, edges, right=True), bins)


def one_fewer_runs(score: Array, bins: int) -> Array:
    """Return bins between the largest scores of `bins` runs of rows in file order."""
    if bins > len(score):
        raise NotAvailableError("raises ValueError: more bins than rows")
    runs = np.array_split(score, bins)[:-1]
    edges = np.sort([run.max() for run in runs] + [np.inf])
    return _seen(np.digitize(score, edges, right=True), bins)


def inner_quantiles(score: Array, bins: int) -> Array:
    """Return bins [lo, hi) between inner quantiles, where equal ones count once.

    An inner quantile that equals the lowest or the highest score is an edge too.
    """
    inner = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(inner, score, side="right")


def quantiles_right(score: Array, bins: int) -> Array:
    """Return bins (lo, hi] between quantiles."""
    edges = np.percentile(score, 100 * np.linspace(0, 1, bins + 1))
    return np.searchsorted(edges[1:-1], score, side="left")


def quantiles_open(score: Array, bins: int) -> Array:
    """Return bins (lo, hi] between quantiles: the lowest score is dropped."""
    return between(score, np.quantile(score, np.linspace(0, 1, bins + 1)))


def interpolated(score: Array, bins: int) -> Array:
    """Return bins (lo, hi] between interpolated sorted scores: the lowest score is dropped.

    The edges are every N / bins-th sorted score.
    """
    rows = len(score)
    at = np.linspace(0, rows, bins + 1)
    return between(score, np.interp(at, np.arange(rows), np.sort(score)))


def midpoints(score: Array, bins: int) -> Array:
    """Return bins (lo, hi] cut half-way between the sorted scores on both sides of each cut."""
    parts = np.array_split(np.sort(score), min(bins, len(score)))
    cuts = [(low[-1] + high[0]) / 2.0 for low, high in pairwise(parts)]
    return np.searchsorted(np.unique([*cuts, 1.0]), score, side="left")


def distinct(score: Array, bins: int) -> Array:
    """Return one bin per distinct score."""
    return np.unique(score, return_inverse=True)[1]


def runs(score: Array, bins: int) -> Array:
    """Return the sorted rows cut into `bins` runs, longer ones first, ties in file order."""
    index = np.empty(len(score), dtype=int)
    parts = np.array_split(np.argsort(score, kind="stable"), bins)
    for place, part in enumerate(parts):
        index[part] = place
    return index


def tie_groups(score: Array, bins: int) -> Array:
    """Return the sorted rows cut at multiples of N / bins, tie groups whole and to the left."""
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    share = np.cumsum(counts) / len(score)
    cuts = np.searchsorted(share, np.arange(1, bins) / bins, side="left") + 1
    cuts = np.unique(cuts[cuts < len(counts)])
    return np.searchsorted(cuts, inverse, side="right")


def every_nth(score: Array, bins: int) -> Array:
    """Return bins [lo, hi) between every N / bins-th sorted score."""
    rows = len(score)
    at = np.round(np.linspace(0, rows, bins, endpoint=False)).astype(int)
    return np.digitize(score, np.sort(score)[np.minimum(at, rows - 1)][1:])


def quantile_edges(score: Array, bins: int) -> Array:
    """Return edges at quantiles, from 0 to 1; not available where two of them are equal."""
    edges = np.quantile(score, np.linspace(0, 1, bins + 1))
    edges[0], edges[-1] = 0, 1
    if np.any(np.diff(edges) <= 0):
        raise NotAvailableError("raises ValueError: quantiles meet")
    return edges


def _seen(index: Array, bins: int) -> Array:
    """Return the bins, with those from `bins` on dropped: the library does not look at them."""
    return np.where(index < bins, index, DROPPED)
