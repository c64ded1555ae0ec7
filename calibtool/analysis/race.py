"""A race: of many rows and classes, candidates that are certainly behind are fitted to no more
folds.

All are fitted and measured on the first fold. A candidate that is then behind the best one by more
than ERRORS standard errors of their paired difference leaves, and so after each further fold (a
race as of Maron & Moore 1994, with paired differences as in irace, Lopez-Ibanez et al. 2016). The
choice lies within one standard error of the best: what has left could not have become it but by a
chance of some 1 in a million. Once a single one is left, further folds could not change the choice,
and the race ends: all is measured on the rows of the folds so far.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from calibtool.analysis.candidate import NOTHING
from calibtool.analysis.trial import Crossed, Trial, Tried
from calibtool.intervals.weighted_mean import variance_of_mean
from calibtool.parallel import Work, cores, longest_first, ordered

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
) -> tuple[Trial, list[Tried]]:
    """Return what became of every candidate, in the order of the names, and the trial of the folds
    that were needed.

    Args:
        trial: with several splits.
        names: of the candidates; doing nothing, which costs nothing, is measured to the end.
        rank_by: "nll" or "brier".
        costs: about how many seconds a candidate takes on one split.
        work: the progress, with a part of each name for the first fold and LATER.
    """
    folds, running, held = len(trial.splits), longest_first(costs), trial.holding(0)

    def begin(name: str) -> Crossed:
        part = work.part(name, threads=cores())
        part(f"fitting {name}", 0.0)
        try:
            return held.advance(Crossed(name))
        finally:
            part.end()

    state = dict(zip(running, ordered(begin, running, cores()), strict=True))
    near, fold = _near(trial, state, running, rank_by), 1
    running = [*near, *({NOTHING} - {*near})]
    work.know(LATER, math.fsum(costs[name] for name in running) * (folds - 1) / cores())
    work.next(LATER)
    while fold < folds and len(near) > 1:
        work(f"fitting what is left, fold {fold + 1} of {folds}", (fold - 1) / (folds - 1))
        held = trial.holding(fold)
        after = ordered(held.advance, [state[name] for name in running], cores())
        state |= zip(running, after, strict=True)
        near, fold = _near(trial, state, running, rank_by), fold + 1
        running = [*near, *({NOTHING} - {*near})]
    work("measuring", 1.0)
    trial = trial.first(fold)
    results = list(ordered(lambda name: trial.tried(state.pop(name), rank_by), names, cores()))
    return trial, _estimated(trial, results, rank_by)


def _near(
    trial: Trial, state: dict[str, Crossed], running: Sequence[str], rank_by: str
) -> list[str]:
    """Return the names of those that are not certainly behind."""
    fitted = [name for name in running if not state[name].failed]
    losses = {name: trial.losses(state[name], rank_by) for name in fitted}
    at = trial.seen(state[fitted[0]].done)
    weights, cluster = trial.of_rows(at)
    mean = {name: float(np.average(losses[name], weights=weights)) for name in fitted}
    best = min(fitted, key=lambda name: mean[name])
    if not np.isfinite(mean[best]):
        return fitted

    def is_near(name: str) -> bool:
        if not np.isfinite(mean[name]):
            return False
        behind = losses[name] - losses[best]
        error = math.sqrt(variance_of_mean(behind, weights, cluster))
        return mean[name] - mean[best] <= ERRORS * error

    return [name for name in fitted if is_near(name)]


def _estimated(trial: Trial, results: list[Tried], rank_by: str) -> list[Tried]:
    """Return the results with the score of those that left: that of the best of the others, plus
    how far they were behind it on the same rows. Their own mean would tell easy folds from hard."""
    whole = {
        one.candidate.score: one.losses[rank_by]
        for one in results
        if one.losses is not None
        and one.candidate.folds is None
        and one.candidate.score is not None
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
