"""Folds: rows divided so that every class is spread evenly over the folds."""

from __future__ import annotations

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.types import Array


def stratified_folds(labels: Array, folds: int, seed: int) -> Array:
    """Return the number of each row's fold, (N,) int64, in [0, folds).

    Every class is spread over the folds as evenly as possible. These are the folds of
    scikit-learn's StratifiedKFold(folds, shuffle=True, random_state=seed), so that a cross-fit can
    be repeated with it.

    >>> stratified_folds(np.array([0, 1] * 5), 5, seed=0).tolist().count(0)
    2
    """
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))  # classes in the order in which they first occur
    codes = rank[codes]
    in_turn = np.sort(codes)
    random = np.random.RandomState(seed)  # the generator of scikit-learn, for the same folds
    fold = np.empty(len(labels), np.int64)
    for k in range(len(first)):
        # dealing out the sorted rows gives each fold its number of rows of this class
        counts = [np.count_nonzero(in_turn[i::folds] == k) for i in range(folds)]
        of_class = np.repeat(np.arange(folds), counts)
        random.shuffle(of_class)
        fold[codes == k] = of_class
    return fold


def plain_folds(rows: int, folds: int, seed: int) -> Array:
    """Return the number of each row's fold, (rows,) int64, drawn without regard to labels.

    Stratified folds are a little alike: where a class happens to be frequent, it is so in every
    fold. What is fitted on the others then does better on the last one than on new rows.
    """
    return np.asarray(np.random.RandomState(seed).permutation(rows) % folds, dtype=np.int64)


def folds_of(predictions: Predictions, strata: Array, folds: int, seed: int) -> Array:
    """Return the number of each row's fold, (N,) int64: stratified, or with the predictions of a
    row of the file in one fold, where it has several, since they are correlated."""
    if predictions.unit is None:
        return stratified_folds(strata, folds, seed)
    _, unit = np.unique(predictions.extra[predictions.unit.column], return_inverse=True)
    return plain_folds(int(unit.max()) + 1, folds, seed)[unit]
