"""Folds: rows divided so that every class is spread evenly over the folds."""

from __future__ import annotations

import numpy as np

from calibtool.data.clusters import clusters
from calibtool.data.predictions import Predictions
from calibtool.errors import InputError
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


def folds_of(
    predictions: Predictions, strata: Array, folds: int, seed: int, cluster: str | None = None
) -> Array:
    """Return the number of each row's fold, (N,) int64: stratified, or with the rows of a cluster
    in one fold; so are the predictions of a row of the file, where it has several.

    Raises InputError for a column of clusters that is not there, or of fewer clusters than folds.
    """
    numbers = cluster_of(predictions, cluster)
    if numbers is None:
        return stratified_folds(strata, folds, seed)
    count = int(numbers.max()) + 1
    if cluster is not None and count < folds:
        raise InputError(
            f"{predictions.source}: {cluster}: {count} clusters are too few for {folds} folds"
        )
    shuffled = np.random.RandomState(seed).permutation(count)
    return np.asarray((shuffled % folds)[numbers], dtype=np.int64)


def cluster_of(predictions: Predictions, cluster: str | None = None) -> Array | None:
    """Return the number of each row's cluster, (N,): by the column `cluster`, or else the row of
    the file where it holds several predictions; None where rows are independent."""
    if cluster is not None:
        return clusters(predictions, cluster, fewest=0)
    if predictions.unit is None:
        return None
    return np.unique(predictions.extra[predictions.unit.column], return_inverse=True)[1]
