"""Scores: a function of the rows returns one value per row, the metric is its weighted mean.

Every function returns (N,) values, True counting as 1. Those that need whole rows of probabilities
raise NotAvailableError where only confidences are known.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal

import numpy as np

from calibtool.data.rows import Rows
from calibtool.errors import WHOLE_ROWS, NotAvailableError
from calibtool.metrics.kinds import Score
from calibtool.types import Array

REFITTED = "needs whole probability rows in memory, and enough rows to fit"
# "auto" is "half" for two classes and in views with one score per row, "sum" otherwise
Scale = Literal["auto", "sum", "half"]


def accuracy(rows: Rows) -> Array:
    """Return True where the predicted class (the first of the highest) is the label, or the most
    likely one of a soft label."""
    return rows.correct if rows.hit is None else rows.hit


def confidence(rows: Rows) -> Array:
    """Return the probability of the predicted class."""
    return rows.confidence


def nll(rows: Rows) -> Array:
    """Return -log p(label), natural logarithm, not clipped (Good 1952)."""
    return -_known(rows.log_prob)


def nll_of_view(rows: Rows, view: str) -> Array:
    """Return -log of the probability that a view's score gave to what happened, not clipped.

    For two classes that is -log p(label) in either view.
    """
    score, outcome = rows.view(view)
    if rows.positive is not None and rows.log_prob is not None:
        return -rows.log_prob  # of logits it is finite where the score rounds to 1
    score = np.minimum(score.astype(np.float64), 1)  # float32 rows may exceed 1 by rounding
    with np.errstate(divide="ignore"):
        return -np.where(outcome, np.log(score), np.log1p(-score))


def brier(rows: Rows, *, scale: Scale = "auto") -> Array:
    """Return (p - y)^2 for two classes, the sum over classes of (p - [class is the label])^2 for
    more (Brier 1950).

    That is scikit-learn's `scale_by_half="auto"`: half the sum of the two classes, whose terms are
    equal. `scale=sum` and `scale=half` are the sum, 0 to 2, and half of it, for any number of
    classes.
    """
    two = rows.positive is not None
    half = scale == "half" or (two and scale == "auto")
    if two:
        terms = (1 - _known(rows.prob)) ** 2
        if half and rows.spread is None:
            return terms
        total = terms * 2
    else:
        total = _known(rows.squares) - 2 * _known(rows.prob) + 1
    if rows.spread is not None:
        # the mean of |p - e_k|^2 over the outcomes of q is |p - q|^2 and the spread of q
        total = total - rows.spread
    return np.asarray(total / 2 if half else total)


def kl(rows: Rows) -> Array:
    """Return -log p(label), less the entropy of a soft label: its mean over the outcomes of the
    label's distribution q is KL(q || p) (Kullback & Leibler 1951)."""
    return nll(rows) - (0.0 if rows.label_entropy is None else rows.label_entropy)


def brier_of_view(rows: Rows, view: str, *, scale: Scale = "auto") -> Array:
    """Return (score - outcome)^2 in a view, or with `scale=sum` twice that."""
    score, outcome = rows.view(view)
    if rows.positive is not None and rows.prob is not None:
        return brier(rows, scale=scale)  # two classes: |score - outcome| is 1 - p(label)
    return np.asarray((score.astype(np.float64) - outcome) ** 2 * (2 if scale == "sum" else 1))


def spherical(rows: Rows) -> Array:
    """Return p(label) over the root of the sum of squares of the row (Good 1971); 0 to 1."""
    return np.asarray(_known(rows.prob) / np.sqrt(_known(rows.squares)))


def entropy(rows: Rows) -> Array:
    """Return the entropy of each row, -sum of p ln p over the classes, in nats."""
    return _known(rows.entropy)


def certainty(rows: Rows, *, by: Literal["confidence", "entropy"] = "confidence") -> Array:
    """Return the confidence, or exp(-entropy), which lies in [0, 1] and orders rows as -entropy."""
    return rows.confidence if by == "confidence" else np.exp(-entropy(rows))


def top_k(rows: Rows, *, k: int = 5) -> Array:
    """Return True where fewer than k classes rank above the label; lower classes win ties."""
    return np.asarray(_known(rows.rank) < k)


def refinement(rows: Rows) -> Array:
    """Return -log p(label) after recalibration on the other folds."""
    return -_recalibrated(rows)


def calibration(rows: Rows) -> Array:
    """Return how much recalibration on the other folds reduces -log p(label)."""
    return nll(rows) + _recalibrated(rows)


