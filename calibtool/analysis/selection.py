"""Select: every calibrator on rows that it was not fitted on, and the simplest of the best."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from calibtool.calibrators.calibrator import Calibrator, finish, require_classes, require_fit
from calibtool.calibrators.crossfit import FOLDS, require_foldable
from calibtool.calibrators.fit import fit
from calibtool.calibrators.maps import Power
from calibtool.calibrators.registry import METHODS
from calibtool.data.folds import stratified_folds
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.data.rows import reduce_rows
from calibtool.errors import CalibtoolError, FitError, UsageError
from calibtool.evaluation.collect import resample
from calibtool.evaluation.evaluate import evaluate
from calibtool.evaluation.resampling import require_level, require_resamples, require_seed
from calibtool.intervals import bootstrap
from calibtool.intervals.draws import Draws
from calibtool.parallel import cores, ordered
from calibtool.types import Array, Progress, Shown, silent

NOTHING = "nothing"
SCORES = ("nll", "brier")
MEASURED = ("nll", "brier", "accuracy", "ece", "classwise-ece")


@dataclass(frozen=True)
class Candidate:
    """A calibrator on rows that it was not fitted on.

    Attributes:
        method: a name of the table of calibrators, or "nothing".
        numbers: how many numbers the fitted calibrator holds: what "simple" means here.
        score: the mean of the score that ranks.
        behind: how much worse than the best, on average; 0 for the best.
        low, high: the interval of that, paired; None without.
        error: its standard error; None without, or where the score is infinite.
        nll, brier, accuracy, ece, classwise_ece: of all rows.
        flips: share of rows whose predicted class changed.
        ties: how many distinct confidences (of two classes, probabilities of class 1) were lost,
            as a share of those there were.
        fit_seconds, apply_seconds: median over the folds.
        failed: why it could not be fitted; all numbers are None then.
    """

    method: str
    numbers: int | None = None
    score: float | None = None
    behind: float | None = None
    low: float | None = None
    high: float | None = None
    error: float | None = None
    nll: float | None = None
    brier: float | None = None
    accuracy: float | None = None
    ece: float | None = None
    classwise_ece: float | None = None
    flips: float | None = None
    ties: float | None = None
    fit_seconds: float | None = None
    apply_seconds: float | None = None
    failed: str = ""


@dataclass(frozen=True)
class Selection(Shown):
    """Every candidate, the best first, and the choice.

    Attributes:
        data: the rows that were measured.
        rank_by: "nll" or "brier".
        level: of the intervals.
        candidates: by score; those that failed last.
        best, chosen: names of candidates.
        why: the choice in words.
        how: how the rows were kept apart: cross-fitting, or a test file.
        prior: the mean score of the class shares alone, the skill of which is 0.
        calibrator: the chosen one, fitted on all rows; T = 1 for "nothing".
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
        raise KeyError(f"no {method!r} in this selection; there are {names}")

    def skill(self, candidate: Candidate) -> float | None:
        """1 - score / score of the class shares: 0 for knowing nothing, 1 for perfection."""
        if candidate.score is None or not self.prior:
            return None
        return 1 - candidate.score / self.prior


