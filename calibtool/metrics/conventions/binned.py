"""Bins: the rows of each, their mean score and their outcome rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibtool.metrics.conventions.equal_width import Rule
from calibtool.types import Array


@dataclass(frozen=True, eq=False)
class Bins:
    """Non-empty bins, lowest first.

    Attributes:
        n: (B,) the number of rows of each bin.
        score: (B,) their mean score.
        rate: (B,) their outcome rate.
        rows: the number of all rows, N, those in no bin included.
    """

    n: Array
    score: Array
    rate: Array
    rows: int

    @property
    def gap(self) -> Array:
        """|mean score - rate| of each bin."""
        return np.abs(self.score - self.rate)


def binned(score: Array, outcome: Array, rule: Rule, bins: int) -> Bins:
    """Return the bins of scores by a rule; rows that it drops count only in `rows`."""
    index = rule(score, bins)
    inside = index >= 0
    if not inside.all():
        index, score, outcome = index[inside], score[inside], outcome[inside]
    n = np.bincount(index)
    used = n > 0
    mean_score = np.bincount(index, weights=score)[used] / n[used]
    rate = np.bincount(index[outcome != 0], minlength=len(n))[used] / n[used]
    return Bins(n[used].astype(np.float64), mean_score, rate, len(inside))


def binned_single(score: Array, outcome: Array, rule: Rule, bins: int) -> Bins:
    """Return the bins of scores in float32, summed one row after the other as torch's scatter_add
    does: over many rows that shows."""
    score = score.astype(np.float32, copy=False)
    index = rule(score, bins)
    sums = np.zeros((3, bins), np.float32)
    for line, values in zip(sums, (np.ones_like(score), score, outcome), strict=True):
        np.add.at(line, index, values.astype(np.float32, copy=False))
    n, score_sum, outcome_sum = sums[:, sums[0] > 0]
    return Bins(n, score_sum / n, outcome_sum / n, len(score))


def netcal_bins(score: Array, outcome: Array, edges: Array) -> Bins:
    """Return net:cal's left-closed bins.

    Rows are counted between float64 edges (numpy) and averaged between edges in the scores' own
    precision (scipy), as there: a score on an edge may be counted in one bin and averaged in
    another.
    """
    bins = len(edges) - 1
    n = np.bincount(np.searchsorted(edges[1:-1], score, side="right"), minlength=bins)
    index = np.searchsorted(edges[1:-1].astype(score.dtype), score, side="right")
    averaged = np.maximum(np.bincount(index, minlength=bins), 1)
    mean_score = np.bincount(index, weights=score, minlength=bins) / averaged
    rate = np.bincount(index, weights=outcome, minlength=bins) / averaged
    used = n > 0
    return Bins(n[used].astype(np.float64), mean_score[used], rate[used], len(score))
