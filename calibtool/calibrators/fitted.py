"""How a calibrator was fitted, kept beside its parameters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.types import Array


@dataclass(frozen=True)
class FitRecord:
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
        fingerprint: of the data, by `Digest`.
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


class Digest:
    """Rows, class shares and fingerprint of predictions that come in blocks, in their order."""

    def __init__(self, classes: int, kind: str) -> None:
        self.rows = 0
        self.kind = kind
        self.counts = np.zeros(classes)
        self._width = 0
        self._hashes = [hashlib.sha256() for _ in range(3)]

    def add(self, parts: Parts) -> None:
        """The next block, as `parts_of` it."""
        self.rows += parts.rows
        self.counts = self.counts + parts.counts
        self._width = parts.width
        for own, part in zip(self._hashes, parts.bytes, strict=True):
            own.update(part)

    @property
    def shares(self) -> Array:
        """(K,) weight of each class among the labels, as a share."""
        return np.asarray(self.counts / self.counts.sum())

    @property
    def fingerprint(self) -> str:
        """A digest of the labels, the weights and each row's value at its label: enough to tell
        data sets apart."""
        digest = hashlib.sha256(f"{self.kind} {(self.rows, self._width)}".encode())
        for own in self._hashes:
            digest.update(own.digest())
        return f"sha256:{digest.hexdigest()}"


class Parts(NamedTuple):
    """What a block leaves for the digest; bytes of labels, of values at them, of weights."""

    rows: int
    width: int
    counts: Array
    bytes: tuple[bytes, bytes, bytes]


def parts_of(block: Predictions) -> Parts:
    """What a block of labelled predictions leaves."""
    values, labels, weights = block.values, block.labels, block.weights
    assert labels is not None
    counts = np.bincount(labels, weights, minlength=int(block.classes or 0))
    at = values[np.arange(len(labels)), np.minimum(labels, values.shape[1] - 1)]
    own = b"" if weights is None else weights.tobytes()
    return Parts(len(labels), values.shape[1], counts, (labels.tobytes(), at.tobytes(), own))


def digest_of(predictions: Predictions) -> Digest:
    """The digest of predictions in memory."""
    digest = Digest(int(predictions.classes or 0), predictions.kind)
    digest.add(parts_of(predictions))
    return digest


def class_shares(predictions: Predictions) -> Array:
    """(K,) weight of each class among the labels, as a share."""
    assert predictions.labels is not None
    classes = int(predictions.classes or 0)
    counts = np.bincount(predictions.labels, predictions.weights, minlength=classes)
    return np.asarray(counts / counts.sum())
