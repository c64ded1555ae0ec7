"""Multicalibration: patches of the slices that are off (Hebert-Johnson et al. 2018).

Slices are the values of the named columns and their pairs, as `calibtool slices` divides the rows,
and all rows. How far off a slice is, is Kuiper's range of its gaps over the standard deviation
(`calibtool.metrics.multicalibration`). Each round takes the worst slice and shifts the log-odds of
its rows by a curve of five knots: half a Newton step towards the least NLL of the slice, drawn to 0
and to a constant by normal priors.

The rounds are cross-fitted. They end when no slice of the fitted rows is off by more than the
tolerance, or when the NLL of held-out rows has not fallen for some rounds, and the number of rounds
with the least is then fitted to all rows. Nothing is patched unless a slice of held-out rows is off
by more than the tolerance and chance, or the NLL of held-out rows falls by more than chance: many
slices may be off by too little for any one of them to show. Where rows are correlated, the NLL
alone decides, since they make slices that look off by chance.

If all rows together are off, the patches begin at Platt scaling of two classes, or a temperature of
more, provided that it lowers the NLL of held-out rows by more than chance; otherwise at the scores
as they are. Of more than two classes, the confidence of the predicted class is patched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calibtool.calibrators import inputs, platt, temperature
from calibtool.calibrators.calibrator import Calibrator, finish, require_fit
from calibtool.calibrators.confidences import as_classes
from calibtool.calibrators.crossfit import FOLDS, folds
from calibtool.calibrators.fitted import FitRecord
from calibtool.calibrators.fitting.slice_gaps import (
    Divided,
    Gaps,
    Rule,
    Slices,
    Worst,
    divided,
    slices_by,
)
from calibtool.calibrators.inputs import weights_of
from calibtool.calibrators.maps import Map, Power
from calibtool.calibrators.nested_maps import Patch, Patched, score_of
from calibtool.data.clusters import cluster_of
from calibtool.data.predictions import Predictions
from calibtool.errors import FitError, UsageError
from calibtool.intervals.weighted_mean import variance_of_mean
from calibtool.metrics.multicalibration import range_quantile
from calibtool.types import Array

KNOTS = (0.05, 0.275, 0.5, 0.725, 0.95)  # quantiles of the log-odds at which the knots stand
APART = 1e-3  # least distance of knots in log-odds: below, a slope between them is no use
# Standard deviations of the priors of a patch, in log-odds: slices of real data are off by up to 1,
# and by much the same at neighbouring scores.
SHIFT, BEND = 0.5, 0.25
# Share of a Newton step that a patch takes, and its largest shift: the slice with the largest error
# is so in part by chance. A step of at most 1 changes the curvature by at most e, so that half of
# Newton's never overshoots.
RATE, LONGEST = 0.5, 1.0
MISTAKE = 0.05  # the chance that a slice is patched although none is off
SURE = 1.96  # standard errors by which the NLL must fall where no slice shows: 2.5 % by chance
PATIENCE = 8  # rounds without a lower held-out NLL; with 64 slices, eight rounds see the worst ones
MOST_ROUNDS = 300  # patches at most: more than slices are off in any data that were tried


def fit(
    predictions: Predictions,
    columns: list[str],
    *,
    tolerance: float = 0.0,
    single: bool = False,
    monotone: bool = False,
    cluster: str | None = None,
) -> Calibrator:
    """Patch the slices that are off.

    Args:
        predictions: N rows with labels, or confidences with hits, and the columns in `extra`.
        columns: their names.
        tolerance: leave a slice alone up to this error, a probability: the largest sum of its gaps
            over a range of scores, divided by its rows.
        single: patch slices by single columns only, no pairs of columns.
        monotone: keep the order of the scores among rows with the same values of the columns.
        cluster: rows with the same value of this column (one patient, one user) are correlated;
            keep them in one fold.

    Raises InputError for a column that is not there, or too few rows to cross-fit.
    """
    if not 0 <= tolerance < 1:
        raise UsageError(f"--tolerance must be at least 0 and below 1 (got {tolerance:g})")
    rows = as_classes(predictions)
    require_fit(rows)
    parts = [divided(rows, column) for column in columns]
    sets = list(slices_by(rows, parts, single=single))
    correlated = cluster_of(rows, cluster)
    chance = range_quantile(MISTAKE / sum(s.count for s in sets))
    rule = Rule(tolerance, monotone, chance if correlated is None else np.inf)
    chosen = _cross_fitted(rows, sets, folds(rows, cluster=cluster), rule, correlated)
    every = np.arange(rows.rows)
    plain = run = _Run(rows, sets, every, rule, Power(1.0))
    before = plain.gaps.mean(plain.gaps.losses())
    if chosen.based:
        run = _Run(rows, sets, every, rule, _base(rows, rule))
    for _ in range(chosen.rounds):
        run.step()
    record = FitRecord(
        objective="nll",
        nll_before=before,
        nll_after=run.gaps.mean(run.gaps.losses()),
        options={
            "by": ",".join(columns),
            "tolerance": tolerance,
            "single": single,
            "monotone": monotone,
            **({} if cluster is None else {"cluster": cluster}),
        },
        notes=(*_notes_of_columns(parts), *chosen.notes(rule)),
    )
    return finish("multicalibration", predictions, run.map(), record)


# ------------------------------------------------------------------ patching


class _Run:
    """The rounds of a fit to some of the rows; the log-odds of all rows follow.

    Attributes:
        gaps: of the rows that are fitted.
        score: (N,) log-odds of all rows.
        patches: so far, one per round.
    """

    def __init__(
        self, rows: Predictions, sets: list[Slices], at: Array, rule: Rule, inner: Map
    ) -> None:
        before = inner(rows)
        self.inner, self.rule, self.at, self.sets = inner, rule, at, sets
        self.floor = inputs.floor_of(before)
        top, self.score = score_of(before, self.floor)
        outcome = np.asarray(rows.labels == top, np.float64)
        seen = [Slices(one.where, one.codes[at]) for one in sets]
        self.gaps = Gaps(self.score[at], outcome[at], weights_of(rows)[at], seen)
        self.outcome = outcome
        self.knots = _knots(self.gaps.score)
        self.patches: list[Patch] = []

    def step(self) -> bool:
        """Patch the worst slice; return whether there was one to patch."""
        worst = self.gaps.worst(self.rule)
        if worst.excess <= 0:
            return False
        shifts = self._shifts(worst.rows)
        self.patches.append(Patch(worst.where, shifts))
        inside = self.sets[worst.at].rows(worst.number)
        self.score[inside] += np.interp(self.score[inside], self.knots, shifts)
        self.gaps.score = self.score[self.at]
        return True

    def _shifts(self, rows: Array) -> Array:
        """Return the shift at each knot for the rows of a slice: RATE of a Newton step."""
        from calibtool.intervals.special import expit

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


def _base(rows: Predictions, rule: Rule) -> Map:
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
    """What cross-fitting says: whether the patches begin at a base, how many rounds to fit to all
    rows, the worst slice and the NLL of held-out rows before and after them, and why there is no
    base where one could not be fitted."""

    based: bool
    rounds: int
    worst: tuple[Worst, Worst]
    nll: tuple[float, float]
    unbased: str = ""

    def notes(self, rule: Rule) -> Iterator[str]:
        """Yield what a user should know of the rounds."""
        if self.unbased:
            yield self.unbased
        first, last = self.worst
        reach = ""  # with clusters, what chance alone makes is not known
        if np.isfinite(rule.chance):
            reach = f"; without any slice off, the worst would stay below {rule.chance:.1f}"
        if not self.rounds:
            off = "off by more than chance" if first.excess <= rule.chance else "repaired"
            yield f"no slice is {off} on held-out rows: the worst is {first.describe()}{reach}"
            return
        yield (
            f"on held-out rows the worst slice is {first.describe()}; after {self.rounds} patches "
            f"it is {last.describe()}{reach}"
        )
        yield f"NLL of held-out rows before the patches {self.nll[0]:.6f}, after {self.nll[1]:.6f}"
        if self.rounds == MOST_ROUNDS:
            yield f"at most {MOST_ROUNDS} patches are made; more might lower the NLL further"
        if last.excess > rule.chance:
            yield (
                "slices are still off, and more patches did not lower the NLL of held-out rows; "
                "calibtool slices shows which, and more rows would repair them"
            )


class _HeldOut:
    """Runs on four fifths of the rows each, and the log-odds that each gives to the last fifth."""

    def __init__(
        self, rows: Predictions, sets: list[Slices], fold: Array, rule: Rule, *, based: bool
    ) -> None:
        self.runs = []
        for k in range(FOLDS):
            at = np.flatnonzero(fold != k)
            inner = _base(rows.take(at), rule) if based else Power(1.0)
            self.runs.append(_Run(rows, sets, at, rule, inner))
        self._held = [np.flatnonzero(fold == k) for k in range(FOLDS)]
        self.gaps = Gaps(np.empty(rows.rows), self.runs[0].outcome, weights_of(rows), sets)

    def losses(self) -> Array:
        """Return the NLL of each row by the run that has not seen it."""
        for run, at in zip(self.runs, self._held, strict=True):
            self.gaps.score[at] = run.score[at]
        return self.gaps.losses()

    def step(self) -> bool:
        """Patch the worst slice of every run; return whether any had one."""
        patched = [run.step() for run in self.runs]
        return any(patched)


def _cross_fitted(
    rows: Predictions, sets: list[Slices], fold: Array, rule: Rule, cluster: Array | None
) -> _Chosen:
    """Return the number of rounds of least held-out NLL; 0 if that may be chance."""
    held, based, unbased = _HeldOut(rows, sets, fold, rule, based=False), False, ""
    before = held.losses()
    if held.gaps.worst(rule, slice(1)).excess > range_quantile(MISTAKE):
        try:
            other = _HeldOut(rows, sets, fold, rule, based=True)
        except FitError as error:
            if rows.classes == 2:  # Platt scaling with smoothing has an optimum on any data
                raise
            unbased = f"the patches begin at the scores as they are: {error}"
        else:
            losses = other.losses()
            if _sure(before - losses, held.gaps.weights, cluster):
                held, before, based = other, losses, True
    least, gaps = before, held.gaps
    first = last = gaps.worst(rule)
    best, done = 0, 0
    while done - best < PATIENCE and done < MOST_ROUNDS and held.step():
        done += 1
        losses = held.losses()
        if gaps.mean(losses - least) < 0:
            best, least, last = done, losses, gaps.worst(rule)
    if first.excess <= rule.chance and not _sure(before - least, gaps.weights, cluster):
        best, least, last = 0, before, first
    nll = (gaps.mean(before), gaps.mean(least))
    return _Chosen(based, best, (first, last), nll, unbased)


def _sure(gain: Array, weights: Array, cluster: Array | None) -> bool:
    """Return whether a mean gain is above 0 by SURE standard errors."""
    mean = np.average(gain, weights=weights)
    return bool(mean > SURE * math.sqrt(variance_of_mean(gain, weights, cluster)))


def _notes_of_columns(parts: list[Divided]) -> Iterator[str]:
    for part, conditions in parts:
        if len(part.names) == 1:
            yield f"{part.by}: holds one value, so that it makes no slices"
        if None in conditions:
            yield f"{part.by}: {part.note} They are patched as part of larger slices only."
