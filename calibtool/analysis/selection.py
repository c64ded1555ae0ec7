"""Selection: measure every calibrator on rows that it was not fitted on, and choose the simplest of
the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from calibtool.analysis.candidate import NOTHING, SCORES, Candidate, choose
from calibtool.analysis.harm import Losses, harmed
from calibtool.analysis.race import LATER, is_raced, run_race
from calibtool.analysis.trial import Trial, Tried, make_trial
from calibtool.calibrators.calibrator import Calibrator, finish, require_fit
from calibtool.calibrators.confidences import as_classes, confidence_methods
from calibtool.calibrators.fitted import FitRecord, class_shares
from calibtool.calibrators.maps import Power
from calibtool.calibrators.processes import in_parts
from calibtool.calibrators.registry import METHODS, require_scored
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.errors import FitError, UsageError
from calibtool.evaluation.collect import resample
from calibtool.evaluation.resampling import Resampling
from calibtool.evaluation.subsample import draw_rows
from calibtool.intervals import bootstrap
from calibtool.intervals.draws import DRAWING, Draws
from calibtool.intervals.weighted_mean import variance_of_mean
from calibtool.parallel import Work, cores, longest_first
from calibtool.streaming.read import read as read_data
from calibtool.types import Array, Progress, Shown, silent

ALL = "all"  # among names of calibrators: all of them
# Seconds that it takes to measure a candidate, per row and class, on a core of 2026; progress alone
# depends on it.
SCORING = 2e-7


@dataclass(frozen=True)
class Selection(Shown):
    """Every candidate, the best first, and the choice.

    Attributes:
        data: the rows that were measured.
        rank_by: "nll" or "brier".
        level: confidence level of the intervals.
        candidates: by score, the best first; those that failed are last.
        best, chosen: names of candidates.
        why: the choice in words.
        how: how fitting and measuring were separated: cross-fitting, or a test file.
        prior: mean score of predicting the class shares for every row; its skill is 0.
        calibrator: the chosen calibrator, fitted on all rows; a temperature of 1 for "nothing".
    """

    data: DataInfo
    rank_by: str
    level: float
    candidates: tuple[Candidate, ...]
    best: str
    chosen: str
    why: str
    how: str
    prior: float
    calibrator: Calibrator = field(repr=False)

    def __getitem__(self, method: str) -> Candidate:
        for candidate in self.candidates:
            if candidate.method == method:
                return candidate
        names = ", ".join(candidate.method for candidate in self.candidates)
        raise KeyError(f"no {method!r} in this selection; it has {names}")

    def skill(self, candidate: Candidate) -> float | None:
        """Return 1 - score / score of the class shares: 0 is no better than these, 1 is perfect."""
        if candidate.score is None or not self.prior:
            return None
        return 1 - candidate.score / self.prior


def select(
    predictions: Any,
    methods: Sequence[str] | str | None = None,
    *,
    rank_by: str = "nll",
    test: Any = None,
    subsample: int | None = None,
    smoothing: bool = True,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
    **keys: Any,
) -> Selection:
    """Fit every calibrator, measure each on rows that it has not seen, and choose.

    Args:
        predictions: all that `ct.read` takes, with labels; cross-fitted in 5 stratified folds,
            unless there is a test set.
        methods: names of calibrators, as a list or as "temperature,platt", or "all"; by default all
            but histogram, scaling-binning, bbq and enir, which seldom win. Doing nothing is always
            a candidate.
        rank_by: "nll" or "brier", which are proper scores: a calibration error alone would rank
            first a calibrator that predicts the same for every row.
        test: rows to measure on, instead of cross-fitting.
        subsample: how many rows of `predictions` to use, drawn by the seed; by default all.
        smoothing: fit histogram and isotonic without probabilities of 0 and 1, by `smoothing`.
        resamples, level, seed: of the paired intervals; `resamples=0` for none. The seed also draws
            the subsample.
        progress: called now and then with what is being done and the share that is done.
        keys: which column has which role, as for `ct.load`.

    The choice is the simplest candidate whose mean score lies within one standard error of the
    best one's, the error being that of the paired difference (Breiman et al. 1984, sec. 3.4.3). By
    NLL, one that gives a class a probability of exactly 0 is no choice where others do not: the
    first row that proves it wrong has an infinite NLL, and that these rows hold none is luck.

    Raises UsageError, InputError, and FitError if no calibrator can be fitted.

    >>> import calibtool as ct
    >>> z = np.tile([[3.0, 0.0], [0.0, 3.0]], (50, 1))
    >>> p = ct.Predictions.from_logits(z, [0, 1] * 40 + [1, 0] * 10)  # right 4 times in 5
    >>> select(p, ["temperature", "vector"], resamples=50).chosen
    'temperature'
    """
    if rank_by not in SCORES:
        raise UsageError(f"--rank-by must be one of {', '.join(SCORES)} (got {rank_by!r})")
    resampling = Resampling("percentile", resamples, level, seed)
    predictions, of = _rows(read_data(predictions, **keys), subsample, seed)
    test = None if test is None else read_data(test, **keys).load()
    require_fit(as_classes(predictions))
    names = [NOTHING, *_known(methods, predictions)]
    trial = make_trial(predictions, test, of=of, smoothing=smoothing)
    costs = _costs(trial, names, predictions)
    work = Work(progress or silent, _parts(trial, costs, resamples))
    trial, results = _try(trial, names, rank_by, costs, work)
    measured = trial.measured
    tried = [one.candidate for one in results]
    losses = {one.candidate.method: one.losses for one in results if one.losses is not None}
    # a likelihood has no bound below a probability of 0, a Brier score has
    zeros = {one.candidate.method for one in results if one.zeros and rank_by == "nll"}
    resampled = resampling.ci != "none"
    draws = Draws(resamples, seed, measured.rows, trial.cluster) if resampled else None
    ranking = {method: loss[rank_by] for method, loss in losses.items()}
    work.next("resampling")
    candidates = _compared(trial, tried, ranking, draws, level, work)
    harm = partial(_harm, trial, losses, level=level)
    gain = partial(_gain, next(c.score for c in candidates if c.method == NOTHING))
    candidates = tuple(replace(c, phi=gain(c.score), worse=harm(c)) for c in candidates)
    chosen, why = choose(candidates, rank_by, zeros)
    work.next("choice")
    work(f"fitting {chosen}", 0.0)
    calibrator = _identity(predictions)
    if chosen != NOTHING:
        calibrator = trial.fit(chosen, predictions, advise=True)
    return Selection(
        DataInfo.of(measured),
        rank_by,
        level,
        candidates,
        best=candidates[0].method,
        chosen=chosen,
        why=why,
        how=trial.description,
        prior=_prior_score(measured, rank_by),
        calibrator=calibrator,
    )


def _costs(trial: Trial, names: Sequence[str], rows: Predictions) -> dict[str, float]:
    """Return about how many seconds of one core each candidate takes on one split."""
    splits, classes = len(trial.splits), rows.classes
    fitted = rows.rows * (splits - 1) // splits if splits > 1 else rows.rows
    scores = SCORING * trial.measured.rows * (classes or 1) / splits
    fits = {name: METHODS[name].seconds(fitted, classes) for name in names if name != NOTHING}
    return {name: scores + fits.get(name, 0.0) for name in names}


def _parts(trial: Trial, costs: dict[str, float], resamples: int) -> dict[str, float]:
    """Return about how many seconds the parts of a selection take, in the order of the work."""
    raced, splits = is_raced(trial), len(trial.splits)
    tried = {name: cost * (1 if raced else splits) / cores() for name, cost in costs.items()}
    one = float(np.median(list(costs.values())))
    later = {LATER: (splits - 1) * one} if raced else {}
    return {
        **tried,
        **later,
        "resampling": DRAWING * trial.measured.rows * resamples,
        "choice": one,
    }


def _try(
    trial: Trial, names: Sequence[str], rank_by: str, costs: dict[str, float], work: Work
) -> tuple[Trial, list[Tried]]:
    """Fit and measure every method; return the trial that this needed, too. Raises FitError if no
    calibrator can be fitted."""
    if is_raced(trial):
        trial, results = run_race(trial, names, rank_by, costs, work)
    else:
        run = partial(trial.run, rank_by=rank_by)
        # doing nothing first: it tells at once how fast this machine is
        first = [NOTHING, *(name for name in longest_first(costs) if name != NOTHING)]
        seconds = len(trial.splits) * math.fsum(costs.values())
        found = dict(zip(first, in_parts(run, first, work, seconds), strict=True))
        results = [found[name] for name in names]
    if sum(one.losses is not None for one in results) < 2:  # doing nothing never fails
        reasons = "; ".join(one.candidate.failed for one in results if one.candidate.failed)
        raise FitError(f"no calibrator could be fitted: {reasons}")
    return trial, results


def _rows(data: Any, count: int | None, seed: int) -> tuple[Predictions, str]:
    """Return the rows to use, and which of the file's they are; "" if they are all."""
    if count is None:
        return data.load(), ""
    rows = draw_rows(data, count, seed)
    if rows.rows == data.rows:
        return rows, ""
    return rows, f"{rows.rows:,} of {data.rows:,} rows, drawn by seed {seed}"


