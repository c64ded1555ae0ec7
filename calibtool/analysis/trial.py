"""Trial: a calibrator fitted to some rows and measured on others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from calibtool.analysis.candidate import NOTHING, SCORES, Candidate
from calibtool.analysis.evaluate import evaluate
from calibtool.analysis.harm import Losses
from calibtool.calibrators.calibrator import Calibrator, require_classes
from calibtool.calibrators.confidences import as_classes
from calibtool.calibrators.crossfit import FOLDS, folds
from calibtool.calibrators.fit import fit
from calibtool.calibrators.fitting.nearby import Nearby, on_nearly_the_same_rows
from calibtool.calibrators.inputs import keep_looks
from calibtool.calibrators.registry import finite_options
from calibtool.data.clusters import cluster_of
from calibtool.data.predictions import Kind, Predictions
from calibtool.data.rows import reduce_rows
from calibtool.errors import CalibtoolError, UsageError
from calibtool.metrics.spec import parse
from calibtool.types import Array, Progress

MEASURED = ("nll", "brier", "accuracy", "ece", "classwise-ece")  # shown for every candidate
# The same of confidences: what can be measured of them, by the name of the field of a candidate.
OF_CONFIDENCES = {
    "nll": "nll(view=top)",
    "brier": "brier(view=top)",
    "accuracy": "accuracy",
    "ece": "ece",
}


class Tried(NamedTuple):
    """What became of a candidate.

    Attributes:
        candidate: as it was measured.
        losses: the scores of each row that was measured; None if it failed.
        zeros: whether it gives some class a probability of exactly 0.
    """

    candidate: Candidate
    losses: Losses | None
    zeros: bool = False


@dataclass(frozen=True, eq=False)
class Crossed:
    """A candidate on its way through the splits.

    Attributes:
        method: its name.
        values: of the rows that each split measured, of the splits that are done.
        kind: of the values.
        seconds: of each, to fit and to apply.
        numbers: how many each fit holds.
        distinct: (2,) distinct confidences before and after, summed over the splits.
        failed: why it could not be fitted; "" otherwise.
        nearby: where the searches of the splits ended.
    """

    method: str
    values: tuple[Array, ...] = ()
    kind: Kind = "probs"
    seconds: tuple[tuple[float, float], ...] = ()
    numbers: tuple[int, ...] = ()
    distinct: Array = field(default_factory=lambda: np.zeros(2))
    failed: str = ""
    nearby: Nearby = field(default_factory=Nearby)

    @property
    def done(self) -> int:
        """How many splits are done."""
        return len(self.values)


@dataclass(frozen=True, eq=False)
class Trial:
    """Which rows are fitted on and which are measured. It can be pickled, for other processes.

    Attributes:
        splits: pairs of a function that returns the rows to fit on, and the indices of the rows of
            `measured` to measure.
        measured: the rows that are measured.
        description: what is fitted on, in words.
        smoothing: whether to fit calibrators so that they give no probability of 0 or 1.
        of: which rows the folds are of, in words.
    """

    splits: tuple[tuple[Callable[[], Predictions], Array], ...]
    measured: Predictions
    description: str
    smoothing: bool
    of: str = ""

    @cached_property
    def cluster(self) -> Array | None:
        """The number of each row's cluster, (N,); None where rows are independent."""
        return cluster_of(self.measured)

    def run(self, method: str, tell: Progress, *, rank_by: str) -> Tried:
        """Fit and measure a method on every split."""
        crossed = Crossed(method)
        while not crossed.failed and crossed.done < len(self.splits):
            crossed = self.advance(crossed)
            tell(f"fitting {method}", crossed.done / len(self.splits))
        return self.tried(crossed, rank_by)

    def advance(self, crossed: Crossed) -> Crossed:
        """Fit and measure a candidate on its next split."""
        method = crossed.method
        fit_rows, at = self.splits[crossed.done]
        before = self.measured.take(at)
        began = time.perf_counter()
        try:
            with on_nearly_the_same_rows(crossed.nearby):
                fitted = None if method == NOTHING else self.fit(method, fit_rows())
            fit_end = time.perf_counter()
            after = before if fitted is None else fitted(before)
        except CalibtoolError as error:
            return Crossed(method, failed=str(error))
        seconds = (fit_end - began, time.perf_counter() - fit_end)
        numbers = 0 if fitted is None else fitted.map.count()
        return replace(
            crossed,
            values=(*crossed.values, after.values),
            kind=after.kind,
            seconds=(*crossed.seconds, seconds),
            numbers=(*crossed.numbers, numbers),
            distinct=crossed.distinct + np.array([_distinct(before), _distinct(after)]),
        )

    def first(self, count: int) -> Trial:
        """Return the trial of the first splits alone, by which only their rows are measured."""
        if count == len(self.splits):
            return self
        at = np.sort(np.concatenate([rows for _, rows in self.splits[:count]]))
        splits = tuple((fit, np.searchsorted(at, rows)) for fit, rows in self.splits[:count])
        how = (
            f"cross-fitted in {count} of {len(self.splits)} folds of {self.of}, until one was left"
        )
        return replace(self, splits=splits, measured=self.measured.take(at), description=how)

    def holding(self, split: int) -> Trial:
        """Return the trial that holds the rows to fit on of a split, for all who ask for them, and
        how these look to curves of classes."""
        fit_rows, at = self.splits[split]
        held = fit_rows()
        keep_looks(held)
        one = (partial(_held, held), at)
        return replace(self, splits=(*self.splits[:split], one, *self.splits[split + 1 :]))

    def seen(self, done: int | None) -> Array | slice:
        """Return which rows of `measured` the first splits measure: indices, or all; None for all
        splits."""
        if done in (None, len(self.splits)):
            return slice(None)
        return np.sort(np.concatenate([at for _, at in self.splits[:done]]))

    def of_rows(self, at: Array | slice) -> tuple[Array | None, Array | None]:
        """Return the weights of some rows, and the numbers of their clusters; None for none."""
        weights, cluster = self.measured.weights, self.cluster
        return None if weights is None else weights[at], None if cluster is None else cluster[at]

    def tried(self, crossed: Crossed, rank_by: str) -> Tried:
        """Return what became of a candidate, by the rows of the splits that are done."""
        if crossed.failed:
            return Tried(Candidate(crossed.method, failed=crossed.failed), None)
        measured, calibrated = self.calibrated(crossed)
        # one thread: the methods themselves are tried in parallel
        specs = specs_of(calibrated)
        report = evaluate(calibrated, ",".join(specs.values()), ci="none", threads=1)
        flips = _predicted(calibrated) != _predicted(measured)
        fit_seconds, apply_seconds = np.median(crossed.seconds, axis=0)
        before, after = crossed.distinct
        metrics: dict[str, Any] = {
            name.replace("-", "_"): report[spec].value for name, spec in specs.items()
        }
        candidate = Candidate(
            crossed.method,
            numbers=int(np.median(crossed.numbers)),
            score=metrics[rank_by],
            flips=float(np.average(flips, weights=measured.weights)),
            ties=max(float(1 - after / before), 0.0),
            fit_seconds=float(fit_seconds),
            apply_seconds=float(apply_seconds),
            folds=None if crossed.done == len(self.splits) else crossed.done,
            **metrics,
        )
        return Tried(candidate, _losses(calibrated), _has_zeros(calibrated))

    def losses(self, crossed: Crossed, rank_by: str) -> Array:
        """Return the score of each row of the splits that are done."""
        return _losses(self.calibrated(crossed)[1])[rank_by]

    def calibrated(self, crossed: Crossed) -> tuple[Predictions, Predictions]:
        """Return the rows of the splits that are done, without a calibrator and after it."""
        trial, first = self.first(crossed.done), crossed.values[0]
        values = np.empty((trial.measured.rows, *first.shape[1:]), first.dtype)
        for (_, at), part in zip(trial.splits, crossed.values, strict=True):
            values[at] = part
        return trial.measured, replace(trial.measured, kind=crossed.kind, values=values)

    def fit(self, method: str, rows: Predictions, *, advise: bool = False) -> Calibrator:
        """Fit a method to rows; the advice that a fit looks for is not shown of a split's."""
        options = finite_options(method) if self.smoothing else {}
        return fit(method, rows, advise=advise, **options)


