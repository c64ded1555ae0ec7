"""Cross-fitting: what a calibrator does to rows that it was not fitted on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calibtool.data.folds import stratified_folds
from calibtool.data.predictions import Kind, Predictions
from calibtool.errors import FitError, InputError
from calibtool.types import Array

FOLDS = 5
ROW = "row of the cross-fit"


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """A calibrator for `numbered` predictions alone: each row by the fit of the other folds.

    Attributes:
        kind: of the calibrated values.
        values: calibrated values, row by row.
        title: what to call it in reports.
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
    fit: Callable[[Predictions], Any], predictions: Predictions, title: str, seed: int = 0
) -> tuple[Predictions, CrossFitted]:
    """Fit on four fifths and apply to the last, five times, in folds stratified by label.

    Returns the predictions with numbered rows, and what `evaluate` takes as their calibrator.
    Raises FitError where a fold has no fit.
    """
    require_foldable(predictions)
    assert predictions.labels is not None
    fold = stratified_folds(predictions.labels, FOLDS, seed)
    values: Array | None = None
    kind = predictions.kind
    for k in range(FOLDS):
        test = np.flatnonzero(fold == k)
        try:
            calibrator = fit(predictions.take(np.flatnonzero(fold != k)))
        except FitError as error:
            raise FitError(f"{error} (in fold {k + 1} of {FOLDS} of the cross-fit)") from error
        after = calibrator(predictions.take(test))
        if values is None:
            values, kind = (
                np.empty((predictions.rows, *after.values.shape[1:]), after.values.dtype),
                after.kind,
            )
        values[test] = after.values
    assert values is not None
    return numbered(predictions), CrossFitted(
        kind, values, f"{title}, cross-fitted in {FOLDS} folds"
    )


def require_foldable(predictions: Predictions) -> None:
    """Whether there are rows enough for folds."""
    if predictions.labels is None or predictions.rows < 2 * FOLDS:
        raise InputError(
            f"{predictions.source}: {predictions.rows} rows are too few to cross-fit in {FOLDS} "
            f"folds, {2 * FOLDS} are the least; give a test file with --test"
        )


def numbered(predictions: Predictions) -> Predictions:
    """Predictions whose rows know their number."""
    return replace(predictions, extra={**predictions.extra, ROW: np.arange(predictions.rows)})
