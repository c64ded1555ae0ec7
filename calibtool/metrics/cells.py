"""Cells: the statistic behind every calibration error and every reliability diagram.

A cell is an interval of [0, 1] with three sums over the rows whose score lies in it: the weight
`n`, the predicted mass `p` and the observed mass `y`. Cells can be added and pooled into coarser
bins. They may have leading axes (replicates, classes), over which every function here broadcasts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from calibtool.parallel import Once
from calibtool.types import Array

# Most copies that the smallest of weights may stand for. A share of a weight that counts as
# rounding, and the number of weights that are looked at first.
COPIES = 3
ROUNDING = 1e-6
SEEN = 1000
# Edges that as many scores are compared with one after another: a search takes the wrong way at
# every other edge, which costs eight times as long with 15 edges, and as long with 100.
FEW_EDGES, MANY_SCORES = 32, 1 << 12


@dataclass(frozen=True, eq=False)
class Cells:
    """Sums over intervals of [0, 1], lowest first.

    Attributes:
        at: (C,) upper end of each cell, increasing, in the precision of the scores. With one cell
            per distinct score, it is the score itself.
        n, p, y: (..., C) float64 sums of w, w * score and w * outcome.
        row: (C,) what leaving out one row takes away (`left_out`), the mean over the cell's weight;
            (1,) where that is the same for all rows, None where unknown.
    """

    at: Array
    n: Array
    p: Array
    y: Array
    row: Array | None = None

    @classmethod
    def from_rows(
        cls, score: Array, outcome: Array, weights: Array | None = None, *, by_weight: bool = False
    ) -> Cells:
        """Return one cell per distinct score; exact for every metric but those that leave out rows.

        Args:
            score: (N,) scores in [0, 1], at least one.
            outcome: (N,) 0 or 1, or True and False.
            weights: (N,) weights of rows; 1 by default.
            by_weight: one cell per distinct score and weight, which is exact for those too.

        >>> Cells.from_rows(np.array([0.5, 0.2, 0.5]), np.array([1, 0, 0])).n
        array([1., 2.])
        """
        if weights is None:
            of = cls._of_keys if _sortable_as_bits(score) else cls._of_values
            return of(score, np.asarray(outcome, bool))
        # stable, so that rows of equal score add up in file order and give the same last digit
        if by_weight:
            order = np.lexsort((weights, score))
            starts = np.union1d(changes(score[order]), changes(weights[order]))
        else:
            order = np.argsort(score, kind="stable")
            starts = changes(score[order])
        at = score[order]
        weight = weights[order]
        n = np.add.reduceat(weight, starts)
        y = np.add.reduceat(weight * outcome[order], starts)
        row = left_out(weight)
        if len(row) > 1:
            row = _shares(np.add.reduceat(weight * row, starts), n)
        return cls(at[starts], n, n * at[starts].astype(np.float64), y, row)

    @classmethod
    def _of_values(cls, score: Array, outcome: Array) -> Cells:
        """Return one cell per distinct score, of rows of equal weight.

        Counts depend on no order of rows, so the scores are sorted, ten times as fast as their
        order, and those of the outcomes are counted among them.
        """
        values = np.sort(score)
        starts = changes(values)
        at = values[starts]
        n = lengths(starts, len(values))
        hits = np.searchsorted(at, np.sort(score[outcome]))
        y = np.bincount(hits, minlength=len(at)).astype(np.float64)
        return cls(at, n, n * at.astype(np.float64), y, np.ones(1))

    @classmethod
    def _of_keys(cls, score: Array, outcome: Array) -> Cells:
        """Return one cell per distinct score, of rows of equal weight, sorted as whole numbers.

        The bit patterns of floats from 0 up, read as integers, are in the order of the floats.
        Their highest bit, the sign, is 0: shifted by one they lose nothing and leave room for the
        outcome, so that one sort of integers, much faster than an argsort, orders both.
        """
        integer = np.dtype(f"u{score.dtype.itemsize}").type
        # adding 0 turns -0.0, whose sign bit is set, into 0.0
        keys = (score + score.dtype.type(0)).view(integer)
        keys <<= integer(1)
        keys |= outcome
        keys.sort()
        hit = (keys & integer(1)).astype(np.float64)
        keys >>= integer(1)
        at = keys.view(score.dtype)
        if (keys[1:] != keys[:-1]).all():
            p = at.astype(np.float64, copy=False)
            return cls(at, np.ones(len(at)), p, hit, np.ones(1))
        starts = changes(at)
        n = lengths(starts, len(at))
        at = at[starts]
        y = np.add.reduceat(hit, starts)
        return cls(at, n, n * at.astype(np.float64), y, np.ones(1))

    @classmethod
    def binned(
        cls,
        score: Array,
        outcome: Array,
        edges: Array,
        weights: Array | None = None,
        where: Array | None = None,
    ) -> Cells:
        """Return the cells of the bins with these upper edges, without sorting the scores.

        Args:
            score, outcome, weights: as of `from_rows`.
            edges: (C,) upper edges of the bins, increasing.
            where: (N,) the bin of each row, if it is known.

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
        """Return no cells, for a profile rule that does not depend on the data."""
        return cls(*(np.zeros(0) for _ in range(4)))

    def __add__(self, other: Cells) -> Cells:
        """Return the sums of both, with a cell wherever either has one."""
        at = np.union1d(self.at, other.at)

        def merge(a: Array, b: Array) -> Array:
            out = np.zeros((*a.shape[:-1], len(at)))
            out[..., np.searchsorted(at, self.at)] += a
            out[..., np.searchsorted(at, other.at)] += b
            return out

        sums = (merge(self.n, other.n), merge(self.p, other.p), merge(self.y, other.y))
        if self.row is None or other.row is None:
            return Cells(at, *sums)
        if len(self.row) == len(other.row) == 1:
            copy = common_divisor(np.concatenate([self.row, other.row]))
            if copy is not None:
                return Cells(at, *sums, np.array([copy]))
        squares = merge(self._mass() * self.row, other._mass() * other.row)
        return Cells(at, *sums, _shares(squares, merge(self._mass(), other._mass())))

    def pool(self, edges: Array) -> Cells:
        """Return coarser cells, (lo, hi] between consecutive upper `edges`, 0 in the first.

        Edges are compared in the scores' own precision: a float32 0.3 lies on the edge 3/10.
        """
        first = np.concatenate([[0], locate(self.at, edges, side="right")[:-1]])
        n, p, y = (_sums(x, first) for x in (self.n, self.p, self.y))
        if self.row is None or len(self.row) == 1:
            return Cells(edges, n, p, y, self.row)
        mass = self._mass()
        return Cells(edges, n, p, y, _shares(_sums(mass * self.row, first), _sums(mass, first)))

    def occupied(self) -> Cells:
        """Return the cells that hold any weight; without axes of replicates."""
        some = self.n > 0
        row = self.row if self.row is None or len(self.row) == 1 else self.row[some]
        return Cells(self.at[some], self.n[some], self.p[some], self.y[some], row)

    def centres(self) -> Array:
        """Return the position of each cell, (C,): its mean score, or `at` where it is empty.

        It is the mean over all leading axes, so that replicates share positions. Not to be changed.

        >>> n, p = np.array([2.0, 0.0]), np.array([0.6, 0.0])
        >>> Cells(np.array([0.5, 1.0]), n, p, np.zeros(2)).centres()
        array([0.3, 1. ])
        """

        def compute() -> Array:
            n, p = self._mass(), _over_leading(self.p)
            some = n > 0
            # a quotient of all is much faster than one of some
            at = (
                p / n if some.all() else np.divide(p, n, out=self.at.astype(np.float64), where=some)
            )
            at.flags.writeable = False  # of whoever asks
            return at

        return self.of_scores("centres", compute)

    @cached_property
    def once(self) -> Once:
        """What several metrics need of these cells, each computed once."""
        return Once()

    @cached_property
    def of_scores(self) -> Once:
        """What is computed once of the scores and the weights alone, whatever the outcomes."""
        return Once()

    def with_outcomes(self, y: Array) -> Cells:
        """Return the cells of the same rows with other outcomes, (..., C).

        They share what is computed of their scores.
        """
        cells = Cells(self.at, self.n, self.p, y, self.row)
        vars(cells)["of_scores"] = self.of_scores
        return cells

    def summed(self) -> Cells:
        """Return the sums over all leading axes: one set of cells, (C,).

        What has to be the same for all replicates (positions, bins) is derived from it.
        """
        leading = tuple(range(self.n.ndim - 1))
        n, p, y = (x.sum(axis=leading) for x in (self.n, self.p, self.y))
        return Cells(self.at, n, p, y, self.row)

    def _mass(self) -> Array:
        """Return the weight of each cell over all leading axes, (C,)."""
        return _over_leading(self.n)

    @property
    def total(self) -> Array:
        """The weight of all rows, (...)."""
        return np.asarray(self.n.sum(axis=-1))


