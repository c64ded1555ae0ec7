"""Per-row values of a block of predictions, and its views.

A view turns a K-class problem into scores between 0 and 1 and outcomes of 0 and 1: `top` is the
confidence of the predicted class and whether it was right, `label` the same for each predicted
class separately, `positive` is P(class 1) of a two-class problem, `class` is every class
one-vs-rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from calibtool.data.predictions import SOFT, Predictions
from calibtool.errors import WHOLE_ROWS, NotAvailableError
from calibtool.types import Array

ALWAYS = ("log_prob", "prob", "squares")  # columns of `Rows` that are filled unless a pass is lean
# Values worked on at a time: one megabyte of float32, so that the passes over a piece (maximum,
# exponentials, sums) find it in the L2 cache.
CACHE_VALUES = 1 << 18
# With more classes than this, a row is contiguous; with fewer, a class is: loops in numpy are fast
# only along a long axis.
_FEW_CLASSES = 32


@dataclass(frozen=True)
class Rows:
    """One value per row in each column, (N,); None where it is not known or not requested.

    Attributes:
        confidence: probability of the predicted class, in the precision of the scores.
        correct: whether the predicted class is the label, bool.
        positive, outcome: P(class 1), and whether the label is 1, bool; two classes only.
        log_prob: natural logarithm of the label's probability, float64.
        squares: sum over classes of squared probabilities, float64.
        prob: the label's probability, float64.
        weights: float64, or None for 1 per row.
        labels, predicted: class ids, int32; on request, like all that follow.
        rank: number of classes before the label, by decreasing value and then by id, int32.
        entropy: entropy of the row's probabilities in nats, float64.
        refined: natural logarithm of the label's probability after a recalibration that did not
            see the row; filled in by `evaluate`.
        ranked, ranked_mean: sum and mean over the first K - 1 classes of the squared difference of
            the probability and the outcome that the label is at most that class, float64.
        hit, spread, label_entropy: of soft labels, where a row stands for one outcome of a row's
            distribution q, with its probability as weight: whether the predicted class is the most
            likely one, bool, 1 - sum of q^2, and -sum of q ln q, float64; None for other labels.
    """

    confidence: Array
    correct: Array
    positive: Array | None = None
    outcome: Array | None = None
    log_prob: Array | None = None
    prob: Array | None = None
    squares: Array | None = None
    weights: Array | None = None
    labels: Array | None = None
    predicted: Array | None = None
    rank: Array | None = None
    entropy: Array | None = None
    refined: Array | None = None
    ranked: Array | None = None
    ranked_mean: Array | None = None
    hit: Array | None = None
    spread: Array | None = None
    label_entropy: Array | None = None

    def view(self, name: str) -> tuple[Array, Array]:
        """Return the scores and outcomes of a view with one score per row, (N,) each.

        Raises NotAvailableError for the positive view of confidences alone.
        """
        if name in ("top", "label"):
            return self.confidence, self.correct
        if self.positive is None or self.outcome is None:
            raise NotAvailableError(WHOLE_ROWS)
        return self.positive, self.outcome

    @staticmethod
    def concatenate(parts: Iterable[Rows]) -> Rows:
        """Return the rows of all parts, which have the same columns."""
        parts = list(parts)
        columns: dict[str, Any] = {}
        for field in fields(Rows):
            arrays = [getattr(part, field.name) for part in parts]
            columns[field.name] = None if arrays[0] is None else np.concatenate(arrays)
        return Rows(**columns)


Visit = Callable[[Array, slice], None]


def reduce_rows(
    block: Predictions,
    visit: Visit | None = None,
    want: Collection[str] = (),
    *,
    lean: bool = False,
) -> Rows:
    """Reduce a block to one value per row and column, in pieces that stay in the cache.

    Args:
        block: the rows, with labels or hits.
        visit: called with the probabilities of each piece, (rows, K), and its slice.
        want: the columns on request that are to be filled.
        lean: fill no column without request, except those of the views.
    """
    if block.kind == "confidence":
        if block.correct is None:
            raise NotAvailableError(f"{block.source}: there are no hits to measure against")
        return Rows(np.minimum(block.values, 1), block.correct, weights=block.weights)
    if lean and block.one_column and block.kind == "probs" and visit is None and not block.soft:
        return _of_column(block, want)
    want = want if lean else {*want, *ALWAYS}
    step = max(1, CACHE_VALUES // block.values.shape[1])
    if block.soft:
        want = {*want, "predicted"}
    parts = [
        _reduce(block.take(slice(start, start + step)), slice(start, start + step), visit, want)
        for start in range(0, block.rows, step)
    ]
    rows = Rows.concatenate(parts)
    if not block.soft:
        return rows
    likeliest, spread, entropy = (block.extra[name] for name in SOFT)
    assert rows.predicted is not None
    hit = rows.predicted == likeliest
    return replace(rows, hit=hit, spread=spread, label_entropy=entropy)


def to_probs(predictions: Predictions) -> Predictions:
    """Return predictions as probabilities, in the precision of the logits (at least float32)."""
    if predictions.kind != "logits":
        return predictions
    values = predictions.matrix()
    wide = values if values.itemsize > 2 else values.astype(np.float32)
    with np.errstate(under="ignore", over="ignore"):
        probs = wide - wide.max(axis=1, keepdims=True)
        np.exp(probs, out=probs)
    probs /= probs.sum(axis=1, keepdims=True)
    values = probs[:, 1:] if predictions.one_column else probs
    return replace(predictions, kind="probs", values=values)


def _reduce(piece: Predictions, at: slice, visit: Visit | None, want: Collection[str]) -> Rows:
    """Reduce a piece of a block; `at` is its slice of the block's rows."""
    matrix, labels = piece.matrix(), piece.labels
    assert labels is not None
    axis = 1 if matrix.shape[1] > _FEW_CLASSES else 0  # of the classes in `values`
    values = matrix if axis else np.ascontiguousarray(matrix.T)
    predicted = _argmax(values, axis)
    if piece.kind == "logits":
        probs, confidence, log_prob = _softmax(values, axis, predicted, labels)
    else:
        probs = values
        confidence = _pick(values, axis, predicted)
        with np.errstate(divide="ignore"):
            log_prob = np.log(_pick(values, axis, labels).astype(np.float64))
    if visit is not None:
        visit(probs if axis else probs.T, at)
    wide = probs if probs.itemsize > 2 else probs.astype(np.float32)
    squares = None
    if "squares" in want:
        squares = np.einsum("ij,ij->i" if axis else "ij,ij->j", wide, wide).astype(np.float64)
    binary = matrix.shape[1] == 2
    ranked = _ranked(wide, axis, labels) if "ranked" in want else None
    return Rows(
        confidence=confidence,
        correct=predicted == labels,
        positive=_positive(piece, values, probs, axis) if binary else None,
        outcome=labels == 1 if binary else None,
        log_prob=log_prob,
        prob=np.exp(log_prob) if "prob" in want else None,
        squares=squares,
        weights=piece.weights,
        labels=labels.astype(np.int32) if "labels" in want else None,
        predicted=predicted.astype(np.int32) if "predicted" in want else None,
        rank=_rank(values, axis, labels) if "rank" in want else None,
        entropy=_entropy(wide, axis) if "entropy" in want else None,
        ranked=ranked,
        ranked_mean=None if ranked is None else ranked / (matrix.shape[1] - 1),
    )


