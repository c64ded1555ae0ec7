"""Rows divided at random: folds over which every class is spread evenly, and two parts."""

from __future__ import annotations

import numpy as np

from calibtool.data.clusters import cluster_of
from calibtool.data.predictions import Predictions
from calibtool.errors import InputError, UsageError
from calibtool.formatting import counted
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


def folds_of(
    predictions: Predictions, strata: Array, folds: int, seed: int, cluster: str | None = None
) -> Array:
    """Return the number of each row's fold, (N,) int64: stratified, or with the rows of a cluster
    in one fold; so are the predictions of a row of the file, where it has several.

    Raises InputError for a column of clusters that is not there, and for fewer clusters, or rows of
    the file, than folds.
    """
    numbers = cluster_of(predictions, cluster)
    if numbers is None:
        return stratified_folds(strata, folds, seed)
    count = int(numbers.max()) + 1
    if count < folds:
        what = f"{cluster}: {counted(count, 'cluster')}" if cluster else counted(count, "row")
        are = "is" if count == 1 else "are"
        raise InputError(f"{predictions.source}: {what} {are} too few for {folds} folds")
    return plain_folds(count, folds, seed)[numbers]


def grouped_folds(groups: Array, folds: int, seed: int) -> Array:
    """Return the number of each row's fold, (N,) int64, with the rows of a group in one fold."""
    _, number = np.unique(groups, return_inverse=True)
    return plain_folds(int(number.max()) + 1, folds, seed)[number]


def first_part(
    rows: Predictions,
    share: float,
    *,
    stratified: bool = False,
    group: str | None = None,
    seed: int = 0,
) -> Array:
    """Return which rows are in the first part, (N,) bool.

    Args:
        rows: N predictions.
        share: of the rows, between 0 and 1; numbers of rows are rounded.
        stratified: take this share of the rows of every class, or of right and of wrong ones.
        group: a column in `extra`; rows with the same value stay together, and the share is that of
            the values.
        seed: of the random numbers.

    Raises UsageError for `stratified` with `group`, InputError if a part would be empty.

    >>> rows = Predictions.from_probs([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
    >>> part = first_part(rows, 0.5, stratified=True)
    >>> int(part[:2].sum()), int(part[2:].sum())
    (1, 1)
    """
    if stratified and group:
        raise UsageError("--stratified and --group cannot be combined: a group has many classes")
    random = np.random.RandomState(seed)
    if group:
        _, codes = np.unique(rows.extra[group], return_inverse=True)
        first = _taken(np.arange(codes.max(initial=-1) + 1), share, random)
        taken = np.isin(codes, first)
    elif stratified:
        of = rows.labels if rows.labels is not None else rows.correct
        assert of is not None
        classes = np.unique(of)
        parts = [_taken(np.flatnonzero(of == one), share, random) for one in classes]
        taken = np.isin(np.arange(rows.rows), np.concatenate(parts))
    else:
        taken = np.isin(np.arange(rows.rows), _taken(np.arange(rows.rows), share, random))
    if taken.all() or not taken.any():
        what = f"values of {group!r}" if group else "rows"
        raise InputError(f"{rows.source}: too few {what} for two parts of which {share:g} is one")
    return np.asarray(taken, dtype=bool)


def _taken(these: Array, share: float, random: np.random.RandomState) -> Array:
    return random.permutation(these)[: round(share * len(these))]
