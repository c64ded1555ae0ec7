"""Profiles: the signed gap and the mass of each bin, and the rules that cut the bins.

A profile rule is a function of the observed cells that returns the upper edges of its bins. The
edges are fixed once, on the data, and then used for the data and every replicate, so that a profile
is linear in the row weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibtool.metrics.cells import Cells, locate
from calibtool.types import Array

# Most bins that a sweep tries: it cuts every number of bins from 1 up, so that its time grows with
# the square of this.
MOST_SWEPT = 5_000
# Most cells that the loess and the belt work on: their time is proportional to it. The docstring of
# `loess` says what pooling costs.
_FINE = 1024


@dataclass(frozen=True, eq=False)
class Profile:
    """Signed gaps per coordinate; the last axis is the profile.

    Attributes:
        gap: sum of w * (outcome - score) in each bin, as a share of the weight of all rows.
        mass: weight in each bin, as a share of the weight of all rows.
        score: mean score of each bin, without replicates' axes.
        rows: the number of rows, for norms that subtract noise.
    """

    gap: Array
    mass: Array
    score: Array | float = 0.0
    rows: float = 1.0

    def flat(self) -> Profile:
        """Return the profile with its last two axes (classes and their bins) as one."""

        def join(x: Array) -> Array:
            return x.reshape(*x.shape[:-2], -1)

        return Profile(join(self.gap), join(self.mass), join(np.asarray(self.score)), self.rows)


def profile(cells: Cells) -> Profile:
    """Return the profile whose coordinates are the cells themselves."""
    total = cells.total[..., None]
    score = np.divide(cells.p, cells.n, out=np.zeros_like(cells.p), where=cells.n > 0)
    rows = float(np.asarray(cells.total).flat[0])
    return Profile((cells.y - cells.p) / total, cells.n / total, score, rows)


def equal_width(cells: Cells, *, bins: int = 15) -> Array:
    """Return bins (lo, hi] of equal width, 0 in the first (Guo et al. 2017, sec. 2).

    The bins are given by their upper edges, k/bins.

    >>> equal_width(None, bins=4)
    array([0.25, 0.5 , 0.75, 1.  ])
    """
    return np.arange(1, bins + 1) / bins


def equal_mass(cells: Cells, *, bins: int = 15) -> Array:
    """Return bins that cut the sorted weight at multiples of N/bins (Mukhoti et al. 2020).

    Rows of equal score stay together: a tie group that straddles a cut goes to the side on which
    most of it lies. Cuts that coincide are one, so that a constant score is a single bin.
    """
    return _upper(cells, _cuts(np.cumsum(cells.n), bins))


def equal_rows(cells: Cells, *, rows: int = 100) -> Array:
    """Return bins of `rows` rows each, the lowest scores first (Hendrycks et al. 2019).

    The last bin also has the rows that are left over. Rows of equal score stay together, as in bins
    of equal mass. Weights are taken as numbers of rows.

    >>> equal_rows(Cells.from_rows(np.array([0.1, 0.2, 0.3, 0.4, 0.5]), np.zeros(5)), rows=2)
    array([0.2, 1. ])
    """
    cumulative = np.cumsum(cells.n)
    # the sum of weights may lie below a whole number by rounding
    bins = int(cumulative[-1] * (1 + 1e-12)) // rows
    return _upper(cells, _nearest(cumulative, rows * np.arange(1.0, bins)))


def _cuts(cumulative: Array, bins: int) -> Array:
    """Return the last cell of each bin of equal mass, by the cumulative weight of the cells."""
    return _nearest(cumulative, cumulative[-1] * np.arange(1, bins) / bins)


def _nearest(cumulative: Array, targets: Array) -> Array:
    """Return the cells after which the cumulative weight is nearest to targets, and the last."""
    # the first cell that reaches the target, up to the rounding of the cumulative sum
    above = np.searchsorted(cumulative, targets * (1 - 1e-12))
    below = np.where(above > 0, cumulative[above - 1], 0.0)
    cut_before = (targets - below < cumulative[above] - targets) & (above > 0)
    cells = np.append(above - cut_before, len(cumulative) - 1)  # in order, as targets are
    return np.asarray(cells[np.diff(cells, prepend=-1) > 0])


def _upper(cells: Cells, cuts: Array) -> Array:
    """Return the upper edges of bins that end with these cells."""
    edges = cells.at[cuts].astype(np.float64)
    edges[-1] = 1.0
    return edges


def sweep_mass(cells: Cells) -> Array:
    """Return as many bins of equal mass as keep the outcome rate rising (Roelofs et al. 2022).

    One bin more at a time, until the rate falls from one bin to the next, or 5,000.
    """
    cumulative = np.cumsum(cells.n)
    return _sweep(cells, lambda bins: _cuts(cumulative, bins))


def sweep_width(cells: Cells) -> Array:
    """Return as many bins of equal width as keep the outcome rate rising (Roelofs et al. 2022).

    One bin more at a time, until the rate falls from one bin to the next, or 5,000.
    """

    def cuts(bins: int) -> Array:
        last = locate(cells.at, equal_width(cells, bins=bins), side="right")
        return np.unique(last[last > 0] - 1)

    return _sweep(cells, cuts)


def _sweep(cells: Cells, cuts: Callable[[int], Array]) -> Array:
    """Return the edges of the largest number of bins before the outcome rates stop rising.

    `cuts` returns the last cells of a number of bins.
    """
    n, y = (np.concatenate([[0.0], np.cumsum(x)]) for x in (cells.n, cells.y))
    best = cuts(1)
    for bins in range(2, min(len(cells.at), MOST_SWEPT) + 1):
        ends = cuts(bins)
        taken, hits = n[ends + 1], y[ends + 1]
        rate = np.diff(hits, prepend=0) / np.diff(taken, prepend=0)
        if (np.diff(rate) < 0).any():
            break
        best = ends
    return _upper(cells, best)


def coarsen(cells: Cells, weight: Array) -> Cells:
    """Return the cells, pooled to at most 1,024: half of equal weight and half of equal width.

    Cells of equal width keep rows apart that lie far from most others. `weight`, (C,), decides on
    the cells of equal weight.
    """
    if len(cells.at) <= _FINE:
        return cells
    weights = Cells(cells.at, weight, weight, weight)
    low, high = float(cells.at[0]), float(cells.at[-1])
    even = np.linspace(low, high, _FINE // 2 + 1)[1:-1]
    return cells.pool(np.unique(np.concatenate([even, equal_mass(weights, bins=_FINE // 2)])))