def _of_column(block: Predictions, want: Collection[str]) -> Rows:
    """Reduce two classes by the probability of class 1, without making a column for class 0."""
    labels = block.labels
    assert labels is not None
    positive = block.values[:, 0]
    negative = 1 - positive
    outcome = labels == 1
    predicted = positive > negative
    prob = log_prob = squares = None
    if "log_prob" in want or "prob" in want:
        # |p - 1| is 1 - p, rounding included; without a jump per row, a quarter of np.where's time
        prob = np.abs(positive - ~outcome).astype(np.float64)
    if "log_prob" in want and prob is not None:
        with np.errstate(divide="ignore"):
            log_prob = np.log(prob)
    if "squares" in want:
        wide = positive.astype(np.float64)
        squares = wide * wide + negative.astype(np.float64) ** 2
    confidence = np.maximum(positive, negative)
    of_pair = {"rank", "entropy", "ranked"} & set(want)
    pair = np.stack([negative, positive]) if of_pair else None
    ranked = _ranked(pair, 0, labels) if pair is not None and "ranked" in want else None
    return Rows(
        confidence=confidence,
        correct=predicted == outcome,
        positive=positive,
        outcome=outcome,
        log_prob=log_prob,
        prob=prob,
        squares=squares,
        weights=block.weights,
        labels=labels.astype(np.int32) if "labels" in want else None,
        predicted=predicted.astype(np.int32) if "predicted" in want else None,
        rank=None if pair is None else _rank(pair, 0, labels),
        entropy=None if pair is None else _entropy(pair, 0),
        ranked=ranked,
        ranked_mean=ranked,
    )


