"""Where a calibration error looks: profiles.

A profile rule is a function of the observed cells that answers with the upper edges of its bins.
The edges are fixed once, on the data, and then used for the data and for every replicate alike, so
that a profile is linear in the row weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibtool.metrics.cells import Cells, locate
from calibtool.types import Array

MOST_SWEPT = 5_000  # bins that a sweep tries
_FINE = 1024  # cells that the loess and the belt work on


@dataclass(frozen=True, eq=False)
class Profile:
    """Signed gaps, coordinate by coordinate; the last axis is the profile.

    Attributes:
        gap: sum of w * (outcome - score) in each bin, as a share of the weight of all rows.
        mass: weight in each bin, as a share of the weight of all rows.
        score: mean score of each bin, without replicates' axes.
        rows: the number of rows, for norms that take noise off.
    """

    gap: Array
    mass: Array
    score: Array | float = 0.0
    rows: float = 1.0

    def flat(self) -> Profile:
        """The last two axes (classes and their bins) as one."""

        def one(x: Array) -> Array:
            return x.reshape(*x.shape[:-2], -1)

        return Profile(one(self.gap), one(self.mass), one(np.asarray(self.score)), self.rows)


def profile(cells: Cells) -> Profile:
    """The gaps of cells as they stand."""
    total = cells.total[..., None]
    score = np.divide(cells.p, cells.n, out=np.zeros_like(cells.p), where=cells.n > 0)
    rows = float(np.asarray(cells.total).flat[0])
    return Profile((cells.y - cells.p) / total, cells.n / total, score, rows)


def equal_width(cells: Cells, *, bins: int = 15) -> Array:
    """Upper edges k/bins: bins (lo, hi] of equal width, 0 in the first (Guo et al. 2017, sec. 2).

    >>> equal_width(None, bins=4)
    array([0.25, 0.5 , 0.75, 1.  ])
    """
    return np.arange(1, bins + 1) / bins


def equal_mass(cells: Cells, *, bins: int = 15) -> Array:
    """Upper edges that cut the sorted weight at multiples of N/bins (Mukhoti et al. 2020).

    Rows of equal score stay together: a tie group that straddles a cut goes to the side on which
    most of it lies. Cuts that coincide are one, so that a constant score is a single bin.
    """
    return _upper(cells, _cuts(np.cumsum(cells.n), bins))


def _cuts(heap: Array, bins: int) -> Array:
    """The last cell of each bin of equal mass, by the cumulative weight of the cells."""
    targets = heap[-1] * np.arange(1, bins) / bins
    above = np.searchsorted(heap, targets * (1 - 1e-12))  # first cell that reaches the target
    below = np.where(above > 0, heap[above - 1], 0.0)
    keep_below = (targets - below < heap[above] - targets) & (above > 0)
    return np.unique(np.append(above - keep_below, len(heap) - 1))


def _upper(cells: Cells, cuts: Array) -> Array:
    """The upper edges of bins that end with these cells."""
    edges = cells.at[cuts].astype(np.float64)
    edges[-1] = 1.0
    return edges


def sweep_mass(cells: Cells) -> Array:
    """As many bins of equal mass as keep the mean outcome rising from bin to bin (Roelofs et al.
    2022): one bin more at a time, up to the first that breaks it, or 5,000."""
    heap = np.cumsum(cells.n)
    return _sweep(cells, lambda bins: _cuts(heap, bins))


def sweep_width(cells: Cells) -> Array:
    """As many bins of equal width as keep the mean outcome rising from bin to bin (Roelofs et al.
    2022): one bin more at a time, up to the first that breaks it, or 5,000."""

    def cuts(bins: int) -> Array:
        last = locate(cells.at, equal_width(cells, bins=bins), side="right")
        return np.unique(last[last > 0] - 1)

    return _sweep(cells, cuts)


def _sweep(cells: Cells, cuts: Callable[[int], Array]) -> Array:
    """Edges after the last cells of the most bins whose outcome rates rise."""
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
    """At most 1,024 cells: half of them of equal weight, and half of equal width, so that rows far
    from most others stay apart."""
    if len(cells.at) <= _FINE:
        return cells
    own = Cells(cells.at, weight, weight, weight)
    low, high = float(cells.at[0]), float(cells.at[-1])
    even = np.linspace(low, high, _FINE // 2 + 1)[1:-1]
    return cells.pool(np.unique(np.concatenate([even, equal_mass(own, bins=_FINE // 2)])))
