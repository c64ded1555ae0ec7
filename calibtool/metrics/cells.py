"""Cells: the one statistic behind every calibration error and every reliability diagram.

A cell is an interval of [0, 1] with three sums over the rows whose score lies in it: the weight
`n`, the predicted mass `p` and the observed mass `y`. Cells add up, pool into coarser bins, and
come with leading axes (replicates, classes) that nothing here needs to know about.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibtool.types import Array


@dataclass(frozen=True, eq=False)
class Cells:
    """Sums over intervals of [0, 1], lowest first.

    Attributes:
        at: (C,) upper end of each cell, increasing, in the precision of the scores. A cell a
            distinct score has the score itself as its upper end.
        n, p, y: (..., C) float64 sums of w, w * score and w * outcome.
    """

    at: Array
    n: Array
    p: Array
    y: Array

    @classmethod
    def from_rows(cls, score: Array, outcome: Array, weights: Array | None = None) -> Cells:
        """A cell a distinct score; exact for every metric.

        >>> Cells.from_rows(np.array([0.5, 0.2, 0.5]), np.array([1, 0, 0])).n
        array([1., 2.])
        """
        if weights is None and _sortable_as_bits(score):
            return cls._of_keys(score, np.asarray(outcome, bool))
        order = np.argsort(score, kind="stable")  # rows of equal score add up in file order
        at = score[order]
        weight = np.ones(len(at)) if weights is None else weights[order]
        starts = _changes(at)
        n = np.add.reduceat(weight, starts)
        y = np.add.reduceat(weight * outcome[order], starts)
        return cls(at[starts], n, n * at[starts].astype(np.float64), y)

    @classmethod
    def _of_keys(cls, score: Array, outcome: Array) -> Cells:
        """The same of rows of equal weight, sorted as whole numbers: the bits of numbers in [0, 2)
        are in their order, and leave room for the outcome."""
        whole = np.dtype(f"u{score.dtype.itemsize}").type
        keys = ((score + score.dtype.type(0)).view(whole) << whole(1)) | outcome  # + 0: no -0
        keys.sort()
        at, hit = (keys >> whole(1)).view(score.dtype), (keys & whole(1)).astype(np.float64)
        starts = _changes(at)
        if len(starts) == len(at):
            return cls(at, np.ones(len(at)), at.astype(np.float64), hit)
        n = np.empty(len(starts))
        np.subtract(starts[1:], starts[:-1], out=n[:-1])
        n[-1] = len(at) - starts[-1]
        at = at[starts]
        return cls(at, n, n * at.astype(np.float64), np.add.reduceat(hit, starts))

    @classmethod
    def binned(
        cls,
        score: Array,
        outcome: Array,
        edges: Array,
        weights: Array | None = None,
        where: Array | None = None,
    ) -> Cells:
        """The cells of the bins with these upper edges, without a look at each distinct score;
        `where` is the bin of each row, if it is known.

        >>> Cells.binned(np.array([0.5, 0.2, 0.5]), np.array([1, 0, 0]), np.array([0.5, 1.0])).n
        array([3., 0.])
        """
        where, size = locate(score, edges) if where is None else where, len(edges)
        n = np.bincount(where, weights, size).astype(np.float64)
        p = np.bincount(where, score if weights is None else weights * score, size)
        y = np.bincount(where, outcome if weights is None else weights * outcome, size)
        return cls(edges, n, p.astype(np.float64), y.astype(np.float64))

    @classmethod
    def empty(cls) -> Cells:
        """No cells: what a profile rule sees that does not depend on the data."""
        return cls(*(np.zeros(0) for _ in range(4)))

    def __add__(self, other: Cells) -> Cells:
        """The cells of both: a cell wherever either has one."""
        at = np.union1d(self.at, other.at)

        def merge(a: Array, b: Array) -> Array:
            out = np.zeros((*a.shape[:-1], len(at)))
            out[..., np.searchsorted(at, self.at)] += a
            out[..., np.searchsorted(at, other.at)] += b
            return out

        return Cells(at, merge(self.n, other.n), merge(self.p, other.p), merge(self.y, other.y))

    def pool(self, edges: Array) -> Cells:
        """Coarser cells: (lo, hi] between consecutive upper `edges`, 0 in the first.

        Edges are compared in the scores' own precision: a float32 0.3 lies on the edge 3/10.
        """
        first = np.concatenate([[0], locate(self.at, edges, side="right")[:-1]])
        return Cells(edges, *(_sums(x, first) for x in (self.n, self.p, self.y)))

    def centres(self) -> Array:
        """Where each cell lies, (C,): its mean score over all leading axes; `at` where it is empty.

        >>> n, p = np.array([2.0, 0.0]), np.array([0.6, 0.0])
        >>> Cells(np.array([0.5, 1.0]), n, p, np.zeros(2)).centres()
        array([0.3, 1. ])
        """
        leading = tuple(range(self.n.ndim - 1))
        n, p = self.n.sum(axis=leading), self.p.sum(axis=leading)
        return np.divide(p, n, out=self.at.astype(np.float64), where=n > 0)

    @property
    def total(self) -> Array:
        """The weight of all rows, (...)."""
        return np.asarray(self.n.sum(axis=-1))


def locate(scores: Array, edges: Array, side: str = "bin") -> Array:
    """The bin (lo, hi] of each score, by upper `edges`; the last bin takes what is rounded above.

    With side="right", instead: for sorted scores, how many lie at or below each edge.
    """
    own = edges.astype(scores.dtype)
    if side == "right":
        return np.searchsorted(scores, own, side="right")
    return np.minimum(np.searchsorted(own, scores, side="left"), len(edges) - 1)


def _sortable_as_bits(score: Array) -> bool:
    whole = score.dtype.kind == "f" and score.dtype.itemsize in (2, 4, 8) and len(score) > 0
    return bool(whole and score.min() >= 0 and score.max() < 2)


def _changes(at: Array) -> Array:
    """Where each run of equal values starts."""
    return np.flatnonzero(np.concatenate([[True], at[1:] != at[:-1]]))


def _sums(values: Array, first: Array) -> Array:
    """Sums of runs that start at `first` (non-decreasing), 0 for an empty run."""
    size = values.shape[-1]
    empty = first == np.append(first[1:], size)
    padded = np.concatenate([values, np.zeros((*values.shape[:-1], 1))], axis=-1)
    return np.asarray(np.where(empty, 0.0, np.add.reduceat(padded, first, axis=-1)))


@dataclass(frozen=True)
class ScoreSum:
    """A weighted sum that adds up over blocks.

    >>> float((ScoreSum(3.0, 2.0) + ScoreSum(1.0, 2.0)).mean)
    1.0
    """

    total: float
    weight: float

    @classmethod
    def from_rows(cls, values: Array, weights: Array | None = None) -> ScoreSum:
        if weights is None:
            return cls(float(values.sum(dtype=np.float64)), float(len(values)))
        keep = weights > 0  # an infinite score of weight 0 counts for nothing
        return cls(float((values[keep] * weights[keep]).sum()), float(weights.sum()))

    def __add__(self, other: ScoreSum) -> ScoreSum:
        return ScoreSum(self.total + other.total, self.weight + other.weight)

    @property
    def mean(self) -> float:
        return self.total / self.weight
