"""How far off slices are: Kuiper's range of their gaps, in standard deviations, from binned scores.

A fit looks at every slice in every round, so that gaps are summed in quantile groups of the scores;
the metric (`calibtool.metrics.multicalibration`) sums them row by row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np

from calibtool.calibrators.conditions import Condition, conditions_of
from calibtool.data.predictions import Predictions
from calibtool.data.slicing import FEW, Partition, partition
from calibtool.types import Array

# Quantile groups of the scores, as in a slice search: Kuiper's range of the sums misses less than
# the rows of half a group.
BINS = 64
# Expected outcomes of a slice, as sum p (1 - p), from which on Kuiper's range is about that of a
# Brownian motion: the usual rule of thumb for normal approximations of counts.
ENOUGH = 5.0


@dataclass(frozen=True, eq=False)
class Slices:
    """Slices that do not overlap.

    Attributes:
        where: (S,) the conditions of each slice.
        codes: (N,) number of each row's slice; S for rows of none.
    """

    where: list[tuple[Condition, ...]]
    codes: Array

    @property
    def count(self) -> int:
        return len(self.where)

    def rows(self, number: int) -> Array:
        """Return the positions of the rows of a slice."""
        return np.flatnonzero(self.codes == number)


# the slices by a column, and the condition of each; None for one of joined values
Divided: TypeAlias = tuple[Partition, list[Condition | None]]


def divided(rows: Predictions, column: str) -> Divided:
    """Return the rows divided by the values of a column."""
    part = partition(rows, column)
    return part, conditions_of(rows, part)


def slices_by(rows: Predictions, parts: list[Divided], *, single: bool) -> Iterator[Slices]:
    """Yield all rows, the slices by each column, and those by each two columns."""
    yield Slices([()], np.zeros(rows.rows, np.int64))
    for part, conditions in parts:
        yield _with_rows(part.codes, [None if c is None else (c,) for c in conditions])
    for (a, of_a), (b, of_b) in () if single else combinations(parts, 2):
        occurring, codes = np.unique(a.codes * len(of_b) + b.codes, return_inverse=True)
        pairs = [(of_a[k // len(of_b)], of_b[k % len(of_b)]) for k in occurring.tolist()]
        yield _with_rows(codes, [None if None in pair else pair for pair in pairs])


def _with_rows(codes: Array, where: list[tuple[Condition, ...] | None]) -> Slices:
    """Return the slices that have a condition and at least FEW rows."""
    rows = np.bincount(codes, minlength=len(where))
    able = [k for k, one in enumerate(where) if one is not None and rows[k] >= FEW]
    number = np.full(len(where), len(able))
    number[able] = np.arange(len(able))
    return Slices([one for k in able if (one := where[k]) is not None], number[codes])


@dataclass(frozen=True)
class Rule:
    """What is left alone: errors up to the tolerance, and `chance`, in standard deviations, which
    the worst of all slices stays below if none is off, with a probability of 1 - MISTAKE."""

    tolerance: float
    monotone: bool
    chance: float


@dataclass(frozen=True)
class Worst:
    """The slice that is farthest off: by how many standard deviations beyond the tolerance, where
    it stands among the slices, and its rows."""

    excess: float
    at: int
    number: int
    where: tuple[Condition, ...]
    rows: Array

    def describe(self) -> str:
        return f"{name_of_slice(self.where)}, {self.excess:.1f} standard deviations"


class Gaps:
    """Log-odds, outcomes and weights of rows, and how far off their slices are."""

    def __init__(self, score: Array, outcome: Array, weights: Array, sets: list[Slices]) -> None:
        self.score, self.outcome, self.weights, self.sets = score, outcome, weights, sets
        self._unit = float(weights @ weights / weights.sum())  # 1 without weights (Kish 1965)

    def losses(self) -> Array:
        """Return the NLL of each row's outcome at its log-odds, in nats."""
        return np.asarray(np.logaddexp(0, self.score) - self.outcome * self.score)

    def mean(self, losses: Array) -> float:
        """Return the mean of one value per row, by weight."""
        return float(np.average(losses, weights=self.weights))

    def worst(self, rule: Rule, only: slice = slice(None)) -> Worst:
        """Return the slice that is farthest off."""
        from calibtool.intervals.special import expit

        p = expit(self.score)
        gap = self.weights * (self.outcome - p)
        variance = self.weights**2 * p * (1 - p)
        edges = np.unique(np.quantile(self.score, np.arange(1, BINS) / BINS))
        bins = np.searchsorted(edges, self.score)
        found = (-np.inf, 0, 0)
        for n, one in enumerate(self.sets[only]):
            excess = self._excess(one, bins, gap, variance, rule.tolerance)
            k = int(excess.argmax()) if one.count else 0
            if one.count and excess[k] > found[0]:
                found = (float(excess[k]), n, k)
        _, n, k = found
        one = self.sets[n]
        return Worst(*found, one.where[k], one.rows(k))

    def _excess(
        self, one: Slices, bins: Array, gap: Array, variance: Array, tolerance: float
    ) -> Array:
        """Return how far each slice is off beyond the tolerance, in standard deviations; -inf for
        slices of too few outcomes.

        The variance is the larger of that under calibration and the observed one: where scores
        near 0 are far too small, the former says nothing.
        """
        size, width = one.count + 1, BINS
        sums = np.bincount(one.codes * width + bins, gap, size * width).reshape(size, width)[:-1]
        path = np.cumsum(sums, axis=1)
        ranges = np.maximum(path.max(axis=1), 0) - np.minimum(path.min(axis=1), 0)
        squares = np.maximum(
            np.bincount(one.codes, variance, size), np.bincount(one.codes, gap * gap, size)
        )[:-1]
        weight = np.bincount(one.codes, self.weights, size)[:-1]
        able = squares >= ENOUGH * self._unit**2
        excess = np.full(one.count, -np.inf)
        excess[able] = (ranges - tolerance * weight)[able] / np.sqrt(squares[able])
        return excess


def name_of_slice(where: tuple[Condition, ...]) -> str:
    """Return the conditions of a slice in words."""
    return ", ".join(condition.describe() for condition in where) or "all rows"
