"""How a calibrator was fitted, kept beside its parameters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from calibtool.predictions import Predictions


@dataclass(frozen=True)
class Fitted:
    """The record of a fit.

    Attributes:
        rows: how many rows it was fitted on.
        objective: what was minimised.
        nll_before, nll_after: mean negative log-likelihood of those rows, in nats. In-sample: not
            a result.
        fingerprint: of the data, by `fingerprint`.
    """

    rows: int = 0
    objective: str = ""
    nll_before: float | None = None
    nll_after: float | None = None
    fingerprint: str = ""


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
