"""Where a calibration error looks: profiles.

A profile rule is a function of the observed cells that answers with the upper edges of its bins.
The edges are fixed once, on the data, and then used for the data and for every replicate alike, so
that a profile is linear in the row weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibtool.cells import Cells
from calibtool.checks import Array


@dataclass(frozen=True, eq=False)
class Profile:
    """Signed gaps, coordinate by coordinate; the last axis is the profile.

    Attributes:
        gap: sum of w * (outcome - score) in each bin, as a share of the weight of all rows.
        mass: weight in each bin, as a share of the weight of all rows.
    """

    gap: Array
    mass: Array


def profile(cells: Cells) -> Profile:
    """The gaps of cells as they stand."""
    total = cells.total[..., None]
    return Profile((cells.y - cells.p) / total, cells.n / total)


def equal_width(cells: Cells, *, bins: int = 15) -> Array:
    """Upper edges k/bins: bins (lo, hi] of equal width, 0 in the first (Guo et al. 2017, sec. 2).

    >>> equal_width(None, bins=4)
    array([0.25, 0.5 , 0.75, 1.  ])
    """
    return np.arange(1, bins + 1) / bins


def equal_mass(cells: Cells, *, bins: int = 15) -> Array:
    """Upper edges that cut the sorted weight at multiples of N/bins (Mukhoti et al. 2020, sec. 3).

    Rows of equal score stay together: a tie group that straddles a cut goes to the side on which
    most of it lies. Cuts that coincide are one, so that a constant score is a single bin.
    """
    heap = np.cumsum(cells.n)
    targets = heap[-1] * np.arange(1, bins) / bins
    above = np.searchsorted(heap, targets * (1 - 1e-12))  # first cell that reaches the target
    below = np.where(above > 0, heap[above - 1], 0.0)
    keep_below = (targets - below < heap[above] - targets) & (above > 0)
    cuts = np.unique(np.append(above - keep_below, len(heap) - 1))
    edges = cells.at[cuts].astype(np.float64)
    edges[-1] = 1.0
    return edges
