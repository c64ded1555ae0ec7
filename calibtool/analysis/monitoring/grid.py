"""The cells that periods are kept in: fixed, so that periods can be compared and added."""

from __future__ import annotations

import numpy as np

from calibtool.metrics.cells import locate
from calibtool.types import Array

REACH = 14.0  # of logits


def _edges(count: int, step: float) -> Array:
    """Upper ends of cells of equal width, near 0 and 1 narrower: equally wide on the logit axis."""
    even = np.arange(1, count + 1) / count
    tails = 1 / (1 + np.exp(-np.arange(-REACH, REACH + step / 2, step)))
    return np.unique(np.concatenate([even, tails[np.abs(tails - 0.5) > 0.46]]))


FINE = _edges(1024, 0.03)  # where scores themselves are tested
COARSE = _edges(256, 0.1)  # where curves are compared with one another


def pool(at: Array, sums: Array, edges: Array) -> tuple[Array, Array]:
    """The upper ends of fewer cells, each of which takes those that end at its edge or below, and
    (..., C) sums by cell as sums of these.

    >>> pool(np.array([0.3, 0.6, 1.0]), np.array([1, 2, 4]), np.array([0.5, 1.0]))
    (array([0.3, 1. ]), array([1, 6]))
    """
    first = np.flatnonzero(np.diff(locate(at, edges), prepend=-1))
    ends = at[np.append(first[1:], len(at)) - 1]
    return ends, np.asarray(np.add.reduceat(sums, first, axis=-1))


def middles(edges: Array) -> Array:
    """The middle of each cell.

    >>> middles(np.array([0.5, 1.0]))
    array([0.25, 0.75])
    """
    return np.asarray((edges + np.concatenate([[0.0], edges[:-1]])) / 2)


def logit(p: Array) -> Array:
    """log(p / (1 - p))."""
    return np.asarray(np.log(p) - np.log1p(-p))


def sigmoid(z: Array) -> Array:
    """Its inverse, kept off 0 and 1."""
    return np.asarray(1 / (1 + np.exp(-np.clip(z, -20, 20))))
