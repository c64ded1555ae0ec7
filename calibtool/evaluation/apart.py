"""Apart: how far two gaps of the same rows are apart, and which rows vary together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from calibtool.types import Array


class Apart(NamedTuple):
    """How far two gaps are apart: the norm of their difference, and the largest standard deviation
    of a function in its dual."""

    distance: float
    spread: float


@dataclass(frozen=True, eq=False)
class Together:
    """Which rows are drawn together, and their weights.

    Attributes:
        weights: (N,) or None for 1 each.
        cluster: (N,) the number of each row's cluster; None for independent rows.
        rows: N.
    """

    weights: Array | None
    cluster: Array | None
    rows: int

    @property
    def shares(self) -> Array:
        """Each row's share of all weight, (N,)."""
        if self.weights is None:
            return np.full(self.rows, 1 / self.rows)
        return np.asarray(self.weights / self.weights.sum())

    def summed(self, values: Array) -> Array:
        """Return for each row the sum of the values, (N,), of the rows drawn with it."""
        if self.cluster is None:
            return values
        return np.asarray(np.bincount(self.cluster, values)[self.cluster])

    def of(self, rows: Array | None) -> Together:
        """Return the same of some of the rows, whose shares are those among them."""
        if rows is None:
            return self
        weights, cluster = (None if x is None else x[rows] for x in (self.weights, self.cluster))
        return Together(weights, cluster, len(rows))
