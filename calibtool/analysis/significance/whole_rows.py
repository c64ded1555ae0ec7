"""Tests of whole rows: labels are redrawn from each row's probabilities."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from calibtool.analysis.significance.null import generator
from calibtool.analysis.significance.result import Observed, RedrawOptions, WholeRows
from calibtool.analysis.significance.statistics import BINS
from calibtool.errors import NotAvailableError
from calibtool.intervals.draws import GROUP
from calibtool.metrics.cells import locate
from calibtool.types import Array

_LABELS = 40_000_000  # labels that are redrawn for a test
_FEWEST = 199  # redraws, unless fewer are asked for
_COUNTS = 1 << 23  # counts that are kept for class-wise errors
_PAIRS = 1 << 31  # rows x rows of their block x redraws, of the kernel error
_BLOCK = 2048  # rows of a block
_GRID = 2.0**-40  # of kernels


def class_consistency(whole: WholeRows, how: RedrawOptions) -> Observed:
    """Class-wise ECE with 15 bins (Vaicenavicius et al. 2019; Kull et al. 2019, eq. 3)."""
    rows, classes = whole.probs.shape
    size = classes * BINS
    draws = _affordable(how, rows, most=_COUNTS // size)
    edges = np.arange(1, BINS + 1) / BINS
    weight = np.ones(rows) if whole.weights is None else whole.weights
    gap, mass = np.zeros((draws + 1, size)), np.zeros(size)
    for at, labels in _redrawn(whole, how, rows, draws, stream=0):
        probs, own = whole.probs[at], weight[at]
        bins = locate(probs.ravel(), edges).reshape(probs.shape) + BINS * np.arange(classes)
        mass += np.bincount(bins.ravel(), (probs * own[:, None]).ravel(), size)
        cell = np.take_along_axis(bins, labels, axis=1) + size * np.arange(draws + 1)
        np.add.at(gap.reshape(-1), cell.ravel(), np.repeat(own, draws + 1))
        how.progress("class-consistency", at.stop / rows)
    errors = np.abs(gap - mass).sum(-1) / (weight.sum() * classes)
    return float(errors[-1]), errors[:-1]


def skce(whole: WholeRows, how: RedrawOptions) -> Observed:
    """Squared kernel calibration error, from all pairs of rows within blocks of neighbours
    (Widmann, Lindsten & Zachariah 2019; blocks as in Zaremba, Gretton & Blaschko 2013).

    Few rows are one block, and this is the unbiased quadratic estimator. Of many, the blocks are as
    large as the time for all redrawn labels allows.
    """
    from calibtool.metrics.simplex import skce_width

    rows = len(whole.labels)
    if rows < 2:
        raise NotAvailableError("needs two rows")
    draws = _affordable(how, rows)
    size = min(max(_PAIRS // (rows * draws), 2), _BLOCK)
    width = skce_width(whole.probs)
    total, pairs = np.zeros(draws + 1), 0.0
    for at, labels in _redrawn(whole, how, rows, draws, stream=1, size=size):
        kernel = _kernel(whole.probs[at].astype(np.float64), width)
        weight = np.ones(len(kernel)) if whole.weights is None else whole.weights[at]
        pairs += weight.sum() ** 2 - (weight**2).sum()
        total += _form(kernel * np.outer(weight, weight), whole.probs[at], labels)
        how.progress("skce", at.stop / rows)
    if not np.ptp(total) > 0:
        raise NotAvailableError("no row that could be surprised")
    return float(total[-1] / pairs), total[:-1] / pairs


def _affordable(how: RedrawOptions, rows: int, most: int = _LABELS) -> int:
    """How many redraws fit."""
    return min(how.resamples, max(_FEWEST, min(_LABELS // rows, most)))


def _redrawn(
    whole: WholeRows, how: RedrawOptions, rows: int, draws: int, *, stream: int, size: int = GROUP
) -> Iterator[tuple[slice, Array]]:
    """The first `rows` rows in blocks: where, and (n, draws + 1) labels, the last the observed."""
    for block, low in enumerate(range(0, rows, size)):
        at = slice(low, min(low + size, rows))
        probs = whole.probs[at]
        random = generator([how.seed, block, probs.shape[1], stream])
        labels = np.empty((len(probs), draws + 1), np.int64)
        labels[:, :-1] = redrawn_labels(probs, random, draws)
        labels[:, -1] = whole.labels[at]
        yield at, labels


def redrawn_labels(probs: Array, random: np.random.Generator, count: int) -> Array:
    """(rows, count) labels by inversion: all rows' cumulative probabilities in one list."""
    heap = np.cumsum(probs, axis=1, dtype=np.float64)
    heap /= heap[:, -1:]
    row = np.arange(len(probs))[:, None]
    wanted = row + random.random((len(probs), count))
    found = np.searchsorted((heap + row).ravel(), wanted.ravel(), side="right")
    found = found.reshape(wanted.shape) - row * probs.shape[1]
    return np.asarray(np.minimum(found, probs.shape[1] - 1))


def _kernel(probs: Array, width: float) -> Array:
    """exp(-d(p, q) / width) of all pairs of rows, d the total variation distance; 0 of a row and
    itself. On a grid on which sums over a block are exact, whatever order BLAS takes."""
    from scipy.spatial.distance import cdist

    kernel = np.exp(cdist(probs, probs, "cityblock") / (-2 * width))
    np.fill_diagonal(kernel, 0.0)
    return np.asarray(np.rint(kernel / _GRID) * _GRID)


def _form(kernel: Array, probs: Array, labels: Array) -> Array:
    """Sum over pairs of kernel_ij <e_i - p_i, e_j - p_j> for each column of labels.

    <e_i, e_j> is 1 where labels are equal: class by class, over the rows that ever have the class.
    """
    smooth = np.einsum("ij,jk->ik", kernel, probs.astype(np.float64))
    cross = np.take_along_axis(smooth, labels, axis=1).sum(0)
    total = (smooth * probs).sum() - 2 * cross
    small = labels.astype(np.int32)
    row, draw = np.divmod(np.argsort(small, axis=None, kind="stable"), labels.shape[1])
    ends = np.cumsum(np.bincount(small.ravel()))
    for low, high in itertools.pairwise([0, *ends]):
        own, place = np.unique(row[low:high], return_inverse=True)
        has = np.zeros((len(own), labels.shape[1]))
        has[place, draw[low:high]] = 1
        total += np.einsum("ir,ir->r", kernel[np.ix_(own, own)] @ has, has)
    return np.asarray(total)