def _has_zeros(predictions: Predictions) -> bool:
    """Return whether a class has a probability of exactly 0 in some row; logits give none."""
    values = predictions.values
    if predictions.kind == "logits":
        return False
    one = predictions.kind == "confidence" or predictions.one_column
    return bool((values == 0).any() or (one and (values == 1).any()))


def _losses(predictions: Predictions) -> Losses:
    """Return the scores of each row."""
    rows, specs = reduce_rows(predictions), specs_of(predictions)
    return {name: parse(specs[name]).of_rows(rows) for name in SCORES}


def specs_of(predictions: Predictions) -> dict[str, str]:
    """Return the spec of each metric that is measured, by name."""
    if predictions.kind == "confidence":
        return OF_CONFIDENCES
    return {name: name for name in MEASURED}


def _predicted(predictions: Predictions) -> Array:
    """Return the predicted class of each row, (N,); of confidences one that never changes."""
    if predictions.kind == "confidence":
        return np.zeros(predictions.rows, np.int64)
    return np.asarray(predictions.matrix().argmax(axis=1))


def _distinct(predictions: Predictions) -> int:
    """Return how many distinct confidences, or probabilities of class 1, there are."""
    rows = reduce_rows(predictions)
    return len(np.unique(rows.confidence if rows.positive is None else rows.positive))


def _held(rows: Predictions) -> Predictions:
    return rows


def make_trial(
    predictions: Predictions,
    test: Predictions | None,
    *,
    of: str,
    smoothing: bool,
) -> Trial:
    """Return the splits: one with a test set, FOLDS without.

    Args:
        predictions, test: the rows.
        of: which rows of the file `predictions` are, in words; "" for all.
        smoothing: as for `select`.
    """
    if test is not None:
        require_classes(test, predictions.classes, predictions.class_names)
        if as_classes(test).labels is None:
            raise UsageError(f"{test.source}: there are no labels to measure against")
        description = f"fitted on {predictions.source}, {of or f'{predictions.rows:,} rows'}"
        split = (partial(_held, predictions), np.arange(test.rows))
        return Trial((split,), test, description, smoothing)
    fold = folds(predictions)
    splits = tuple(
        (partial(predictions.take, np.flatnonzero(fold != k)), np.flatnonzero(fold == k))
        for k in range(FOLDS)
    )
    description = f"cross-fitted in {FOLDS} folds" + (f" of {of}" if of else "")
    of = of or f"{predictions.rows:,} rows"
    return Trial(splits, predictions, description, smoothing, of)
