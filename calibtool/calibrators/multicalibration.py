"""Multicalibration: patches of the slices that are off (Hebert-Johnson et al. 2018).

Slices are the values of the named columns and their pairs, as `calibtool slices` divides the rows,
and all rows. How far off a slice is, is Kuiper's range of its gaps over the standard deviation
(`calibtool.metrics.multicalibration`). Each round takes the worst slice and shifts the log-odds of
its rows by a curve of five knots: half a Newton step towards the least NLL of the slice, drawn to 0
and to a constant by normal priors.

The rounds are cross-fitted. They end when no slice is off by more than the tolerance and chance on
held-out rows, or when the held-out NLL has not fallen for some rounds; the number of rounds of least
held-out NLL is then fitted to all rows. If no slice is off to begin with, nothing is patched.

If all rows together are off, the patches begin at Platt scaling of two classes, or a temperature of
more, and otherwise at the scores as they are. Of more than two classes, the confidence of the
predicted class is patched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from calibtool.calibrators import inputs, platt, temperature
from calibtool.calibrators.calibrator import Calibrator, finish, require_fit
from calibtool.calibrators.conditions import Condition, conditions_of
from calibtool.calibrators.confidences import as_classes
from calibtool.calibrators.crossfit import FOLDS, folds
from calibtool.calibrators.fitted import FitRecord
from calibtool.calibrators.inputs import weights_of
from calibtool.calibrators.maps import Map, Power
from calibtool.calibrators.nested_maps import Patch, Patched, score_of
from calibtool.data.predictions import Predictions
from calibtool.data.slicing import FEW, partition
from calibtool.errors import FitError, UsageError
from calibtool.metrics.multicalibration import range_quantile
from calibtool.types import Array

KNOTS = (0.05, 0.275, 0.5, 0.725, 0.95)  # quantiles of the log-odds at which the knots stand
APART = 1e-3  # least distance of knots in log-odds: below, a slope between them is no use
# Quantile groups of the scores in which gaps are summed, as in a slice search: Kuiper's range of the
# sums misses less than the rows of half a group.
BINS = 64
# Standard deviations of the priors of a patch, in log-odds: slices of real data are off by up to 1,
# and by much the same at neighbouring scores.
SHIFT, BEND = 0.5, 0.25
# Share of a Newton step that a patch takes, and its largest shift: the slice with the largest error
# is so in part by chance. A step of at most 1 changes the curvature by at most e, so that half of
# Newton's never overshoots.
RATE, LONGEST = 0.5, 1.0
MISTAKE = 0.05  # the chance that a slice is patched although none is off
# Expected outcomes of a slice, as sum p (1 - p), from which on Kuiper's range is about that of a
# Brownian motion: the usual rule of thumb for normal approximations of counts.
ENOUGH = 5.0
PATIENCE = 8  # rounds without a lower held-out NLL; with 64 slices, eight rounds see the worst ones
MOST_ROUNDS = 300  # patches at most: more than slices are off in any data that were tried


def fit(
    predictions: Predictions,
    columns: list[str],
    *,
    tolerance: float = 0.0,
    single: bool = False,
    monotone: bool = False,
) -> Calibrator:
    """Patch the slices that are off.

    Args:
        predictions: N rows with labels, or confidences with hits, and the columns in `extra`.
        columns: their names.
        tolerance: largest error of a slice that is left alone, as a probability: the largest sum of
            gaps over a range of its scores, over its rows. By default, only chance is.
        single: patch slices by single columns only, no pairs of columns.
        monotone: keep the order of the scores among rows with the same values of the columns.

    Raises InputError for a column that is not there, or too few rows to cross-fit.
    """
    if not 0 <= tolerance < 1:
        raise UsageError(f"--tolerance must be at least 0 and below 1 (got {tolerance:g})")
    rows = as_classes(predictions)
    require_fit(rows)
    sets = list(_slices(rows, columns, single=single))
    fold = folds(rows)
    rule = _Rule(tolerance, monotone, range_quantile(MISTAKE / sum(s.count for s in sets)))
    chosen = _cross_fitted(rows, sets, fold, rule)
    run = _Run.of(rows, sets, np.arange(rows.rows), rule)
    before = run.nll()
    for _ in range(chosen.rounds):
        run.step()
    record = FitRecord(
        objective="nll",
        nll_before=before,
        nll_after=run.nll(),
        options={
            "by": ",".join(columns),
            "tolerance": tolerance,
            "single": single,
            "monotone": monotone,
        },
        notes=(*_notes_of_columns(rows, columns), *chosen.notes(rule)),
    )
    return finish("multicalibration", predictions, run.map(), record)


# ------------------------------------------------------------------ slices


@dataclass(frozen=True, eq=False)
class _Slices:
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


def _slices(rows: Predictions, columns: list[str], *, single: bool) -> Iterator[_Slices]:
    """Yield all rows, the slices by each column, and those by each two columns."""
    yield _Slices([()], np.zeros(rows.rows, np.int64))
    parts = []
    for column in columns:
        part = partition(rows, column)
        parts.append((part.codes, conditions_of(rows, part)))
    for codes, conditions in parts:
        yield _with_rows(codes, [None if c is None else (c,) for c in conditions])
    for (a, of_a), (b, of_b) in () if single else combinations(parts, 2):
        occurring, codes = np.unique(a * len(of_b) + b, return_inverse=True)
        pairs = [(of_a[k // len(of_b)], of_b[k % len(of_b)]) for k in occurring.tolist()]
        yield _with_rows(codes, [None if None in pair else pair for pair in pairs])  # type: ignore[misc]


def _with_rows(codes: Array, where: list[tuple[Condition, ...] | None]) -> _Slices:
    """Return the slices that have a condition and at least FEW rows."""
    rows = np.bincount(codes, minlength=len(where))
    able = [k for k, one in enumerate(where) if one is not None and rows[k] >= FEW]
    number = np.full(len(where), len(able))
    number[able] = np.arange(len(able))
    return _Slices([one for k in able if (one := where[k]) is not None], number[codes])


def _notes_of_columns(rows: Predictions, columns: list[str]) -> Iterator[str]:
    for column in columns:
        part = partition(rows, column)
        if len(part.names) == 1:
            yield f"{column}: holds one value, so that it makes no slices"
        if part.note:
            yield f"{column}: {part.note} They are patched as part of larger slices only."


def _name(where: tuple[Condition, ...]) -> str:
    return ", ".join(condition.describe() for condition in where) or "all rows"


# ------------------------------------------------------------------ how far off slices are


@dataclass(frozen=True)
class _Rule:
    """What is left alone: errors up to the tolerance, and `chance`, in standard deviations, which
    the worst of all slices stays below if none is off, with a probability of 1 - MISTAKE."""

    tolerance: float
    monotone: bool
    chance: float


@dataclass(frozen=True)
class _Worst:
    """The slice that is farthest off: by how many standard deviations beyond the tolerance."""

    excess: float
    where: tuple[Condition, ...]
    rows: Array

    def describe(self) -> str:
        return f"{_name(self.where)}, {self.excess:.1f} standard deviations"


class _Gaps:
    """Log-odds, outcomes and weights of rows, and how far off their slices are."""

    def __init__(self, score: Array, outcome: Array, weights: Array, sets: list[_Slices]) -> None:
        self.score, self.outcome, self.weights, self.sets = score, outcome, weights, sets
        self._edges = np.unique(np.quantile(score, np.arange(1, BINS) / BINS))
        self._unit = float(weights @ weights / weights.sum())  # 1 without weights (Kish 1965)

    def nll(self) -> float:
        """Return the mean NLL in nats of outcomes at these log-odds."""
        losses = np.logaddexp(0, self.score) - self.outcome * self.score
        return float(np.average(losses, weights=self.weights))

    def worst(self, rule: _Rule, only: slice = slice(None)) -> _Worst:
        """Return the slice that is farthest off."""
        from scipy.special import expit

        p = expit(self.score)
        gap = self.weights * (self.outcome - p)
        variance = self.weights**2 * p * (1 - p)
        bins = np.searchsorted(self._edges, self.score)
        found = (-np.inf, 0, 0)
        for n, one in enumerate(self.sets[only]):
            excess = self._excess(one, bins, gap, variance, rule.tolerance)
            k = int(excess.argmax()) if one.count else 0
            if one.count and excess[k] > found[0]:
                found = (float(excess[k]), n, k)
        excess_, n, k = found
        one = self.sets[n]
        return _Worst(excess_, one.where[k], np.flatnonzero(one.codes == k))

    def _excess(
        self, one: _Slices, bins: Array, gap: Array, variance: Array, tolerance: float
    ) -> Array:
        """Return how far each slice is off beyond the tolerance, in standard deviations; -inf for
        slices of too few outcomes.

        The variance is the larger of that under calibration and the observed one: where scores
        near 0 are far too small, the former says nothing.
        """
        size, width = one.count + 1, len(self._edges) + 1
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


# ------------------------------------------------------------------ patching


class _Run:
    """The rounds of a fit to some of the rows; the log-odds of all rows follow.

    Attributes:
        gaps: of the rows that are fitted.
        score: (N,) log-odds of all rows.
        patches: so far, one per round.
    """

    def __init__(
        self, rows: Predictions, sets: list[_Slices], at: Array, rule: _Rule, inner: Map
    ) -> None:
        before = inner(rows)
        self.inner, self.rule, self.at, self.sets = inner, rule, at, sets
        self.floor = inputs.floor_of(before)
        top, self.score = score_of(before, self.floor)
        outcome = (rows.labels == top).astype(np.float64)
        seen = [_Slices(one.where, one.codes[at]) for one in sets]
        self.gaps = _Gaps(self.score[at], outcome[at], weights_of(rows)[at], seen)
        self.outcome = outcome
        self.knots = _knots(self.gaps.score)
        self.patches: list[Patch] = []

    @classmethod
    def of(cls, rows: Predictions, sets: list[_Slices], at: Array, rule: _Rule) -> _Run:
        """Return the run on the rows `at`, from a base if all of these together are off."""
        plain = cls(rows, sets, at, rule, Power(1.0))
        if plain.gaps.worst(rule, slice(1)).excess <= range_quantile(MISTAKE):
            return plain
        return cls(rows, sets, at, rule, _base(rows.take(at), rule))

    def nll(self) -> float:
        return self.gaps.nll()

    def step(self) -> bool:
        """Patch the worst slice; return whether there was one to patch."""
        worst = self.gaps.worst(self.rule)
        if worst.excess <= 0:
            return False
        shifts = self._shifts(worst.rows)
        patch = Patch(worst.where, shifts)
        self.patches.append(patch)
        self.gaps.score[worst.rows] += np.interp(
            self.gaps.score[worst.rows], self.knots, shifts
        )
        inside = self._inside(worst.where)
        self.score[inside] += np.interp(self.score[inside], self.knots, shifts)
        return True

    def _inside(self, where: tuple[Condition, ...]) -> Array:
        """Return the positions of a slice among all rows."""
        for one in self.sets:
            if where in one.where:
                return np.flatnonzero(one.codes == one.where.index(where))
        return np.zeros(0, np.int64)

    def _shifts(self, rows: Array) -> Array:
        """Return the shift at each knot for the rows of a slice: RATE of a Newton step."""
        from scipy.special import expit

        score, weights = self.gaps.score[rows], self.gaps.weights[rows]
        p, count = expit(score), len(self.knots)
        hats = np.stack([np.interp(score, self.knots, e) for e in np.eye(count)], axis=1)
        slope = hats.T @ (weights * (self.gaps.outcome[rows] - p))
        curve = hats.T @ (hats * (weights * p * (1 - p))[:, None])
        change = np.diff(np.eye(count), axis=0)
        prior = np.eye(count) / SHIFT**2 + change.T @ change / BEND**2
        shifts = RATE * np.linalg.solve(curve + prior, slope)
        shifts *= min(1.0, LONGEST / max(float(np.abs(shifts).max()), LONGEST))
        if self.rule.monotone and count > 1:
            # knot + shift must not fall from one knot to the next, so that scores keep their order
            falls = -np.diff(shifts) / np.diff(self.knots)
            shifts *= min(1.0, 1 / max(float(falls.max()), 1.0))
        return np.asarray(shifts)

    def map(self) -> Patched:
        """Return the fitted map."""
        return Patched(self.inner, self.knots, tuple(self.patches), self.floor)


def _knots(score: Array) -> Array:
    """Return the knots for these log-odds, at least APART."""
    knots = [float(np.quantile(score, KNOTS[0]))]
    for share in KNOTS[1:]:
        if (at := float(np.quantile(score, share))) >= knots[-1] + APART:
            knots.append(at)
    return np.array(knots)


def _base(rows: Predictions, rule: _Rule) -> Map:
    """Return the map that the patches begin at, where all rows together are off."""
    if rows.classes != 2:
        return temperature.fit(rows).map
    _, score = score_of(rows, inputs.floor_of(rows))
    if np.ptp(score) == 0:  # one score has no slope; patches shift it
        return Power(1.0)
    fitted = platt.fit(rows, smoothing=True).map
    slope = fitted.parameters()["curves"][0]["a"]
    if rule.monotone and slope < 0:
        raise FitError(
            f"{rows.source}: the higher the score, the rarer the outcome, which no rising map "
            "repairs; leave out --monotone, or turn the scores around"
        )
    return fitted


@dataclass(frozen=True)
class _Chosen:
    """How many rounds to fit to all rows, and what cross-fitting says of them."""

    rounds: int
    run: int
    nll: list[float]
    worst: list[_Worst]

    def notes(self, rule: _Rule) -> Iterator[str]:
        """Yield what a user should know of the rounds."""
        first, last = self.worst[0], self.worst[self.rounds]
        reach = f"{rule.chance:.1f} are within chance for the worst slice"
        if not self.run:
            yield f"no slice is off: the worst is {first.describe()}, and {reach}"
            return
        yield (
            f"cross-fitted, the worst slice was {first.describe()}, and after {self.rounds} patches "
            f"is {last.describe()}; {reach}"
        )
        yield (
            f"cross-fitted NLL of what is patched: {self.nll[0]:.6f}, after the patches "
            f"{self.nll[self.rounds]:.6f}"
        )
        if last.excess > rule.chance:
            yield (
                "slices are still off: more patches did not lower the NLL of held-out rows; look at "
                "them with calibtool slices"
            )


def _cross_fitted(
    rows: Predictions, sets: list[_Slices], fold: Array, rule: _Rule
) -> _Chosen:
    """Return the number of rounds of least held-out NLL."""
    runs = [_Run.of(rows, sets, np.flatnonzero(fold != k), rule) for k in range(FOLDS)]
    weights, outcome = weights_of(rows), runs[0].outcome

    def held_out() -> Array:
        score = np.empty(rows.rows)
        for k, run in enumerate(runs):
            score[fold == k] = run.score[fold == k]
        return score

    gaps = _Gaps(held_out(), outcome, weights, sets)
    nll, worst = [gaps.nll()], [gaps.worst(rule)]
    best = 0
    while worst[-1].excess > rule.chance and len(nll) <= MOST_ROUNDS:
        if len(nll) - 1 - best >= PATIENCE or not any([run.step() for run in runs]):
            break
        gaps.score = held_out()
        nll.append(gaps.nll())
        worst.append(gaps.worst(rule))
        best = len(nll) - 1 if nll[-1] < nll[best] else best
    return _Chosen(best, len(nll) - 1, nll, worst)
