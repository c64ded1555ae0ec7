"""Risk-coverage and rejection: how well confidence orders rows."""

from __future__ import annotations

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.types import Array


def kept_accuracy(score: Array, outcome: Array) -> float:
    """Return the mean over n from 1 to N of the accuracy of the n most confident rows.

    >>> kept_accuracy(np.array([0.9, 0.8]), np.array([1, 0]))
    0.75
    """
    return float(_accuracies(score, outcome).mean())


def first_tenth(score: Array, outcome: Array) -> float:
    """Return the accuracy of the int(N / 10) + 1 most confident rows.

    >>> first_tenth(np.array([0.9, 0.8] * 5), np.array([1, 0] * 5))
    1.0
    """
    return float(_accuracies(score, outcome)[int(0.1 * len(score))])


def rejection(
    score: Array, outcome: Array, *, most: float = 1.0, normalized: bool = False
) -> float:
    """Return LM-Polygraph's area under the accuracy of the rows that are kept.

    That is the mean over the numbers of rejected rows from 0 up to less than a share `most`. With
    `normalized`, what a random order gives is taken off, and the rest is a share of what that takes
    off the best order. Outcomes that are all equal are 0.5 there, and nothing is taken off.

    >>> rejection(np.array([0.9, 0.8]), np.array([1, 0]))
    0.75
    >>> rejection(np.array([0.8, 0.9]), np.array([1, 0]), normalized=True)
    -1.0
    """
    counted = int(most * len(score))
    if not counted:
        raise NotAvailableError("gives NaN for one row")
    if outcome.all() or not outcome.any():
        return 0.5
    area = float(_accuracies(score, outcome)[-counted:].mean())
    if not normalized:
        return area
    best = float(_accuracies(outcome, outcome)[-counted:].mean())
    random = float(outcome.mean())
    return (area - random) / (best - random)


def _accuracies(score: Array, outcome: Array) -> Array:
    """Return the accuracy of the n most confident rows, n from 1 to N; ties in file order."""
    order = np.argsort(-score.astype(np.float64), kind="stable")
    return np.asarray(np.cumsum(outcome[order]) / np.arange(1, len(order) + 1))


def aurc(confidence: Array, correct: Array, *, generalised: bool = False) -> float:
    """Return the area under the error rate of the n most confident rows, n from 1 to N.

    By trapezoids; with `generalised`, the error rate is multiplied by the share of the rows (Traub
    et al. 2024).
    """
    rows = len(confidence)
    if rows < 2:
        raise NotAvailableError("gives NaN for one row")
    share = np.arange(1, rows + 1) / rows
    wrong = ~correct[np.argsort(-confidence.astype(np.float64), kind="stable")]
    risk = np.cumsum(wrong) / np.arange(1, rows + 1) * (share if generalised else 1)
    return float(np.trapezoid(risk, share) / (1 - 1 / rows))