def select(
    predictions: Predictions,
    methods: Sequence[str] | None = None,
    *,
    rank_by: str = "nll",
    test: Predictions | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
) -> Selection:
    """Fit every calibrator, measure each on rows that it has not seen, and choose.

    Args:
        predictions: with labels; cross-fitted in 5 stratified folds, unless there is a test set.
        methods: names of calibrators, or None for all; doing nothing is always among them.
        rank_by: "nll" or "brier", a proper score: a calibration error alone would rank a
            calibrator that says the same for every row first.
        test: rows to measure on, instead of cross-fitting.
        resamples, level, seed: of the paired intervals.
        progress: called now and then with what is being done and the share that is done.

    The choice is the simplest candidate whose mean score lies within one standard error of the
    best one's, the error being that of the paired difference (Breiman et al. 1984, sec. 3.4.3).

    Raises UsageError, InputError, FitError where not one calibrator can be fitted.

    >>> import calibtool as ct
    >>> z = np.tile([[3.0, 0.0], [0.0, 3.0]], (50, 1))
    >>> p = ct.Predictions.from_logits(z, [0, 1] * 40 + [1, 0] * 10)  # right 4 times in 5
    >>> select(p, ["temperature", "vector"], resamples=50).chosen
    'temperature'
    """
    if rank_by not in SCORES:
        raise UsageError(f"--rank-by {rank_by!r}: there are {', '.join(SCORES)}")
    require_level(level)
    require_resamples(resamples)
    require_seed(seed)
    require_fit(predictions)
    names = [NOTHING, *_known(methods)]
    trial = _trial(predictions, test)
    say = progress or silent
    tried = []
    for done, one in enumerate(ordered(lambda name: trial.run(name, rank_by), names, cores())):
        tried.append(one)
        say("fitting", (done + 1) / len(names))
    losses = {one.candidate.method: one.loss for one in tried if one.loss is not None}
    if len(losses) < 2:
        reasons = "; ".join(one.candidate.failed for one in tried if one.candidate.failed)
        raise FitError(f"no calibrator could be fitted: {reasons}")
    drawing = Draws(resamples, seed, trial.judged.rows)
    candidates = _compared(
        [one.candidate for one in tried], losses, drawing, trial.judged.weights, level, say
    )
    chosen, why = choose(candidates, rank_by)
    say("fitting the choice", 0.0)
    calibrator = _identity(predictions) if chosen == NOTHING else fit(chosen, predictions)
    say("fitting the choice", 1.0)
    data = DataInfo(
        trial.judged.source,
        trial.judged.rows,
        predictions.classes,
        trial.judged.kind,
        trial.judged.weights is not None,
    )
    prior = _prior_score(trial.judged, rank_by)
    best = candidates[0].method
    return Selection(
        data, rank_by, level, candidates, best, chosen, why, trial.how, prior, calibrator
    )


def choose(candidates: Sequence[Candidate], rank_by: str) -> tuple[str, str]:
    """The name of the choice among candidates, the best first, and why, in words."""
    unit = "nats" if rank_by == "nll" else "of Brier score"
    best = candidates[0]
    assert best.numbers is not None
    near = [
        one
        for one in candidates
        if one.behind is not None and one.error is not None and one.behind <= one.error
    ]
    simplest = min([best, *near], key=lambda one: (one.numbers or 0, one.behind or 0))
    if simplest is best:
        others = [one for one in near if one is not best]
        what = (
            "and nothing simpler is within one standard error of it"
            if others or len(candidates) > 1
            else "alone"
        )
        return best.method, f"{best.method} has the best {rank_by}, {what}."
    assert simplest.behind is not None
    assert simplest.error is not None
    numbers = "1 number" if simplest.numbers == 1 else f"{simplest.numbers:,} numbers"
    why = (
        f"{simplest.method}, {numbers}, is {simplest.behind:.2g} {unit} behind {best.method}, "
        f"{best.numbers:,} numbers: within one standard error ({simplest.error:.2g})."
    )
    return simplest.method, why


@dataclass(frozen=True, eq=False)
class _Tried:
    """A candidate with its score a row; None where it failed."""

    candidate: Candidate
    loss: Array | None


@dataclass(frozen=True, eq=False)
class _Trial:
    """Which rows to fit on and which to measure, several times.

    Attributes:
        splits: (rows to fit on, numbers of the rows of `judged` to measure) each.
        judged: the rows that are measured.
        how: in words.
    """

    splits: tuple[tuple[Callable[[], Predictions], Array], ...]
    judged: Predictions
    how: str

    def run(self, method: str, rank_by: str) -> _Tried:
        """A method on every split."""
        values: Array | None = None
        kind, seconds, numbers = self.judged.kind, [], []
        distinct = np.zeros(2)
        for rows, at in self.splits:
            part = self.judged.take(at)
            began = time.perf_counter()
            try:
                fitted = None if method == NOTHING else fit(method, rows())
                fit_end = time.perf_counter()
                after = part if fitted is None else fitted(part)
            except CalibtoolError as error:
                return _Tried(Candidate(method, failed=str(error)), None)
            seconds.append((fit_end - began, time.perf_counter() - fit_end))
            numbers.append(0 if fitted is None else fitted.map.count())
            if values is None:
                shape = (self.judged.rows, *after.values.shape[1:])
                values, kind = np.empty(shape, after.values.dtype), after.kind
            values[at] = after.values
            distinct += [_distinct(part), _distinct(after)]
        assert values is not None
        made = replace(self.judged, kind=kind, values=values)
        report = evaluate(made, ",".join(MEASURED), ci="none", threads=1)
        rows_after, before = reduce_rows(made), self.judged.matrix().argmax(axis=1)
        flips = made.matrix().argmax(axis=1) != before
        assert rows_after.log_prob is not None
        assert rows_after.prob is not None
        assert rows_after.squares is not None
        loss = (
            -rows_after.log_prob
            if rank_by == "nll"
            else rows_after.squares - 2 * rows_after.prob + 1
        )
        fit_seconds, apply_seconds = np.median(seconds, axis=0)
        found: dict[str, Any] = {name.replace("-", "_"): report[name].value for name in MEASURED}
        return _Tried(
            Candidate(
                method,
                numbers=int(np.median(numbers)),
                score=found[rank_by],
                flips=float(np.average(flips, weights=self.judged.weights)),
                ties=max(float(1 - distinct[1] / distinct[0]), 0.0),
                fit_seconds=float(fit_seconds),
                apply_seconds=float(apply_seconds),
                **found,
            ),
            loss,
        )


