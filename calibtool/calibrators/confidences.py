"""Confidences as a problem of two classes: class 1 is "right", class 0 is "wrong".

Of confidences alone, P(right) is known and the class is not. That is a two-class problem given by
the column of class 1, and calibrators of one score need no more: a temperature makes a confidence c
the sigmoid of logit(c) / T, a curve is one of c or of its log-odds. Calibrators of confidences hold
the map of that problem and have no classes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from calibtool.calibrators.fitted import digest_of
from calibtool.calibrators.registry import EVERY, METHODS
from calibtool.data.predictions import Predictions
from calibtool.errors import NotAvailableError, UsageError


def as_classes(predictions: Predictions) -> Predictions:
    """Return confidences as the two classes wrong and right; predictions of classes as they are.

    >>> p = as_classes(Predictions.from_confidence([0.9, 0.6], [True, False]))
    >>> p.values.tolist(), p.labels.tolist()
    ([[0.9], [0.6]], [1, 0])
    """
    if predictions.kind != "confidence":
        return predictions
    correct = predictions.correct
    return replace(
        predictions,
        kind="probs",
        # a confidence may exceed 1 by float rounding, and 1 - c must not be negative
        values=np.minimum(predictions.values, 1)[:, None],
        labels=None if correct is None else correct.astype(np.int64),
        correct=None,
        class_names=None,
    )


def fingerprint_of(predictions: Predictions) -> str:
    """Return the digest of labelled rows that a file keeps, so that the same rows are known again:
    by the calibrator fitted to them, and by what was chosen on them."""
    return digest_of(as_classes(predictions)).fingerprint


def as_before(before: Predictions, after: Predictions) -> Predictions:
    """Return what became of `as_classes(before)` in the form of `before`: confidences, with their
    hits."""
    if before.kind != "confidence":
        return after
    return replace(before, values=after.values[:, 0])


def require_one_score(source: str, method: str, options: dict[str, Any]) -> None:
    """Check that a method can be fitted to confidences with these options.

    Raises NotAvailableError for a method that needs whole rows, UsageError for an option that needs
    classes.
    """
    if not EVERY[method].to_confidences:
        raise NotAvailableError(
            f"{source}: only confidences are known, and fit-{method} needs whole rows of logits or "
            f"probabilities; {', '.join(confidence_methods())} can be fitted to confidences"
        )
    if options.get("multiclass") not in (None, "one-vs-rest"):
        raise UsageError(f"{source}: only confidences are known; --multiclass needs classes")
    if options.get("objective") not in (None, "nll"):
        raise UsageError(
            f"{source}: only confidences are known; --objective {options['objective']} needs "
            "classes, nll does not"
        )


def confidence_methods() -> list[str]:
    """Return the names of the calibrators that can be fitted to confidences."""
    return [name for name, entry in METHODS.items() if entry.to_confidences]
