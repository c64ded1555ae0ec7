"""The cells of periods: fixed, so that periods can be compared and added."""

from __future__ import annotations

import numpy as np

from calibtool.metrics.cells import locate
from calibtool.streaming.grid import distinct
from calibtool.types import Array

REACH = 14.0  # largest logit with a cell of its own: a probability of 1 - 8e-7
# Distance from 0.5 beyond which cells of equal width on the logit axis are narrower than those of
# equal width on the score axis, about 0.04 from 0 and 1.
TAIL = 0.46


def _edges(count: int, step: float) -> Array:
    """Return upper ends of cells in (0, 1].

    Args:
        count: number of cells of equal width.
        step: width, on the logit axis, of the narrower cells near 0 and 1.
    """
    even = np.arange(1, count + 1) / count
    tails = 1 / (1 + np.exp(-np.arange(-REACH, REACH + step / 2, step)))
    return distinct(even, tails[np.abs(tails - 0.5) > TAIL])


# Cells in which outcomes are compared. P(y = 1) is taken to be the same within each, wherever in it
# scores lie; cells of 1 / 256 make an error of less than 1e-5.
COARSE = _edges(256, 0.1)


def pool(at: Array, sums: Array, edges: Array) -> tuple[Array, Array]:
    """Pool cells to coarser ones.

    Args:
        at: (C,) upper ends of the cells.
        sums: (..., C) sums per cell.
        edges: upper ends of the coarser cells; a cell goes where its own upper end lies.

    Returns the upper ends of the coarser cells that hold any cell, and (..., fewer) sums.

    >>> pool(np.array([0.3, 0.6, 1.0]), np.array([1, 2, 4]), np.array([0.5, 1.0]))
    (array([0.3, 1. ]), array([1, 6]))
    """
    first = np.flatnonzero(np.diff(locate(at, edges), prepend=-1))
    ends = at[np.append(first[1:], len(at)) - 1]
    return ends, np.asarray(np.add.reduceat(sums, first, axis=-1))


def middles(edges: Array) -> Array:
    """Return the middle of each cell, from the upper ends of all.

    >>> middles(np.array([0.5, 1.0]))
    array([0.25, 0.75])
    """
    return np.asarray((edges + np.concatenate([[0.0], edges[:-1]])) / 2)


def logit(p: Array) -> Array:
    """Return log(p / (1 - p))."""
    return np.asarray(np.log(p) - np.log1p(-p))
