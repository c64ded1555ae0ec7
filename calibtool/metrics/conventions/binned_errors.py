"""Binned errors: norm(bins of scores), of scores that libraries clip, cast or filter first.

Functions of scores, (N,), and outcomes, (N,), or of whole rows and labels, to a number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.metrics.conventions.binned import binned, netcal_bins
from calibtool.metrics.conventions.equal_mass import distinct, midpoints, tie_groups
from calibtool.metrics.conventions.equal_width import (
    Rule,
    bucketized,
    by_quotient,
    left_closed,
    left_closed_open_end,
    linspace_edges,
    right_closed,
)
from calibtool.metrics.conventions.inputs import DEFAULT_BINS, LibraryInput, Of
from calibtool.metrics.conventions.norms import Norm, debiased_l1, debiased_l2, l1
from calibtool.metrics.conventions.views import class_rms, positive
from calibtool.types import Array


def error(
    score: Array,
    outcome: Array,
    *,
    bins: int = DEFAULT_BINS,
    rule: Rule = right_closed,
    norm: Norm = l1,
) -> float:
    """Return norm(bins of scores).

    >>> error(np.array([0.25, 0.25]), np.array([1, 1]), bins=4)
    0.75
    """
    return float(norm(binned(score, outcome, rule, bins)))


def capped_error(
    score: Array,
    outcome: Array,
    *,
    bins: int = DEFAULT_BINS,
    rule: Rule = left_closed,
    norm: Norm = l1,
) -> float:
    """Return `error` with at most one bin per row."""
    return error(score, outcome, bins=min(bins, len(score)), rule=rule, norm=norm)


def clipped_error(
    score: Array,
    outcome: Array,
    *,
    bins: int = DEFAULT_BINS,
    rule: Rule = left_closed,
    norm: Norm = l1,
) -> float:
    """Return `error` of scores clipped to [1e-12, 1 - 1e-12]."""
    return clipped(score, outcome, of=partial(error, bins=bins, rule=rule, norm=norm))


def clipped(score: Array, outcome: Array, *, of: Of) -> float:
    """Return `of` of scores clipped to [1e-12, 1 - 1e-12], as probcal does."""
    return of(np.clip(score.astype(np.float64), 1e-12, 1 - 1e-12), outcome)


def single_error(
    score: Array,
    outcome: Array,
    *,
    bins: int = DEFAULT_BINS,
    rule: Rule = bucketized,
    norm: Norm = l1,
) -> float:
    """Return `error` of scores cast to float32."""
    return error(score.astype(np.float32), outcome, bins=bins, rule=rule, norm=norm)


def netcal_error(
    score: Array,
    outcome: Array,
    *,
    bins: int = DEFAULT_BINS,
    norm: Norm = l1,
    edges: Callable[[Array, int], Array] = linspace_edges,
) -> float:
    """Return norm(`netcal_bins`) of scores clipped to [eps, 1 - eps], eps of their precision."""
    eps = float(np.finfo(score.dtype).eps)
    score = np.clip(score, eps, 1 - eps)
    return norm(netcal_bins(score, outcome, edges(score, bins)))


def above(
    score: Array,
    outcome: Array,
    *,
    bins: int = DEFAULT_BINS,
    threshold: float = 0.0,
    rule: Rule = left_closed_open_end,
    norm: Norm = l1,
) -> float:
    """Return `error` of the rows with scores above the threshold alone; 0 without such rows."""
    rest = score > threshold
    return error(score[rest], outcome[rest], bins=bins, rule=rule, norm=norm) if rest.any() else 0.0


def sums(score: Array, outcome: Array, *, bins: int = DEFAULT_BINS) -> float:
    """Return the sum over bins of |sum of score - outcome| / N, in relplot's bins."""
    index = by_quotient(score, bins)
    return np.abs(np.bincount(index, weights=score - outcome)).sum() / len(score)


def sweep(
    score: Array,
    outcome: Array,
    *,
    rule: Rule = tie_groups,
    norm: Norm = l1,
    most: int | None = None,
) -> float:
    """Return norm of the largest number of bins before rates stop rising (Roelofs et al. 2022).

    Bins are added one at a time, up to `most`, or one per row.
    """
    monotonic = binned(score, outcome, rule, 1)
    for bins in range(2, min(len(score), most or len(score)) + 1):
        next_bins = binned(score, outcome, rule, bins)
        if np.any(np.diff(next_bins.rate) < 0):
            break
        monotonic = next_bins
    return norm(monotonic)


def full_error(score: Array, outcome: Array, *, bins: int = DEFAULT_BINS) -> float:
    """Return `debiased_l1` of `right_closed` bins; not available unless each has two rows."""
    if np.bincount(right_closed(score, bins), minlength=bins).min() <= 1:
        raise NotAvailableError("raises ValueError: a bin has fewer than two rows")
    return error(score, outcome, bins=bins, norm=debiased_l1)


def uc_calibration_error(
    probs: Array,
    labels: Array,
    *,
    bins: int = DEFAULT_BINS,
    norm: Norm = debiased_l2,
    classes: Callable[[Of, LibraryInput], float] = class_rms,
) -> float:
    """Return uncertainty-calibration's error, over equal-mass bins.

    Where every column has fewer than N / 4 distinct scores, each of them is a bin. For rows, the
    default is the root mean square over classes.
    """
    columns = probs[:, None] if probs.ndim == 1 else probs
    few = all(len(np.unique(column)) < len(column) / 4 for column in columns.T)
    of = partial(error, bins=bins, rule=distinct if few else midpoints, norm=norm)
    return (positive if probs.ndim == 1 else classes)(of, LibraryInput(probs, labels))
