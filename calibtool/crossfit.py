"""Cross-fitting: what a calibrator does to rows that it was not fitted on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calibtool.checks import Array
from calibtool.errors import FitError, InputError
from calibtool.predictions import Predictions

FOLDS = 5


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """A calibrator for `numbered` predictions alone: each row by the fit of the other folds.

    Attributes:
        values: calibrated values, row by row.
        title: what to call it in reports.
    """

    values: Array
    title: str

    def __call__(self, predictions: Predictions) -> Predictions:
        return replace(predictions, values=self.values[predictions.extra["row"]])

    def describe(self) -> str:
        return self.title


def cross_fit(
    fit: Callable[[Predictions], Any], predictions: Predictions, title: str, seed: int = 0
) -> tuple[Predictions, CrossFitted]:
    """Fit on four fifths and apply to the last, five times, in folds stratified by label.

    Returns the predictions with numbered rows, and what `evaluate` takes as their calibrator.
    Raises FitError where a fold has no fit.
    """
    if predictions.labels is None or predictions.rows < 2 * FOLDS:
        raise InputError(
            f"{predictions.source}: {predictions.rows} rows are too few to cross-fit in {FOLDS} "
            "folds; give a test file with --test"
        )
    fold = stratified_folds(predictions.labels, FOLDS, seed)
    values: Array | None = None
    for k in range(FOLDS):
        test = np.flatnonzero(fold == k)
        try:
            calibrator = fit(predictions.take(np.flatnonzero(fold != k)))
        except FitError as error:
            raise FitError(f"{error} (in fold {k + 1} of {FOLDS} of the cross-fit)") from error
        after = calibrator(predictions.take(test)).values
        if values is None:
            values = np.empty((predictions.rows, *after.shape[1:]), after.dtype)
        values[test] = after
    assert values is not None
    numbered = replace(predictions, extra={"row": np.arange(predictions.rows)})
    return numbered, CrossFitted(values, f"{title}, cross-fitted in {FOLDS} folds")


def stratified_folds(labels: Array, folds: int, seed: int) -> Array:
    """A fold for each row; every class is spread over the folds as evenly as can be.

    These are the folds of scikit-learn's StratifiedKFold(folds, shuffle=True, random_state=seed),
    so that a cross-fit can be repeated elsewhere.

    >>> stratified_folds(np.array([0, 1] * 5), 5, seed=0).tolist().count(0)
    2
    """
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))  # classes in the order in which they first occur
    codes = rank[codes]
    in_turn = np.sort(codes)
    random = np.random.RandomState(seed)
    fold = np.empty(len(labels), np.int64)
    for k in range(len(first)):
        share = [np.count_nonzero(in_turn[i::folds] == k) for i in range(folds)]
        own = np.repeat(np.arange(folds), share)
        random.shuffle(own)
        fold[codes == k] = own
    return fold