def locate(scores: Array, edges: Array, side: str = "bin") -> Array:
    """Return the bin (lo, hi] of each score, by upper `edges`; scores above them are in the last.

    With side="right", return instead, for sorted scores, how many lie at or below each edge.
    """
    # in the scores' precision: the float32 score 0.3 lies on the edge 3/10, not above it
    rounded = edges.astype(scores.dtype)
    if side == "right":
        return np.searchsorted(scores, rounded, side="right")
    if len(edges) <= FEW_EDGES and scores.size >= MANY_SCORES:
        above = np.zeros(scores.shape, np.uint8)
        for edge in rounded[:-1]:
            above += ~(scores <= edge)
        return above.astype(np.intp)
    return np.minimum(np.searchsorted(rounded, scores, side="left"), len(edges) - 1)


def _sortable_as_bits(score: Array) -> bool:
    """Return True for non-empty float scores in [0, 2), which `_of_keys` can sort."""
    floats = score.dtype.kind == "f" and score.dtype.itemsize in (2, 4, 8) and len(score) > 0
    return bool(floats and score.min() >= 0 and score.max() < 2)


def changes(at: Array) -> Array:
    """Return the index at which each run of equal values starts."""
    return np.flatnonzero(np.concatenate([[True], at[1:] != at[:-1]]))


