"""A race: of many rows and classes, candidates that are certainly behind are fitted to no more
folds.

All are fitted and measured on the first fold. A candidate that is then behind the best one by more
than ERRORS standard errors of their paired difference leaves, and so after each further fold (a
race as of Maron & Moore 1994, with paired differences as in irace, Lopez-Ibanez et al. 2016). The
choice lies within one standard error of the best: what has left could not have become it but by a
chance of some 1 in a million.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from calibtool.analysis.candidate import NOTHING
from calibtool.analysis.trial import Crossed, Trial, Tried
from calibtool.calibrators.registry import METHODS
from calibtool.intervals.weighted_mean import variance_of_mean
from calibtool.parallel import Work, cores, longest_first, ordered
from calibtool.types import Array

# Values (rows times classes) from which on there is a race. Below, all candidates together take a
# minute or two; the first fold of RACED values measures 3,000 rows of 1,000 classes.
RACED = 1 << 24
# Standard errors behind the best beyond which a candidate leaves.
ERRORS = 5.0
LATER = "other folds"  # the part of the progress after the first fold


def is_raced(trial: Trial) -> bool:
    """Return whether the candidates of a trial are raced."""
    return len(trial.splits) > 1 and trial.measured.values.size >= RACED


def run_race(
    trial: Trial, names: Sequence[str], rank_by: str, costs: dict[str, float], work: Work
) -> list[Tried]:
    """Return what became of every candidate, in the order of the names.

    Args:
        trial: with several splits.
        names: of the candidates; doing nothing, which costs nothing, stays to the end.
        rank_by: "nll" or "brier".
        costs: about how many seconds a candidate takes on one split.
        work: the progress, with a part of each name for the first fold and LATER.
    """
    folds = len(trial.splits)
    running = longest_first(costs)

    def first(name: str) -> Crossed:
        part = work.part(name, threads=cores())
        part(f"fitting {name}", 0.0)
        try:
            return trial.advance(Crossed(name))
        finally:
            part.end()

    state = dict(zip(running, ordered(first, running, cores()), strict=True))
    for fold in range(1, folds):
        running = _remaining(trial, state, running, rank_by)
        rest = math.fsum(costs[name] for name in running)
        if fold == 1:
            work.know(LATER, rest * (folds - 1))
            work.next(LATER)
        work(f"fitting {', '.join(running)}", (fold - 1) / (folds - 1))
        after = ordered(trial.advance, [state[name] for name in running], cores())
        state |= zip(running, after, strict=True)
    work.end()
    tried = partial(trial.tried, rank_by=rank_by)
    results = list(ordered(tried, [state[name] for name in names], cores()))
    return _estimated(trial, results, rank_by)


def _remaining(
    trial: Trial, state: dict[str, Crossed], running: Sequence[str], rank_by: str
) -> list[str]:
    """Return the names of those that go on to the next fold."""
    fitted = [name for name in running if not state[name].failed]
    losses = {name: trial.losses(state[name], rank_by) for name in fitted}
    at = trial.seen(state[fitted[0]].done)
    weights, cluster = trial.of_rows(at)
    mean = {name: float(np.average(losses[name], weights=weights)) for name in fitted}
    best = min(fitted, key=lambda name: mean[name])
    if not np.isfinite(mean[best]):
        return fitted

    def goes_on(name: str) -> bool:
        if name == NOTHING:
            return True
        if not np.isfinite(mean[name]):
            return False
        behind = losses[name] - losses[best]
        error = math.sqrt(variance_of_mean(behind, weights, cluster))
        return mean[name] - mean[best] <= ERRORS * error

    return [name for name in fitted if goes_on(name)]


def _estimated(trial: Trial, results: list[Tried], rank_by: str) -> list[Tried]:
    """Return the results with the score of those that left: that of the best of the others, plus
    how far they were behind it on the same rows. Their own mean would tell easy folds from hard."""
    whole = {
        one.candidate.score: one.losses[rank_by]
        for one in results
        if one.losses is not None and one.candidate.folds is None and one.candidate.score is not None
    }
    best = min(whole)

    def estimated(one: Tried) -> Tried:
        if one.losses is None or one.candidate.folds is None:
            return one
        at = trial.seen(one.candidate.folds)
        behind = one.losses[rank_by] - whole[best][at]
        score = best + float(np.average(behind, weights=trial.of_rows(at)[0]))
        return one._replace(candidate=replace(one.candidate, score=score))

    return list(map(estimated, results))