def _gain(before: float | None, after: float | None) -> float | None:
    """Return how much lower a score is after; None where one is not known or infinite."""
    if before is None or after is None or not np.isfinite([before, after]).all():
        return None
    return before - after


def _known(methods: Sequence[str] | str | None, predictions: Predictions) -> list[str]:
    """Return the names of the calibrators to try, each once; by default those that are raced.

    "all" stands for all. Of confidences, those of one score remain. Raises UsageError for names
    that are none.
    """
    able = confidence_methods() if predictions.kind == "confidence" else list(METHODS)
    if methods is None:
        methods = [name for name in able if METHODS[name].raced]
    each = map(str.strip, methods.split(",")) if isinstance(methods, str) else methods
    distinct = dict.fromkeys(name for one in each for name in (able if one == ALL else [one]))
    names = [name for name in distinct if name != NOTHING]
    for name in names:
        require_scored(name)
    return names


def _harm(trial: Trial, losses: dict[str, Losses], candidate: Candidate, level: float) -> str:
    """Return the scores that a candidate makes worse, on the rows that it was measured on."""
    at = trial.seen(candidate.folds)
    before = {name: loss[at] for name, loss in losses[NOTHING].items()}
    weights, cluster = trial.of_rows(at)
    after = losses.get(candidate.method, {})
    return harmed(before, after, weights=weights, level=level, cluster=cluster)


