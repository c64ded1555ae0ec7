"""Simulated predictions whose truth is known."""

from __future__ import annotations

import numpy as np

from calibtool import Predictions


def simulate(rows: int, classes: int, *, scale: float = 2.0, seed: int = 0) -> Predictions:
    """Logits reported `scale` times as large as they are: overconfident above 1."""
    rng = np.random.Generator(np.random.PCG64(seed))
    true = 1.5 * rng.standard_normal((rows, classes))
    probs = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    labels = (probs.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, classes - 1)
    return Predictions.from_logits(scale * true, labels)
