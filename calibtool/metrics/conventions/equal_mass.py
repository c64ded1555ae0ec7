"""Rules of equal mass: bins that the scores themselves decide."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.metrics.conventions.equal_width import DROPPED, between
from calibtool.types import Array


def one_fewer_quantiles(score: Array, bins: int) -> Array:
    """As `one_fewer`, between quantiles: the lowest score has a bin of its own."""
    edges = np.percentile(score, 100 * np.linspace(0, 1, bins))
    return _seen(np.digitize(score, edges, right=True), bins)


def one_fewer_runs(score: Array, bins: int) -> Array:
    """Between the greatest scores of `bins` runs of rows, in file order."""
    if bins > len(score):
        raise NotAvailableError("raises ValueError: more bins than rows")
    runs = np.array_split(score, bins)[:-1]
    edges = np.sort([run.max() for run in runs] + [np.inf])
    return _seen(np.digitize(score, edges, right=True), bins)


def inner_quantiles(score: Array, bins: int) -> Array:
    """[lo, hi) between quantiles; equal ones count once, those at either end stay."""
    inner = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(inner, score, side="right")


def quantiles_right(score: Array, bins: int) -> Array:
    """(lo, hi] between quantiles."""
    edges = np.percentile(score, 100 * np.linspace(0, 1, bins + 1))
    return np.searchsorted(edges[1:-1], score, side="left")


def quantiles_open(score: Array, bins: int) -> Array:
    """(lo, hi] between quantiles: the lowest score lies in none."""
    return between(score, np.quantile(score, np.linspace(0, 1, bins + 1)))


def interpolated(score: Array, bins: int) -> Array:
    """(lo, hi] between every N / bins-th sorted score, interpolated: the lowest lies in none."""
    rows = len(score)
    at = np.linspace(0, rows, bins + 1)
    return between(score, np.interp(at, np.arange(rows), np.sort(score)))


def midpoints(score: Array, bins: int) -> Array:
    """(lo, hi] between the middles of the gaps where the sorted scores are cut into `bins`."""
    parts = np.array_split(np.sort(score), min(bins, len(score)))
    cuts = [(low[-1] + high[0]) / 2.0 for low, high in pairwise(parts)]
    return np.searchsorted(np.unique([*cuts, 1.0]), score, side="left")


def distinct(score: Array, bins: int) -> Array:
    """A bin a distinct score."""
    return np.unique(score, return_inverse=True)[1]


def runs(score: Array, bins: int) -> Array:
    """The sorted rows cut into `bins`, longer ones first: ties are cut in file order."""
    index = np.empty(len(score), dtype=int)
    parts = np.array_split(np.argsort(score, kind="stable"), bins)
    for place, part in enumerate(parts):
        index[part] = place
    return index


def tie_groups(score: Array, bins: int) -> Array:
    """The sorted rows cut at N / bins, groups of equal scores whole and to the left."""
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    share = np.cumsum(counts) / len(score)
    cuts = np.searchsorted(share, np.arange(1, bins) / bins, side="left") + 1
    cuts = np.unique(cuts[cuts < len(counts)])
    return np.searchsorted(cuts, inverse, side="right")


def every_nth(score: Array, bins: int) -> Array:
    """[lo, hi) between every N / bins-th sorted score."""
    rows = len(score)
    at = np.round(np.linspace(0, rows, bins, endpoint=False)).astype(int)
    return np.digitize(score, np.sort(score)[np.minimum(at, rows - 1)][1:])


def quantile_edges(score: Array, bins: int) -> Array:
    """Quantiles, from 0 to 1, that must differ."""
    edges = np.quantile(score, np.linspace(0, 1, bins + 1))
    edges[0], edges[-1] = 0, 1
    if np.any(np.diff(edges) <= 0):
        raise NotAvailableError("raises ValueError: quantiles meet")
    return edges


def _seen(index: Array, bins: int) -> Array:
    """Bins from `bins` on are never looked at."""
    return np.where(index < bins, index, DROPPED)
