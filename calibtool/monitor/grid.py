"""The cells that periods are kept in: fixed, so that periods can be compared and added."""

from __future__ import annotations

import numpy as np

from calibtool.checks import Array

_FINE, _COARSE = 4096, 256  # cells of equal width
_REACH, _FINE_STEP, _COARSE_STEP = 14.0, 0.02, 0.1  # of logits


def _edges(count: int, step: float) -> Array:
    """Upper ends: of cells of equal width, narrower near 0 and 1, where logits run away."""
    even = np.arange(1, count + 1) / count
    logits = np.arange(-_REACH, _REACH + step / 2, step)
    tails = 1 / (1 + np.exp(-logits))
    tails = tails[(tails < 0.04) | (tails > 0.96)]
    # cells of equal width are in the way where those of the logit are narrower
    return np.unique(np.concatenate([even, tails]))


FINE = _edges(_FINE, _FINE_STEP)
COARSE = _edges(_COARSE, _COARSE_STEP)


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
    return np.asarray(np.clip(1 / (1 + np.exp(-z)), 1e-9, 1 - 1e-9))
