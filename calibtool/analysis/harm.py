"""Harm: proper scores that a calibrator makes worse."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TypeAlias

import numpy as np

from calibtool.intervals.weighted_mean import variance_of_mean
from calibtool.types import Array

# proper scores of each row, (N,) each, by name
Losses: TypeAlias = dict[str, Array]


def harmed(
    before: Losses,
    after: Losses,
    *,
    weights: Array | None,
    level: float,
    cluster: Array | None = None,
) -> str:
    """Return the names of the scores that are worse after a calibrator beyond chance: "nll, brier".

    Args:
        before, after: the scores of each row.
        weights: (N,), or None.
        level: of the intervals of the changes.
        cluster: (N,) numbers of the clusters that rows belong to, or None.

    >>> before = {"nll": np.tile([0.3, 0.5], 50)}
    >>> harmed(before, {"nll": before["nll"] + 0.1}, weights=None, level=0.95)
    'nll'
    """
    names = (n for n in after if _is_worse(before[n], after[n], weights, level, cluster))
    return ", ".join(names)


def _is_worse(
    before: Array, after: Array, weights: Array | None, level: float, cluster: Array | None
) -> bool:
    """Return whether a mean loss grew beyond chance: the low end of the normal interval of the mean
    paired difference lies above 0.

    A loss that is infinite in some row, and was in none, is worse.
    """
    w = np.ones(len(before)) if weights is None else np.asarray(weights, np.float64)
    cluster = None if cluster is None else cluster[w > 0]
    before, after, w = before[w > 0], after[w > 0], w[w > 0]
    if not np.isfinite(after).all():
        return bool(np.isfinite(before).all())
    if not np.isfinite(before).all():
        return False
    change = np.asarray(after, np.float64) - before
    mean = float(np.average(change, weights=w))
    error = math.sqrt(variance_of_mean(change, w, cluster))
    return mean - NormalDist().inv_cdf((1 + level) / 2) * error > 0
