"""Cross-fitting: each row calibrated by a fit that did not see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calibtool.calibrators.fitting.nearby import Nearby, on_nearly_the_same_rows
from calibtool.data.folds import folds_of
from calibtool.data.predictions import Kind, Predictions
from calibtool.errors import FitError, InputError
from calibtool.types import Array

# Five fits on four fifths of the rows each: with fewer folds each fit has markedly fewer rows than
# the calibrator that is kept, with more the time grows.
FOLDS = 5
ROW = "row of the cross-fit"  # column of row numbers; a name that no file will have


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """A calibrator for `numbered` predictions only: each row by the fit of the other folds.

    Attributes:
        kind: the kind of the calibrated values, "logits", "probs" or "confidence".
        values: (N, K), (N, 1) or (N,) calibrated values.
        title: its name in reports.
    """

    kind: Kind
    values: Array
    title: str

    def __call__(self, predictions: Predictions) -> Predictions:
        values = self.values[predictions.extra[ROW]]
        return replace(predictions, kind=self.kind, values=values)

    def describe(self) -> str:
        return self.title


def cross_fit(
    fit: Callable[[Predictions], Any],
    predictions: Predictions,
    title: str,
    seed: int = 0,
    cluster: str | None = None,
) -> tuple[Predictions, CrossFitted]:
    """Fit on four fifths and apply to the last fifth, five times, in folds stratified by label.

    Args:
        fit: maps predictions to a calibrator.
        predictions: with labels, or confidences with hits.
        title: the calibrator's name in reports.
        seed: of the folds.
        cluster: the column whose equal values stay in one fold, as for `folds`.

    Returns the predictions with numbered rows, and their calibrator for `evaluate`. Raises
    InputError if there are too few rows, FitError if a fold cannot be fitted.
    """
    fold, nearby = folds(predictions, seed, cluster), Nearby()
    values: Array | None = None
    kind = predictions.kind
    for k in range(FOLDS):
        test = np.flatnonzero(fold == k)
        try:
            with on_nearly_the_same_rows(nearby):
                calibrator = fit(predictions.take(np.flatnonzero(fold != k)))
        except FitError as error:
            raise FitError(f"{error} (in fold {k + 1} of {FOLDS} of the cross-fit)") from error
        after = calibrator(predictions.take(test))
        if values is None:
            shape = (predictions.rows, *after.values.shape[1:])
            values, kind = np.empty(shape, after.values.dtype), after.kind
        values[test] = after.values
    assert values is not None
    return numbered(predictions), CrossFitted(
        kind, values, f"{title}, cross-fitted in {FOLDS} folds"
    )


def folds(predictions: Predictions, seed: int = 0, cluster: str | None = None) -> Array:
    """Return the number of each row's fold, (N,) int64 in [0, FOLDS), with the rows of a cluster in
    one fold. Raises InputError if there are too few rows or clusters for the folds."""
    return folds_of(predictions, require_foldable(predictions), FOLDS, seed, cluster)


def require_foldable(predictions: Predictions) -> Array:
    """Return what folds are stratified by, (N,): labels, or hits of confidences.

    Raises InputError if there are none, or too few rows for the folds.
    """
    strata = predictions.correct if predictions.kind == "confidence" else predictions.labels
    if strata is None:
        raise InputError(f"{predictions.source}: has no labels, which a cross-fit needs")
    if predictions.rows < 2 * FOLDS:
        raise InputError(
            f"{predictions.source}: {predictions.rows} rows are too few to cross-fit in {FOLDS} "
            f"folds, at least {2 * FOLDS} are needed; give a test file with --test"
        )
    return strata


def numbered(predictions: Predictions) -> Predictions:
    """Return the predictions with a column of row numbers, which survives `take` and `blocks`."""
    return replace(predictions, extra={**predictions.extra, ROW: np.arange(predictions.rows)})