def _compared(
    trial: Trial,
    candidates: list[Candidate],
    losses: dict[str, Array],
    draws: Draws | None,
    level: float,
    tick: Progress,
) -> tuple[Candidate, ...]:
    """Return the candidates by score, with the paired difference from the best and its interval,
    on the rows that each was measured on.

    Candidates with an infinite score have no interval; if the best one's is infinite, or losses
    are so large that rows do not count beside them, none has.
    """
    fitted = sorted(
        (c for c in candidates if not c.failed),
        key=lambda c: (np.inf if c.score is None else c.score, c.numbers or 0),
    )
    failed = [c for c in candidates if c.failed]
    best = losses[fitted[0].method]
    finite = [c for c in fitted if np.isfinite(losses[c.method]).all()]
    if not np.isfinite(best).all():
        return (*fitted, *failed)
    # the best was measured on all rows; those that left a race on the same rows as each other
    folds = [None, *sorted({c.folds for c in finite if c.folds is not None})]
    measured = np.zeros((len(best), len(folds)))
    for j, done in enumerate(folds):
        measured[trial.seen(done), j] = 1
    behind = np.zeros((len(best), len(finite)))
    for k, candidate in enumerate(finite):
        at = trial.seen(candidate.folds)
        behind[at, k] = losses[candidate.method] - best[at]

    def columns(at: slice) -> Array:
        return np.concatenate([measured[at], behind[at]], axis=1)

    means: Array | None = None
    if draws is not None:
        weights = trial.measured.weights
        sums = resample(columns, draws, cores(), weights, lambda share: tick("resampling", share))
        # the grid of sums follows the largest loss: beside 1e20, a weight of 1 is rounded to 0, and
        # no replicate is left
        total = sums[:, [folds.index(c.folds) for c in finite]]
        means = sums[:, len(folds) :] / total if len(sums) else None
    compared: dict[str, Candidate] = {}
    for k, candidate in enumerate(finite):
        at = trial.seen(candidate.folds)
        weights, cluster = trial.of_rows(at)
        value = float(np.average(behind[at, k], weights=weights))
        low, high = None, None
        error = math.sqrt(variance_of_mean(behind[at, k], weights, cluster))
        if means is not None:
            low, high = bootstrap.plain("percentile", value, means[:, k], level)
            error = float(means[:, k].std(ddof=1))
        compared[candidate.method] = replace(
            candidate, behind=value, low=low, high=high, error=error
        )
    ranked = [compared.get(c.method, replace(c, behind=np.inf)) for c in fitted]
    return (*ranked, *failed)


def _prior_score(measured: Predictions, rank_by: str) -> float:
    """Return the mean score of predicting the class shares for every row: their entropy, or one
    minus the sum of their squares, which two classes halve as the Brier score does."""
    shares = class_shares(as_classes(measured))
    if rank_by == "brier":
        return float(1 - (shares**2).sum()) / (2 if len(shares) == 2 else 1)
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())


def _identity(predictions: Predictions) -> Calibrator:
    """Return the calibrator that changes nothing, a temperature of 1."""
    record = FitRecord(notes=("chosen by select: nothing beats doing nothing",))
    return finish("temperature", predictions, Power(1.0), record)
