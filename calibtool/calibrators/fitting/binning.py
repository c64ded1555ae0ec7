"""Bins of cells: cuts of equal mass, and the edges between cells."""

from __future__ import annotations

import numpy as np

from calibtool.errors import UsageError
from calibtool.metrics.cells import Cells
from calibtool.metrics.profiles import equal_mass
from calibtool.types import Array

# Bins at most: each needs tens of rows to mean anything, and each is two numbers of a file.
MAX_BINS = 10_000


def require_bins(bins: int) -> None:
    """Raise UsageError for a number of bins that is not within 1 and MAX_BINS."""
    if not 1 <= bins <= MAX_BINS:
        raise UsageError(f"--bins must lie between 1 and {MAX_BINS:,}, not {bins:,}")


def mass_cuts(cells: Cells, bins: int) -> Array:
    """Return the index of the last cell of each bin but the last, for bins of equal mass."""
    edges = equal_mass(cells, bins=bins)[:-1]
    return np.searchsorted(cells.at, edges.astype(cells.at.dtype), side="right") - 1


def after(cells: Cells, cuts: Array) -> Array:
    """Return edges halfway between the cells `cuts` and the next ones.

    So the rounding of a score on either side, computed again elsewhere, does not move it across.
    Where the halfway point rounds to the upper cell in the scores' dtype, the edge is the lower
    cell's score: edges belong to the bin below them.
    """
    low, high = cells.at[cuts], cells.at[cuts + 1]
    middle = (low.astype(np.float64) + high) / 2
    rounded = middle.astype(cells.at.dtype)
    return np.where(rounded < high, middle, low.astype(np.float64))


def sums(values: Array, cuts: Array) -> Array:
    """Return the sum over each bin of one value per cell."""
    return np.add.reduceat(values, np.append(0, cuts + 1))