def lengths(starts: Array, rows: int) -> Array:
    """Return the number of rows of each run, float64, of runs that start there."""
    n = np.empty(len(starts))
    np.subtract(starts[1:], starts[:-1], out=n[:-1])
    n[-1] = rows - starts[-1]
    return n


def same_shift(cells: Cells, gap: float, **options: Any) -> float:
    """Return an error that averages gaps where all rates lie `gap` off the scores: |gap|."""
    return abs(gap)


def squared_shift(cells: Cells, gap: float, **options: Any) -> float:
    """Return an error that averages squared gaps where all lie `gap` off: its square."""
    return gap * gap


def left_out(weights: Array) -> Array:
    """Return what leaving out a row takes away, (N,) or (1,): its weight.

    Whole numbers count copies, of which one is left out: a weight of k is k rows. So do whole
    numbers that were divided by one number, such as their mean, if they began with 1, 2 or 3:
    measured weights of a few decimals have a common divisor too, 0.01, but a far smaller one.

    >>> left_out(np.array([2.0, 1.0, 4.0])), left_out(np.array([0.5, 1.25]))
    (array([1.]), array([0.25]))
    >>> left_out(np.array([0.37, 1.21]))
    array([0.37, 1.21])
    """
    some = weights[weights > 0]
    if not len(some):
        return np.ones(1)
    divisor = common_divisor(np.unique(some[:SEEN]))
    if divisor is not None and len(some) > SEEN:
        whole = np.rint(some / divisor)
        divisor = divisor if np.abs(some - whole * divisor).max() <= ROUNDING * divisor else None
        if divisor is None:
            divisor = common_divisor(np.unique(some))
    if divisor is None:
        return np.asarray(weights, np.float64)
    return np.array([divisor])


def common_divisor(weights: Array) -> float | None:
    """Return the greatest common divisor of positive weights; None where there is hardly one.

    >>> common_divisor(np.array([6.0, 15.0])), common_divisor(np.array([1.0, 2**0.5]))
    (3.0, None)
    """
    if weights.max() < 2**53 and np.array_equal(weights, np.rint(weights)):
        return float(np.gcd.reduce(weights.astype(np.int64)))
    smallest = divisor = float(weights.min())
    for weight in weights.tolist():
        a, b = weight, divisor
        # Euclid's algorithm with the nearest multiple
        while b > ROUNDING * smallest:
            a, b = b, abs(a - b * round(a / b))
        divisor = a
        if divisor < smallest / COPIES * (1 - ROUNDING):
            return None
    return divisor


def _over_leading(values: Array) -> Array:
    """Return the sums over all axes but the last."""
    return values if values.ndim == 1 else values.sum(axis=tuple(range(values.ndim - 1)))


def _shares(a: Array, b: Array) -> Array:
    """Return a / b, 1 where b is 0."""
    return np.divide(a, b, out=np.ones(len(b)), where=b > 0)


def _sums(values: Array, first: Array) -> Array:
    """Return sums of runs that start at `first` (non-decreasing), 0 for an empty run."""
    size = values.shape[-1]
    empty = first == np.append(first[1:], size)
    # reduceat gives an empty run the value at its start, which may lie one past the end
    padded = np.concatenate([values, np.zeros((*values.shape[:-1], 1))], axis=-1)
    return np.asarray(np.where(empty, 0.0, np.add.reduceat(padded, first, axis=-1)))


def quotient(a: Array, b: Array) -> Array:
    """Return a / b of arrays of equal shape, NaN where b is not above 0."""
    a, b = np.asarray(a), np.asarray(b)
    return np.divide(a, b, out=np.full(np.shape(b), np.nan), where=b > 0)


@dataclass(frozen=True)
class ScoreSum:
    """The weighted sum of a score over rows; sums of blocks can be added.

    Attributes:
        total: sum of weight * value.
        weight: sum of weights.

    >>> float((ScoreSum(3.0, 2.0) + ScoreSum(1.0, 2.0)).mean)
    1.0
    """

    total: float
    weight: float

    @classmethod
    def from_rows(cls, values: Array, weights: Array | None = None) -> ScoreSum:
        """Return the sum of the values, (N,), with weights of 1 by default."""
        if weights is None:
            return cls(float(values.sum(dtype=np.float64)), float(len(values)))
        counted = weights > 0  # 0 times an infinite score would be nan
        weights = weights[counted]  # both sums add up in the same order: the mean of ones is 1
        return cls(float((values[counted] * weights).sum()), float(weights.sum()))

    def __add__(self, other: ScoreSum) -> ScoreSum:
        """Return the sum over the rows of both."""
        return ScoreSum(self.total + other.total, self.weight + other.weight)

    @property
    def mean(self) -> float:
        """The weighted mean."""
        return self.total / self.weight
