"""Scores: per-row quantities whose weighted mean is the metric: NLL, Brier, accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibtool.checks import Array


@dataclass(frozen=True)
class Scores:
    """A weighted sum that adds up over blocks.

    >>> float((Scores(3.0, 2.0) + Scores(1.0, 2.0)).mean)
    1.0
    """

    total: float
    weight: float

    @classmethod
    def from_rows(cls, values: Array, weights: Array | None = None) -> Scores:
        if weights is None:
            return cls(float(values.sum(dtype=np.float64)), float(len(values)))
        keep = weights > 0  # an infinite score of weight 0 counts for nothing
        return cls(float((values[keep] * weights[keep]).sum()), float(weights.sum()))

    def __add__(self, other: Scores) -> Scores:
        return Scores(self.total + other.total, self.weight + other.weight)

    @property
    def mean(self) -> float:
        return self.total / self.weight