def calibration_reach(value: float, rows: float, level: float) -> tuple[float, float]:
    """Return an interval of the gain that the best value of one parameter would bring.

    Twice the total gain of n rows, on the rows that the parameter was fitted to, is chi-squared
    with one degree of freedom, non-central where there is something to gain (Wilks 1938; Wald
    1943): its root is about normal with variance 1, around the root of twice the true total gain.
    Rows that the parameter was not fitted to gain 1 / n less per row, which is added back.

    Args:
        value: the measured gain per row, on rows not fitted to.
        rows: the number of rows, n.
        level: of the interval.

    >>> low, high = calibration_reach(0.0, 1000.0, 0.95)
    >>> low, round(high, 4)
    (0.0, 0.0057)
    """
    root = math.sqrt(max(2 * rows * value + 2, 0.0))
    width = NormalDist().inv_cdf((1 + level) / 2)
    low, high = max(root - width, 0.0), root + width
    return low**2 / (2 * rows), high**2 / (2 * rows)


def _known(column: Array | None) -> Array:
    """Return a column of `Rows`. Raises NotAvailableError if the predictions do not tell it."""
    if column is None:
        raise NotAvailableError(WHOLE_ROWS)
    return column


def _recalibrated(rows: Rows) -> Array:
    """Return log p(label) after recalibration on the other folds."""
    if rows.refined is None:
        raise NotAvailableError(REFITTED)
    return rows.refined


PROPER: tuple[Score, ...] = (
    Score(
        "nll",
        "Negative log-likelihood",
        "mean of -ln p(y), in nats, not clipped",
        "Good 1952",
        nll,
        of_view=nll_of_view,
        needs=("log_prob",),
        ideal=0,
        least=0,
        sees="calibration and sharpness together; confident mistakes most",
        blind="which of the two moved it",
    ),
    Score(
        "brier",
        "Brier score",
        "mean of (p - y)^2 for two classes, of the sum of (p_k - [y = k])^2 for more",
        "Brier 1950; scikit-learn's scale_by_half",
        brier,
        of_view=brier_of_view,
        needs=("prob", "squares"),
        needs_of_many=("squares",),
        ideal=0,
        least=0,
        most=2,
        sees="calibration and sharpness together, at most 1 per row of two classes, 2 of more",
        blind="which of the two moved it",
    ),
    Score(
        "spherical",
        "Spherical score",
        "mean of p(y) / root of the sum of p_k^2; 0 to 1",
        "Good 1971",
        spherical,
        better="higher",
        needs=("prob", "squares"),
        ideal=1,
        least=0,
        most=1,
        sees="calibration and sharpness together",
        blind="which of the two moved it",
    ),
)
KL = Score(
    "kl",
    "Kullback-Leibler divergence",
    "NLL less the entropy of soft labels: mean of sum q_k ln(q_k / p_k)",
    "Kullback & Leibler 1951",
    kl,
    needs=("log_prob",),
    ideal=0,
    least=0,
    sees="how far predicted distributions are from those of soft labels",
    blind="with labels of one class each it is the NLL",
)
RECALIBRATION: tuple[Score, ...] = (
    Score(
        "calibration-loss",
        "Calibration error of the NLL",
        "NLL - NLL after temperature scaling fitted on the other folds",
        "Berta et al. 2025",
        calibration,
        ideal=0,
        needs=("refined", "log_prob"),
        reach=calibration_reach,
        sees="what recalibration would gain on rows that it was not fitted on",
        blind="errors that no temperature corrects; below 0 where it costs more than it gains",
    ),
    Score(
        "refinement-loss",
        "Refinement error of the NLL",
        "NLL after temperature scaling fitted on the other folds",
        "Berta et al. 2025",
        refinement,
        needs=("refined",),
        ideal=0,
        least=0,
        sees="the loss that recalibration leaves",
        blind="miscalibration that a temperature can correct",
    ),
)
CONFIDENCE: tuple[Score, ...] = (
    Score(
        "entropy",
        "Predictive entropy",
        "mean of - sum p_k ln p_k, in nats",
        "Shannon 1948",
        entropy,
        better="",
        needs=("entropy",),
        least=0,
        sees="how uncertain the predictions are",
        blind="whether they are right",
    ),
    Score(
        "mean-confidence",
        "Mean confidence",
        "mean of max p",
        "Hendrycks & Gimpel 2017",
        confidence,
        better="",
        needs=("confidence",),
        least=0,
        most=1,
        sees="how confident the model is",
        blind="whether it is right",
    ),
)
ACCURACY: tuple[Score, ...] = (
    Score(
        "accuracy",
        "Accuracy",
        "mean of [argmax p = y], the first class among equals",
        "Fawcett 2006",
        accuracy,
        better="higher",
        needs=("correct",),
        ideal=1,
        least=0,
        most=1,
        sees="how often the top label is right",
        blind="probabilities",
    ),
    Score(
        "top-k-accuracy",
        "Top-k accuracy",
        "share of the rows whose label is among the k highest",
        "Russakovsky et al. 2015",
        top_k,
        better="higher",
        needs=("rank",),
        ideal=1,
        least=0,
        most=1,
        sees="whether the label is among the best k",
        blind="probabilities",
    ),
)
