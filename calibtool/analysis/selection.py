"""Selection: measure every calibrator on rows that it was not fitted on, and choose the simplest of
the best."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from calibtool.analysis.candidate import NOTHING, Candidate, choose
from calibtool.analysis.harm import Losses, harmed
from calibtool.calibrators.calibrator import Calibrator, finish, require_classes, require_fit
from calibtool.calibrators.confidences import as_classes, confidence_methods
from calibtool.calibrators.crossfit import FOLDS, require_foldable
from calibtool.calibrators.fit import fit
from calibtool.calibrators.fitted import FitRecord, class_shares
from calibtool.calibrators.maps import Power
from calibtool.calibrators.registry import METHODS, finite_options, module_of
from calibtool.data.folds import stratified_folds
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.data.rows import reduce_rows
from calibtool.errors import CalibtoolError, FitError, UsageError
from calibtool.evaluation.collect import resample
from calibtool.evaluation.evaluate import evaluate
from calibtool.evaluation.resampling import Resampling
from calibtool.intervals import bootstrap
from calibtool.intervals.draws import Draws
from calibtool.metrics.spec import parse
from calibtool.parallel import cores, ordered
from calibtool.streaming.read import read as read_data
from calibtool.types import Array, Progress, Shown, silent

SCORES = ("nll", "brier")
MEASURED = ("nll", "brier", "accuracy", "ece", "classwise-ece")  # shown for every candidate
# The same of confidences: what can be measured of them, by the name of the field of a candidate.
OF_CONFIDENCES = {
    "nll": "nll(view=top)",
    "brier": "brier(view=top)",
    "accuracy": "accuracy",
    "ece": "ece",
}


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
    methods: Sequence[str] | None = None,
    *,
    rank_by: str = "nll",
    test: Any = None,
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
        methods: names of calibrators, by default all; doing nothing is always a candidate.
        rank_by: "nll" or "brier", which are proper scores: a calibration error alone would rank
            first a calibrator that predicts the same for every row.
        test: rows to measure on, instead of cross-fitting.
        smoothing: fit histogram and isotonic without probabilities of 0 and 1, by `smoothing`.
        resamples, level, seed: of the paired intervals; `resamples=0` for none.
        progress: called now and then with what is being done and the share that is done.
        keys: which column has which role, as for `ct.load`.

    The choice is the simplest candidate whose mean score lies within one standard error of the
    best one's, the error being that of the paired difference (Breiman et al. 1984, sec. 3.4.3).

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
    predictions = read_data(predictions, **keys).load()
    test = None if test is None else read_data(test, **keys).load()
    require_fit(as_classes(predictions))
    names = [NOTHING, *_known(methods, predictions)]
    trial = _trial(predictions, test, smoothing=smoothing)
    measured, tick = trial.measured, progress or silent
    losses: dict[str, Losses] = {}
    tried = []
    for candidate, loss in _try(trial, names, rank_by, tick):
        tried.append(candidate)
        if loss is not None:
            losses[candidate.method] = loss
    resampled = resampling.ci != "none"
    draws = Draws(resamples, seed, measured.rows) if resampled else None
    ranking = {method: loss[rank_by] for method, loss in losses.items()}
    candidates = _compared(tried, ranking, draws, measured.weights, level, tick)
    harm = partial(harmed, losses[NOTHING], weights=measured.weights, level=level)
    candidates = tuple(replace(c, worse=harm(losses.get(c.method, {}))) for c in candidates)
    chosen, why = choose(candidates, rank_by)
    tick("fitting the choice", 0.0)
    calibrator = _identity(predictions) if chosen == NOTHING else trial.fit(chosen, predictions)
    tick("fitting the choice", 1.0)
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


def _try(trial: _Trial, names: Sequence[str], rank_by: str, tick: Progress) -> list[_Tried]:
    """Fit and measure every method. Raises FitError if no calibrator can be fitted."""
    results = []
    run = partial(trial.run, rank_by=rank_by)
    for done, result in enumerate(ordered(run, names, cores()), start=1):
        results.append(result)
        tick("fitting", done / len(names))
    if sum(loss is not None for _, loss in results) < 2:  # doing nothing never fails
        reasons = "; ".join(candidate.failed for candidate, _ in results if candidate.failed)
        raise FitError(f"no calibrator could be fitted: {reasons}")
    return results


# a candidate, and its scores; None if it failed
_Tried: TypeAlias = tuple[Candidate, Losses | None]


@dataclass(frozen=True, eq=False)
class _Trial:
    """Which rows are fitted on and which are measured.

    Attributes:
        splits: pairs of a function that returns the rows to fit on, and the indices of the rows of
            `measured` to measure.
        measured: the rows that are measured.
        description: what is fitted on, in words.
        smoothing: whether to fit calibrators so that they give no probability of 0 or 1.
    """

    splits: tuple[tuple[Callable[[], Predictions], Array], ...]
    measured: Predictions
    description: str
    smoothing: bool

    def run(self, method: str, rank_by: str) -> _Tried:
        """Fit and measure a method on every split."""
        values: Array | None = None
        kind, seconds, numbers = self.measured.kind, [], []
        distinct = np.zeros(2)  # distinct confidences before and after, summed over the splits
        for fit_rows, at in self.splits:
            before = self.measured.take(at)
            began = time.perf_counter()
            try:
                fitted = None if method == NOTHING else self.fit(method, fit_rows())
                fit_end = time.perf_counter()
                after = before if fitted is None else fitted(before)
            except CalibtoolError as error:
                return Candidate(method, failed=str(error)), None
            seconds.append((fit_end - began, time.perf_counter() - fit_end))
            numbers.append(0 if fitted is None else fitted.map.count())
            if values is None:
                shape = (self.measured.rows, *after.values.shape[1:])
                values, kind = np.empty(shape, after.values.dtype), after.kind
            values[at] = after.values
            distinct += [_distinct(before), _distinct(after)]
        assert values is not None
        calibrated = replace(self.measured, kind=kind, values=values)
        # one thread: the methods themselves are tried in parallel
        specs = _specs(calibrated)
        report = evaluate(calibrated, ",".join(specs.values()), ci="none", threads=1)
        flips = _predicted(calibrated) != _predicted(self.measured)
        fit_seconds, apply_seconds = np.median(seconds, axis=0)
        metrics: dict[str, Any] = {
            name.replace("-", "_"): report[spec].value for name, spec in specs.items()
        }
        candidate = Candidate(
            method,
            numbers=int(np.median(numbers)),
            score=metrics[rank_by],
            flips=float(np.average(flips, weights=self.measured.weights)),
            ties=max(float(1 - distinct[1] / distinct[0]), 0.0),
            fit_seconds=float(fit_seconds),
            apply_seconds=float(apply_seconds),
            **metrics,
        )
        return candidate, _losses(calibrated)

    def fit(self, method: str, rows: Predictions) -> Calibrator:
        """Fit a method to rows."""
        return fit(method, rows, **(finite_options(method) if self.smoothing else {}))


def _losses(predictions: Predictions) -> Losses:
    """Return the scores of each row."""
    rows, specs = reduce_rows(predictions), _specs(predictions)
    return {name: parse(specs[name]).of_rows(rows) for name in SCORES}


def _specs(predictions: Predictions) -> dict[str, str]:
    """Return the spec of each metric that is measured, by name."""
    if predictions.kind == "confidence":
        return OF_CONFIDENCES
    return {name: name for name in MEASURED}


def _predicted(predictions: Predictions) -> Array:
    """Return the predicted class of each row, (N,); of confidences one that never changes."""
    if predictions.kind == "confidence":
        return np.zeros(predictions.rows, np.int64)
    return np.asarray(predictions.matrix().argmax(axis=1))


def _trial(predictions: Predictions, test: Predictions | None, *, smoothing: bool) -> _Trial:
    """Return the splits: one with a test set, FOLDS without."""
    if test is not None:
        require_classes(test, predictions.classes, predictions.class_names)
        if as_classes(test).labels is None:
            raise UsageError(f"{test.source}: there are no labels to measure against")
        description = f"fitted on {predictions.source}, {predictions.rows:,} rows"
        split = (lambda: predictions, np.arange(test.rows))
        return _Trial((split,), test, description, smoothing)
    fold = stratified_folds(require_foldable(predictions), FOLDS, seed=0)
    splits = tuple(
        (lambda k=k: predictions.take(np.flatnonzero(fold != k)), np.flatnonzero(fold == k))
        for k in range(FOLDS)
    )
    return _Trial(splits, predictions, f"cross-fitted in {FOLDS} folds", smoothing)


def _known(methods: Sequence[str] | None, predictions: Predictions) -> list[str]:
    """Return the names of the calibrators to try, each once; by default all that can be fitted.

    Raises UsageError for others.
    """
    able = confidence_methods() if predictions.kind == "confidence" else METHODS
    distinct = dict.fromkeys(able if methods is None else methods)
    names = [name for name in distinct if name != NOTHING]
    for name in names:
        module_of(name)
    return names


def _distinct(predictions: Predictions) -> int:
    """Return how many distinct confidences, or probabilities of class 1, there are."""
    rows = reduce_rows(predictions)
    return len(np.unique(rows.confidence if rows.positive is None else rows.positive))


def _compared(
    candidates: list[Candidate],
    losses: dict[str, Array],
    draws: Draws | None,
    weights: Array | None,
    level: float,
    tick: Progress,
) -> tuple[Candidate, ...]:
    """Return the candidates by score, with the paired difference from the best and its interval.

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
    behind = np.stack([losses[c.method] - best for c in finite], axis=1)

    def columns(at: slice) -> Array:
        rows = behind[at]
        return np.concatenate([np.ones((len(rows), 1)), rows], axis=1)

    means: Array | None = None
    if draws is not None:
        sums = resample(columns, draws, cores(), weights, lambda share: tick("resampling", share))
        # the grid of sums follows the largest loss: beside 1e20, a weight of 1 is rounded to 0, and
        # no replicate is left
        means = sums[:, 1:] / sums[:, :1] if len(sums) else None
    compared: dict[str, Candidate] = {}
    for k, candidate in enumerate(finite):
        value = float(np.average(behind[:, k], weights=weights))
        low, high, error = None, None, _error_of_mean(behind[:, k], weights)
        if means is not None:
            low, high = bootstrap.plain("percentile", value, means[:, k], level)
            error = float(means[:, k].std(ddof=1))
        compared[candidate.method] = replace(
            candidate, behind=value, low=low, high=high, error=error
        )
    ranked = [compared.get(c.method, replace(c, behind=np.inf)) for c in fitted]
    return (*ranked, *failed)


def _error_of_mean(values: Array, weights: Array | None) -> float:
    """Return the standard error of a weighted mean, by its formula: what replicates scatter by."""
    share = np.full(len(values), 1 / len(values)) if weights is None else weights / weights.sum()
    return float(np.sqrt((share**2) @ (values - share @ values) ** 2))


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