def _trial(predictions: Predictions, test: Predictions | None) -> _Trial:
    if test is not None:
        require_classes(test, predictions.classes or 0, predictions.class_names)
        if test.labels is None:
            raise UsageError(f"{test.source}: there are no labels to measure against")
        how = f"fitted on {predictions.source}, {predictions.rows:,} rows"
        return _Trial(((lambda: predictions, np.arange(test.rows)),), test, how)
    require_foldable(predictions)
    assert predictions.labels is not None
    fold = stratified_folds(predictions.labels, FOLDS, seed=0)
    splits = tuple(
        (lambda k=k: predictions.take(np.flatnonzero(fold != k)), np.flatnonzero(fold == k))
        for k in range(FOLDS)
    )
    return _Trial(splits, predictions, f"cross-fitted in {FOLDS} folds")


def _known(methods: Sequence[str] | None) -> list[str]:
    from calibtool.calibrators.registry import module_of

    names = list(dict.fromkeys(METHODS if methods is None else methods))
    for name in names:
        if name != NOTHING:
            module_of(name)
    return [name for name in names if name != NOTHING]


def _distinct(predictions: Predictions) -> int:
    rows = reduce_rows(predictions)
    return len(np.unique(rows.confidence if rows.positive is None else rows.positive))


def _compared(
    candidates: list[Candidate],
    losses: dict[str, Array],
    draws: Draws,
    weights: Array | None,
    level: float,
    say: Progress,
) -> tuple[Candidate, ...]:
    """The candidates by score, with the paired difference to the best and its interval."""
    worst = np.inf
    alive = sorted(
        (one for one in candidates if not one.failed),
        key=lambda one: (worst if one.score is None else one.score, one.numbers or 0),
    )
    best = losses[alive[0].method]
    finite = [one for one in alive if np.isfinite(losses[one.method]).all()]
    if not np.isfinite(best).all():
        return (*alive, *(one for one in candidates if one.failed))
    table = np.stack([losses[one.method] - best for one in finite], axis=1)

    def columns(part: slice) -> Array:
        rows = table[part]
        return np.concatenate([np.ones((len(rows), 1)), rows], axis=1)

    sums = resample(columns, draws, cores(), weights, lambda share: say("resampling", share))
    means = sums[:, 1:] / sums[:, :1]
    told: dict[str, Candidate] = {}
    for k, one in enumerate(finite):
        value = float(np.average(table[:, k], weights=weights))
        low, high = bootstrap.plain("percentile", value, means[:, k], level)
        error = float(means[:, k].std(ddof=1))
        told[one.method] = replace(one, behind=value, low=low, high=high, error=error)
    ranked = [told.get(one.method, replace(one, behind=np.inf)) for one in alive]
    return (*ranked, *(one for one in candidates if one.failed))


def _prior_score(judged: Predictions, rank_by: str) -> float:
    from calibtool.calibrators.fitted import class_shares

    shares = class_shares(judged)
    if rank_by == "brier":
        return float(1 - (shares**2).sum())
    seen = shares[shares > 0]
    return float(-(seen * np.log(seen)).sum())


def _identity(predictions: Predictions) -> Calibrator:
    notes: dict[str, Any] = {"notes": ("chosen by select: nothing beats doing nothing",)}
    return finish("temperature", predictions, Power(1.0), **notes)
