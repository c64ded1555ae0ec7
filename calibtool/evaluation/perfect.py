"""Profiles under perfect calibration: outcomes are drawn row by row from the scores.

The inverted bootstrap makes binomial outcomes of each bin (`inversion.Inversion.null`), which are
correlated like its noise. Of a few hundred rows, that noise is normal where no outcome was seen,
and no longer knows that a row has one label: an outcome of one class is one less of another. With
many classes and few rows p-values are then too small. Drawn rows know all of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np

from calibtool.intervals.draws import Draws
from calibtool.intervals.streams import Stream, generator
from calibtool.types import Array

# Outcomes that are drawn, of all rows in all replicates: with 1,000 replicates, of up to 524 rows,
# which takes some milliseconds per metric. Beyond, bins hold enough rows: of 1,000, 3 to 5 % of the
# p-values of class-wise errors are below 5 % (benchmarks/null.py).
MOST = 1 << 19
# What draws the gaps; None where rows are many, or not at hand.
Null: TypeAlias = Callable[[], Array] | None


def few(draws: Draws) -> bool:
    """Return whether outcomes can be drawn row by row: there are few, in no clusters."""
    return draws.cluster is None and draws.rows * draws.replicates <= MOST


def of_scores(rows: Sequence[tuple[Array, Array, Array | None]], bins: int, draws: Draws) -> Array:
    """Return the gaps of problems of different rows, as shares of all weight: (R, problems, bins).

    Args:
        rows: for each problem, (N,) the chance of an outcome of 1 of each row, its bin, and its
            weight or None.
        bins: how many there are.
        draws: the replicates.
    """
    out, total = np.zeros((draws.replicates, len(rows), bins), np.float32), 0.0
    for k, (score, where, weights) in enumerate(rows):
        order = np.argsort(where, kind="stable")
        chance, at = score[order].astype(np.float32), where[order]
        rng = generator(Stream.PERFECT, draws.seed, k)
        outcome = rng.random((draws.replicates, len(at)), np.float32) < chance
        gap = outcome - chance
        if weights is not None:
            gap *= weights[order].astype(np.float32)
        total += float(len(at) if weights is None else weights.sum())
        starts = np.flatnonzero(np.diff(at, prepend=-1))
        out[:, k, at[starts]] = np.add.reduceat(gap, starts, axis=1)
    return out / np.float32(total)


def of_labels(
    parts: Iterable[tuple[Array, Array]], size: int, weights: Array | None, draws: Draws
) -> Array:
    """Return the gaps of the bins of all classes of the same rows, as shares of all weight:
    (R, size).

    Args:
        parts: the rows, some at a time: (n, K) each row's probabilities, and (n, K) its bin in the
            problem of each class, which has its own bins.
        size: how many bins all classes have.
        weights: (N,) or None.
        draws: the replicates, of N rows.
    """
    count, rows = draws.replicates, draws.rows
    # one draw per row: the label's cell has an outcome, all other cells of the row have none
    uniform = generator(Stream.PERFECT, draws.seed, 0).random((count, rows), np.float32)
    at = np.empty((count, rows), np.int64)
    mass = np.ones(rows) if weights is None else weights
    mean: Array = np.zeros(size)
    start = 0
    for probs, where in parts:
        here = slice(start, start + len(probs))
        label = drawn_labels(np.cumsum(probs, axis=1).astype(np.float32), uniform[:, here].T).T
        at[:, here] = where.ravel()[label + np.arange(len(probs)) * probs.shape[1]]
        # the sums so far come first: rows add up in the same order, however many at a time
        cells = np.concatenate([np.arange(size), where.ravel()])
        mean = np.bincount(cells, np.append(mean, probs * mass[here, None]), size)
        start = here.stop
    out = np.empty((count, size), np.float32)
    for group in draws.groups:
        own = at[group] + np.arange(group.stop - group.start)[:, None] * size
        repeated = None if weights is None else np.tile(mass, len(own))
        hits = np.bincount(own.ravel(), repeated, len(own) * size).reshape(len(own), size)
        out[group] = (hits - mean) / mass.sum()
    return out


def drawn_labels(cumulated: Array, uniform: Array) -> Array:
    """Return drawn labels, (rows, draws), by cumulated probabilities, (rows, classes), and uniform
    variables, (rows, draws)."""
    classes = cumulated.shape[1]
    if classes > 64:  # a comparison per class would cost more than a binary search per row
        pairs = zip(cumulated, uniform, strict=True)
        labels = [np.searchsorted(row, drawn, side="right") for row, drawn in pairs]
        return np.minimum(np.array(labels), classes - 1)  # a sum may end just below 1
    drawn = uniform.T  # rows last, as they are in memory where that is faster
    label = np.zeros(drawn.shape, np.uint8)
    for of_class in cumulated.T[:-1]:
        label += drawn >= of_class
    return label.T
