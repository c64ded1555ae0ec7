"""Rules of equal width: bins whose edges do not depend on the scores.

A rule takes scores, (N,), and a number of bins, and returns the bin of each score, (N,), `DROPPED`
where it has none. Libraries differ in the closed side, in the ends, and in the precision of edges.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.types import Array

# index of the bin of a score that lies in no bin
DROPPED = -1
Rule: TypeAlias = Callable[[Array, int], Array]


def open_below(score: Array, bins: int) -> Array:
    """Return bins (lo, hi] between float32 edges: 0 is dropped."""
    return between(score, torch_linspace(bins, np.float32))


def open_below_exact(score: Array, bins: int) -> Array:
    """Return bins (lo, hi] between float64 edges: 0 is dropped."""
    return between(score, np.linspace(0, 1, bins + 1))


def right_closed(score: Array, bins: int) -> Array:
    """Return bins (lo, hi] between i / bins, 0 in the first."""
    return np.searchsorted(np.arange(1, bins + 1) / bins, score, side="left")


def right_closed_linspace(score: Array, bins: int) -> Array:
    """Return bins (lo, hi] between the inner edges of a linspace, 0 in the first."""
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], score, side="left")


def left_closed(score: Array, bins: int) -> Array:
    """Return bins [lo, hi) between the edges of a linspace, 1 in the last."""
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], score, side="right")


def left_closed_open_end(score: Array, bins: int) -> Array:
    """Return bins [lo, hi) between the edges of a linspace; 1 has a bin of its own."""
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:], score, side="right")


def bucketized(score: Array, bins: int) -> Array:
    """Return bins [lo, hi) between torch's edges; 1 has a bin of its own.

    The edges are in the precision of the scores.
    """
    return np.searchsorted(torch_linspace(bins, score.dtype), score, side="right") - 1


def by_ceiling(score: Array, bins: int) -> Array:
    """Return ceil(bins p - 1), bins (lo, hi]; 0 has no bin and stops the library."""
    index = np.ceil(bins * score.astype(np.float64) - 1).astype(int)
    if np.any(index < 0):
        raise NotAvailableError("raises KeyError: a score of 0 has no bin")
    return index


def by_product32(score: Array, bins: int) -> Array:
    """Return int(p bins) in float32, 1 in the last."""
    return np.minimum((score.astype(np.float32) * np.float32(bins)).astype(int), bins - 1)


def by_quotient(score: Array, bins: int) -> Array:
    """Return int(p / (1 / bins)); 1 has a bin of its own."""
    return (score / (1.0 / bins)).astype(int)


def one_fewer(score: Array, bins: int) -> Array:
    """Return bins (lo, hi] between the `bins` points of a linspace: 0 has a bin of its own."""
    return np.digitize(score, np.linspace(0.0, 1.0, bins), right=True)


def above_one(score: Array, bins: int) -> Array:
    """Return bins (lo, hi] between torch's float32 edges from 0 to 1 + 2^-23, 0 in the first."""
    edges = torch_linspace(bins, np.float32, 1 + float(np.finfo(np.float32).eps))
    return np.minimum(np.searchsorted(edges[1:], score, side="left"), bins - 1)


@lru_cache
def torch_linspace(bins: int, dtype: type | np.dtype, end: float = 1.0) -> Array:
    """Return the edges of torch.linspace(0, end, bins + 1), (bins + 1,).

    They are stepped up from 0 to the middle and down from the end to it, each rounded once, as with
    fused multiply-add; torch rounds twice on machines without it.

    >>> torch_linspace(4, np.float32)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    last = np.dtype(dtype).type(end)
    step = Fraction(float(last / np.dtype(dtype).type(bins)))
    up = [step * place for place in range((bins + 1) // 2)]
    down = [Fraction(float(last)) - step * place for place in range(bins - len(up), -1, -1)]
    return np.array([float(edge) for edge in up + down]).astype(dtype)


def between(score: Array, edges: Array) -> Array:
    """Return the bin (lo, hi] of each score between non-decreasing edges."""
    index = np.searchsorted(edges, score, side="left") - 1
    return np.where(index < len(edges) - 1, index, DROPPED)


def linspace_edges(score: Array, bins: int) -> Array:
    """Return `bins` + 1 edges from 0 to 1."""
    return np.linspace(0, 1, bins + 1)
