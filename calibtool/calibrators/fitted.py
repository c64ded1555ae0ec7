"""How a calibrator was fitted, kept beside its parameters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calibtool.checks import Array
from calibtool.predictions import Predictions


@dataclass(frozen=True)
class Fitted:
    """The record of a fit.

    Attributes:
        rows: how many rows it was fitted on.
        kind: what they were, "logits" or "probs"; empty if that is not known.
        objective: what was minimised, if it was one thing.
        nll_before, nll_after: mean negative log-likelihood of those rows, in nats, where the fit
            computes it. In-sample: not a result.
        gradient: the largest slope of what was minimised, where the search stopped.
        prior: (K,) shares of the classes.
        options: of the fit, by name.
        notes: what a user should know of this fit.
        fingerprint: of the data, by `fingerprint`.
    """

    rows: int = 0
    kind: str = ""
    objective: str = ""
    nll_before: float | None = None
    nll_after: float | None = None
    gradient: float | None = None
    prior: tuple[float, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    fingerprint: str = ""


def class_shares(predictions: Predictions) -> Array:
    """(K,) weight of each class among the labels, as a share."""
    assert predictions.labels is not None
    classes = int(predictions.classes or 0)
    counts = np.bincount(predictions.labels, predictions.weights, minlength=classes)
    return np.asarray(counts / counts.sum())


def fingerprint(predictions: Predictions) -> str:
    """A digest of the labels, the weights and each row's value at its label: enough to tell data
    sets apart, without reading every value again."""
    digest = hashlib.sha256(f"{predictions.kind} {predictions.values.shape}".encode())
    values, labels = predictions.values, predictions.labels
    if labels is not None:
        digest.update(labels.tobytes())
        column = np.minimum(labels, values.shape[1] - 1)
        digest.update(values[np.arange(len(labels)), column].tobytes())
    if predictions.weights is not None:
        digest.update(predictions.weights.tobytes())
    return f"sha256:{digest.hexdigest()}"
