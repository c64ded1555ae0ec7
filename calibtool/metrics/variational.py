"""The variational estimator of Lp calibration errors (Berta, Braun, Holzmüller et al. 2026).

With C = E[y | p], the error is E||C - p||_p. For any g, a function of p,

    E||C - p||_p >= E <s(g - p), y - p>,  s(d) the gradient of ||d||_p, 0 at d = 0,

with equality for g = C, since s lies in the unit ball of the dual norm and <s(d), d> = ||d||_p. So
g is fitted on four fifths of the rows, and the right side is the mean over the last fifth, five
times: noise makes g worse, and a worse g lowers the value. The folds are not stratified, as are
those of the authors' package (probmetrics): of 200 rows of ten calibrated classes, these made the
value 0.05 on average, since a class that is frequent by chance is so in every fold.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from calibtool.data.folds import plain_folds
from calibtool.errors import NotAvailableError
from calibtool.intervals.scipy_parts import isotonic_regression
from calibtool.metrics.kinds import MatrixMetric
from calibtool.types import Array

FOLDS = 5  # of the paper, and of the authors' package
# Most probabilities that are worked on: they take a few seconds. Of larger data, evenly spaced rows
# are used, LEAST at least.
MOST, LEAST = 5 * 10**6, 1000

Norm = Literal["1", "2", "inf"]
View = Literal["rows", "top", "positive"]
Side = Literal["both", "over", "under"]


def calibration_lp(
    probs: Array,
    labels: Array,
    weights: Array | None = None,
    *,
    p: Norm = "1",
    view: View = "rows",
    side: Side = "both",
) -> float:
    """Return the cross-fitted lower bound of E||E[y | p] - p||_p.

    g is isotonic regression, of several classes one against the rest and made to sum to 1, mixed
    with 1 / (n + 1) of the uniform distribution for n rows of the fit.

    Args:
        probs: (N, K).
        labels: (N,).
        weights: (N,), or None for 1 per row.
        p: the norm, for more than two classes; of one score all are the same.
        view: the whole rows, which of two classes are one score; or the confidence.
        side: of one score, only the part by which it is too far from 1/2, or too near.

    Raises NotAvailableError for fewer rows than folds, and for a side of whole rows.

    >>> probs = np.array([[0.1, 0.9]] * 40)  # a confidence of 0.9, right 3 times in 4
    >>> round(calibration_lp(probs, np.array([1, 1, 1, 0] * 10)), 6)
    0.15
    >>> calibration_lp(probs, np.array([1, 1, 1, 0] * 10), side="under")
    0.0
    """
    terms, w = row_terms(probs, labels, weights, p=p, view=view, side=side)
    return float(w @ terms / w.sum())


def of_confidences(
    confidence: Array, correct: Array, weights: Array | None, *, p: Norm, view: View, side: Side
) -> float:
    """Return the same of confidences alone, whose view is `top`: right or wrong are two classes."""
    if view != "top":
        raise NotAvailableError("needs whole probability rows; of confidences alone, add view=top")
    right = np.asarray(confidence, np.float64)
    probs = np.stack([1 - right, right], axis=1)
    return calibration_lp(probs, correct.astype(np.int64), weights, p=p, side=side)


def row_terms(
    probs: Array, labels: Array, weights: Array | None, *, p: Norm, view: View, side: Side
) -> tuple[Array, Array]:
    """Return <s(g - p), y - p> of the rows that are used, (n,), and their weights."""
    w = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    used = np.flatnonzero(w > 0)
    most = max(MOST // probs.shape[1], LEAST)
    used = used[np.linspace(0, len(used) - 1, min(len(used), most)).astype(np.intp)]
    if len(used) < FOLDS:
        raise NotAvailableError(f"at least {FOLDS} rows are needed")
    score, outcome = _problem(np.asarray(probs, np.float64)[used], labels[used], view)
    w = w[used]
    fitted = _cross_fitted(score, outcome, w)
    if score.shape[1] == 1:
        direction = np.sign(_one_side(fitted, score, side) - score)
    elif side == "both":
        direction = _gradient(fitted - score, p)
    else:
        raise NotAvailableError("a side needs one score per row; add view=top")
    hot = outcome[:, None] == (np.arange(score.shape[1]) if score.shape[1] > 1 else 1)
    return (direction * (hot - score)).sum(axis=1), w


def _problem(probs: Array, labels: Array, view: View) -> tuple[Array, Array]:
    """Return scores, (N, K) or (N, 1), and outcomes, (N,): the class, or whether it came true."""
    if view == "top":
        top = probs.argmax(axis=1)
        return probs.max(axis=1)[:, None], (top == labels).astype(np.int64)
    if probs.shape[1] == 2:
        return probs[:, 1:], labels
    if view == "positive":
        raise NotAvailableError(f"the positive view needs two classes (got {probs.shape[1]})")
    return probs, labels


def _cross_fitted(score: Array, outcome: Array, weights: Array) -> Array:
    """Return g of each row, fitted on the rows of the other folds, in the shape of `score`."""
    fold = plain_folds(len(score), FOLDS, seed=0)
    out = np.empty_like(score)
    classes = score.shape[1]
    for k in range(classes):
        order = np.argsort(score[:, k], kind="stable")
        x, w = score[order, k], weights[order]
        y = w * (outcome[order] == (k if classes > 1 else 1))
        for f in range(FOLDS):
            fit, at = fold[order] != f, order[fold[order] == f]
            out[at, k] = isotonic_curve(x[fit], y[fit], w[fit], score[at, k])
    if classes > 1:
        total = out.sum(axis=1, keepdims=True)
        out = np.divide(out, total, out=np.full_like(out, 1 / classes), where=total > 0)
    share = 1 / (np.array([weights[fold != f].sum() for f in range(FOLDS)]) + 1)
    uniform = share[fold][:, None]
    return np.asarray((1 - uniform) * out + uniform / max(classes, 2))


def isotonic_curve(x: Array, y: Array, weights: Array, at: Array) -> Array:
    """Return the isotonic regression of outcomes on rising scores x, at other scores: straight
    between the fitted ones, constant beyond them.

    Args:
        x: (n,) rising.
        y: (n,) weight of the outcomes.
        weights: (n,) of the rows, positive.
        at: where it is wanted.

    >>> isotonic_curve(np.array([0.2, 0.4]), np.array([0.0, 1.0]), np.ones(2), np.array([0.3]))
    array([0.5])
    """
    first = np.flatnonzero(np.diff(x, prepend=-np.inf) > 0)
    n = np.add.reduceat(weights, first)
    fitted, _ = isotonic_regression(np.add.reduceat(y, first) / n, n)
    return np.asarray(np.interp(at, x[first], fitted))


def _one_side(fitted: Array, score: Array, side: Side) -> Array:
    """Return g where it lies on one side of the scores, and the scores elsewhere.

    Towards 1/2 for "over", away from it for "under"; a score of 1/2 has no side.
    """
    if side == "both":
        return fitted
    nearer = np.sign(fitted - score) == np.sign(0.5 - score)
    there = nearer if side == "over" else ~nearer
    return np.where(there & (score != 0.5), fitted, score)


def _gradient(d: Array, p: Norm) -> Array:
    """Return the gradient of the norm of each row, 0 where the row is."""
    if p == "1":
        return np.sign(d)
    if p == "2":
        length = np.linalg.norm(d, axis=1, keepdims=True)
        return np.divide(d, length, out=np.zeros_like(d), where=length > 0)
    largest = np.abs(d).argmax(axis=1)[:, None]
    out = np.zeros_like(d)
    np.put_along_axis(out, largest, np.sign(np.take_along_axis(d, largest, axis=1)), axis=1)
    return out


def limits(*, p: Norm = "1", view: View = "rows", side: Side = "both") -> tuple[float, float]:
    """Return the range: |<s, y - p>| is at most the norm of y - p, the distance of two corners at
    most; of one score 1."""
    most = 1.0 if view != "rows" else {"1": 2.0, "2": math.sqrt(2), "inf": 1.0}[p]
    return -most, most


CALIBRATION_LP = MatrixMetric(
    "calibration-lp",
    "Variational Lp calibration error",
    "mean of <gradient of |g - p|_p, y - p>, g isotonic regression fitted on the other folds",
    "Berta et al. 2026 (arXiv 2602.24230)",
    calibration_lp,
    ideal=0,
    least=-2,
    most=2,
    limits=limits,
    of_confidences=of_confidences,
    below=True,
    sees="whole probability vectors of any number of classes, without bins, and on average never "
    "too much: noise lowers it. With `side`, over- and underconfidence apart",
    blind="errors that g misses: curves that fall, and mixtures of classes beyond one against the "
    "rest. It can lie below 0 where there is nothing to find",
)