def _positive(piece: Predictions, values: Array, probs: Array, axis: int) -> Array:
    """Return P(class 1) of two classes; from logits in float64, in which 1 - 1e-8 is not 1."""
    if piece.kind != "logits":
        return _pick(probs, axis, np.ones(1, np.int64))
    first, second = (values[:, 0], values[:, 1]) if axis else (values[0], values[1])
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(first.astype(np.float64) - second)))


def _rank(values: Array, axis: int, labels: Array) -> Array:
    """Return how many classes come before the label: those with a higher value, and those with the
    same value and a lower id."""
    label_value = np.expand_dims(_pick(values, axis, labels), axis)
    before = np.count_nonzero(values > label_value, axis=axis)
    ties = values == label_value
    if np.count_nonzero(ties) > len(labels):  # more than each label with itself
        number = np.expand_dims(np.arange(values.shape[axis]), 1 - axis)
        before = before + (ties & (number < np.expand_dims(labels, axis))).sum(axis=axis)
    return np.asarray(before, dtype=np.int32)


def _entropy(probs: Array, axis: int) -> Array:
    """Return -sum p log p per row, with 0 log 0 = 0."""
    logs = np.log(probs, out=np.zeros_like(probs), where=probs > 0)
    return np.asarray(-np.einsum("ij,ij->i" if axis else "ij,ij->j", probs, logs), np.float64)


def _ranked(probs: Array, axis: int, labels: Array) -> Array:
    """Return the ranked probability score of each row."""
    total = np.zeros(len(labels))
    below = np.zeros(len(labels))
    for k in range(probs.shape[axis] - 1):
        below += probs[:, k] if axis else probs[k]
        total += (below - (labels <= k)) ** 2
    return total


def _softmax(
    values: Array, axis: int, predicted: Array, labels: Array
) -> tuple[Array, Array, Array]:
    """Return probabilities in the precision of the logits, and in float64 the confidence of
    `predicted` and the log-probability of `labels`.

    With the highest logit subtracted (which changes no probability), exponentials are at most 1,
    the confidence is 1 / total, and the log-probability needs no logarithm of a rounded
    probability: it stays finite where exp underflows.
    """
    if values.itemsize < 4:
        values = values.astype(np.float32)
    highest = _pick(values, axis, predicted)
    with np.errstate(under="ignore", over="ignore"):
        probs = values - np.expand_dims(highest, axis)
        np.exp(probs, out=probs)
        total = probs.sum(axis=axis, dtype=np.float64)  # in float32, 1 + 1e-8 would be 1
        probs *= np.expand_dims((1 / total).astype(probs.dtype), axis)
    gap = _pick(values, axis, labels).astype(np.float64) - highest.astype(np.float64)
    return probs, 1 / total, gap - np.log(total)


def _pick(values: Array, axis: int, index: Array) -> Array:
    """Return the value of one class per row; a single index stands for all rows."""
    if len(index) == 1:
        return np.array(values[:, index[0]] if axis else values[index[0]])
    rows = np.arange(len(index))
    return np.asarray(values[rows, index] if axis else values[index, rows])


def _argmax(values: Array, axis: int) -> Array:
    """Return the class with the highest value in each row, the first among equals."""
    if axis:
        return np.asarray(values.argmax(axis=1))
    # numpy's argmax along the first axis is slow: it jumps between classes for every row
    best = values[0].copy()
    where = np.zeros(len(best), np.int64)
    for k in range(1, len(values)):
        np.copyto(where, k, where=values[k] > best)
        np.maximum(best, values[k], out=best)
    return where
