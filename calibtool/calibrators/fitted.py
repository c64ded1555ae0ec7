"""The record of a fit, which is kept beside the parameters in a calibrator file."""

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
        rows: the number of rows that were fitted on.
        kind: the kind of their values, "logits", "probs" or "confidence"; empty if
            unknown.
        objective: what was minimised; empty if the fit minimises no single objective.
        nll_before, nll_after: mean negative log-likelihood of those rows in nats, before and after,
            where the fit computes it. In-sample, so not an estimate for other rows.
        gradient: the largest slope of the objective where the search stopped.
        prior: (K,) shares of the classes.
        options: of the fit, by name.
        notes: what a user should know about this fit, one sentence each.
        fingerprint: of the data, see `Digest.fingerprint`.
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
    """Rows, class shares and fingerprint of labelled predictions, added block by block in order."""

    def __init__(self, classes: int, kind: str) -> None:
        self.rows = 0
        self.kind = kind
        self.counts = np.zeros(classes)
        self._width = 0
        self._hashes = [hashlib.sha256() for _ in range(3)]

    def add(self, block: BlockDigest) -> None:
        """Add the next block."""
        self.rows += block.rows
        self.counts = self.counts + block.counts
        self._width = block.width
        for digest, column in zip(self._hashes, block.bytes, strict=True):
            digest.update(column)

    @property
    def shares(self) -> Array:
        """(K,) share of each class in the weight of all rows."""
        return np.asarray(self.counts / self.counts.sum())

    @property
    def fingerprint(self) -> str:
        """A digest of the labels, the weights and each row's value at its label.

        These are enough to tell data sets apart, and are hashed much faster than all K values.
        Three hashes, one per column, make the result independent of the blocks.
        """
        digest = hashlib.sha256(f"{self.kind} {(self.rows, self._width)}".encode())
        for column in self._hashes:
            digest.update(column.digest())
        return f"sha256:{digest.hexdigest()}"


class BlockDigest(NamedTuple):
    """A block's part of a digest; `bytes` are of labels, of values at the labels, of weights."""

    rows: int
    width: int
    counts: Array
    bytes: tuple[bytes, bytes, bytes]


def block_digest(block: Predictions) -> BlockDigest:
    """Return what a block of labelled predictions adds to a digest."""
    values, labels, weights = block.values, block.labels, block.weights
    assert labels is not None
    counts = np.bincount(labels, weights, minlength=int(block.classes or 0))
    at = values[np.arange(len(labels)), np.minimum(labels, values.shape[1] - 1)]
    columns = (labels.tobytes(), at.tobytes(), b"" if weights is None else weights.tobytes())
    return BlockDigest(len(labels), values.shape[1], counts, columns)


def digest_of(predictions: Predictions) -> Digest:
    """Return the digest of predictions in memory."""
    digest = Digest(int(predictions.classes or 0), predictions.kind)
    digest.add(block_digest(predictions))
    return digest


def class_shares(predictions: Predictions) -> Array:
    """Return the (K,) share of each class in the weight of all rows."""
    assert predictions.labels is not None
    classes = int(predictions.classes or 0)
    counts = np.bincount(predictions.labels, predictions.weights, minlength=classes)
    return np.asarray(counts / counts.sum())
