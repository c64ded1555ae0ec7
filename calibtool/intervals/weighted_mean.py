"""The variance of a weighted mean, of independent rows or of correlated ones."""

from __future__ import annotations

import numpy as np

from calibtool.types import Array


def variance_of_mean(
    values: Array, weights: Array | None = None, cluster: Array | None = None
) -> float:
    """Return the variance of a weighted mean, by its formula: what replicates scatter by.

    Args:
        values: (N,), finite.
        weights: (N,), or None.
        cluster: (N,) numbers of the clusters that rows belong to, or None. With clusters, it is
            that of the sums per cluster (Liang & Zeger 1986).

    >>> variance_of_mean(np.array([0.0, 0.0, 2.0, 2.0]))
    0.25
    >>> variance_of_mean(np.array([0.0, 0.0, 2.0, 2.0]), cluster=np.array([0, 0, 1, 1]))
    0.5
    """
    share = np.full(len(values), 1 / len(values)) if weights is None else weights / weights.sum()
    off = values - share @ values
    if cluster is not None:
        return float((np.bincount(cluster, share * off) ** 2).sum())
    return float((share**2) @ off**2)
