"""Bins of cells: where equal mass cuts them, and the edges between."""

from __future__ import annotations

import numpy as np

from calibtool.errors import UsageError
from calibtool.metrics.cells import Cells
from calibtool.metrics.profiles import equal_mass
from calibtool.types import Array

MOST = 10_000


def require_bins(bins: int) -> None:
    """Whether there can be so many bins."""
    if not 1 <= bins <= MOST:
        raise UsageError(f"--bins must lie between 1 and {MOST:,}, not {bins:,}")


def mass_cuts(cells: Cells, bins: int) -> Array:
    """The last cell of each bin but the last, for bins of equal mass."""
    edges = equal_mass(cells, bins=bins)[:-1]
    return np.searchsorted(cells.at, edges.astype(cells.at.dtype), side="right") - 1


def after(cells: Cells, cuts: Array) -> Array:
    """Edges halfway between the cells `cuts` and the next: rounding of a score on either side
    does not move it across."""
    low, high = cells.at[cuts], cells.at[cuts + 1]
    middle = (low.astype(np.float64) + high) / 2
    own = middle.astype(cells.at.dtype)
    return np.where(own < high, middle, low.astype(np.float64))


def sums(values: Array, cuts: Array) -> Array:
    """Sums of a value a cell in each bin."""
    return np.add.reduceat(values, np.append(0, cuts + 1))
