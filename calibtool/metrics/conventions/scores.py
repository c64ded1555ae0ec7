"""Proper scores: squared errors and log-losses."""

from __future__ import annotations

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.metrics.conventions.inputs import Of
from calibtool.types import Array


def squared(score: Array, outcome: Array) -> float:
    """Return the mean (p - y)^2."""
    return float(np.mean((score.astype(np.float64) - outcome) ** 2))


def squared_sum(probs: Array, labels: Array) -> float:
    """Return the mean over rows of the sum over classes of (p_k - [y = k])^2.

    Of one column it is the mean (p - y)^2.
    """
    if probs.ndim == 1:
        return squared(probs, labels)
    return float(probs.shape[1] * squared_mean(probs, labels))


def squared_mean(probs: Array, labels: Array) -> float:
    """Return the mean over rows and classes of (p_k - [y = k])^2."""
    return squared(probs, labels[:, None] == np.arange(probs.shape[1]))


def squared_binary_halved(probs: Array, labels: Array) -> float:
    """Return `squared_sum`, halved for rows of two classes."""
    total = squared_sum(probs, labels)
    return total / 2 if probs.ndim == 2 and probs.shape[1] == 2 else total


def log_loss(probs: Array, labels: Array) -> float:
    """Return the mean of -ln p(label), p clipped to [eps, 1 - eps], eps of the precision."""
    eps = float(np.finfo(probs.dtype).eps)
    return _nll(np.clip(probs, eps, 1 - eps), labels)


def nll(probs: Array, labels: Array) -> float:
    """Return the mean of -ln p(label), not clipped."""
    return _nll(probs, labels)


def _nll(probs: Array, labels: Array) -> float:
    """Return the mean of -ln p(label) of one column or of rows, summed in float64."""
    if probs.ndim == 1:
        picked = np.where(labels == 1, probs, 1 - probs)
    else:
        picked = probs[np.arange(len(probs)), labels]
    return float(-np.mean(np.log(picked.astype(np.float64))))


def require_all_classes(of: Of) -> Of:
    """Return `of` for a library that raises an error where a class has no row."""

    def checked(probs: Array, labels: Array) -> float:
        classes = 2 if probs.ndim == 1 else probs.shape[1]
        if len(np.unique(labels)) < classes:
            raise NotAvailableError(
                "raises ValueError if the labels are not passed and a class has no rows"
            )
        return of(probs, labels)

    return checked
