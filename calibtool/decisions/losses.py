"""Losses: what a target makes of each row, its score, its loss and its weight."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.data.rows import Rows, reduce_rows
from calibtool.data.slicing import labelled
from calibtool.decisions.costs import Costs
from calibtool.decisions.target import Target
from calibtool.errors import NotAvailableError, UsageError
from calibtool.types import Array


@dataclass(frozen=True, eq=False)
class Losses:
    """The rows that decide about a target, as its threshold sees them.

    Attributes:
        scores: (n,) float64; rows with a score above a threshold are accepted. For an NPV, of
            which low ones are, they are negative.
        losses: (n,) in [0, 1].
        weights: (n,) positive, or None.
        counts: (n,) whether a row counts: of a recall, only those of class 1 do.
        unit: the cost of a loss of 1; 1 but for costs.
    """

    scores: Array
    losses: Array
    weights: Array | None
    counts: Array
    unit: float = 1.0

    def take(self, index: Array) -> Losses:
        """Return the rows at an index array or a mask."""
        weights = None if self.weights is None else self.weights[index]
        return replace(
            self,
            scores=self.scores[index],
            losses=self.losses[index],
            weights=weights,
            counts=self.counts[index],
        )


def losses_of(predictions: Predictions, target: Target, costs: Costs | None) -> Losses:
    """Return the losses of labelled predictions.

    Raises NotAvailableError where there are no labels, or no class for a target that needs one;
    UsageError for a cost without costs.
    """
    known = predictions.correct if predictions.kind == "confidence" else predictions.labels
    if known is None:
        raise NotAvailableError(
            f"{predictions.source}: has no labels; a threshold is chosen on labelled rows"
        )
    rows = decided(predictions)
    right = rows.correct.astype(np.float64)
    everything = np.ones(len(right), bool)
    scores = scores_of(predictions, rows, target)
    weights = predictions.weights
    if target.name in ("accuracy", "risk"):
        return Losses(scores, 1 - right, weights, everything)
    if target.name == "cost":
        if costs is None:
            raise UsageError(f"target {target.text!r}: needs costs; give --cost costs.toml")
        each = costs.of_decisions(predictions, rows)
        return Losses(scores, each / costs.largest, weights, everything, costs.largest)
    assert rows.outcome is not None
    outcome = rows.outcome.astype(np.float64)
    if target.name == "recall":
        return Losses(scores, outcome, weights, rows.outcome)
    return Losses(scores, outcome if target.name == "npv" else 1 - outcome, weights, everything)


def decided(predictions: Predictions) -> Rows:
    """Return the confidence, P(class 1) and predicted class of each row, with or without labels."""
    if predictions.kind == "confidence" and predictions.correct is None:
        predictions = replace(predictions, correct=np.zeros(predictions.rows, bool))
    return reduce_rows(labelled(predictions), want=["predicted"])


def scores_of(predictions: Predictions, rows: Rows, target: Target) -> Array:
    """Return the score that a target's threshold is compared with, (N,) float64.

    Raises NotAvailableError where P(class 1) is needed and not known.
    """
    if target.subject.accepts == "confident":
        return np.asarray(rows.confidence, np.float64)
    if rows.positive is None:
        held = f"{predictions.classes} classes" if predictions.classes else "confidences alone"
        raise NotAvailableError(
            f"{predictions.source}: target {target.text!r} is about class 1 of two classes, and "
            f"this file holds {held}; accuracy and risk are about the predicted class"
        )
    sign = -1.0 if target.subject.accepts == "low" else 1.0
    return np.asarray(sign * rows.positive.astype(np.float64))
