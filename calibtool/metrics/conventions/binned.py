"""Bins: rows, mean score and rate of the outcome in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibtool.metrics.conventions.equal_width import Rule
from calibtool.types import Array


@dataclass(frozen=True, eq=False)
class Bins:
    """Non-empty bins, lowest first: rows, mean score, rate of the outcome; and all rows, N."""

    n: Array
    score: Array
    rate: Array
    rows: int

    @property
    def gap(self) -> Array:
        """|mean score - rate|."""
        return np.abs(self.score - self.rate)


def binned(score: Array, outcome: Array, rule: Rule, bins: int) -> Bins:
    """Put scores into bins."""
    index = rule(score, bins)
    kept = index >= 0
    if not kept.all():
        index, score, outcome = index[kept], score[kept], outcome[kept]
    n = np.bincount(index)
    used = n > 0
    mean_score = np.bincount(index, weights=score)[used] / n[used]
    rate = np.bincount(index[outcome != 0], minlength=len(n))[used] / n[used]
    return Bins(n[used].astype(np.float64), mean_score, rate, len(kept))


def netcal_bins(score: Array, outcome: Array, edges: Array) -> Bins:
    """Left-closed bins, counted between float64 edges (numpy) and averaged between edges in the
    scores' precision (scipy): a mean may stand beside the count of another bin."""
    bins = len(edges) - 1
    n = np.bincount(np.searchsorted(edges[1:-1], score, side="right"), minlength=bins)
    index = np.searchsorted(edges[1:-1].astype(score.dtype), score, side="right")
    own = np.maximum(np.bincount(index, minlength=bins), 1)
    mean_score = np.bincount(index, weights=score, minlength=bins) / own
    rate = np.bincount(index, weights=outcome, minlength=bins) / own
    used = n > 0
    return Bins(n[used].astype(np.float64), mean_score[used], rate[used], len(score))
