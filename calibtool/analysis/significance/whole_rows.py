"""Significance tests of whole rows: labels are redrawn from the probabilities of each row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from calibtool.analysis.significance.result import Observed, RedrawOptions, WholeRows
from calibtool.analysis.significance.statistics import BINS
from calibtool.errors import NotAvailableError
from calibtool.intervals.draws import GROUP
from calibtool.intervals.scipy_parts import city_block
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics.cells import locate
from calibtool.types import Array

# Labels (rows x redraws) that are redrawn for a test: bounds its time to some seconds.
_LABELS = 40_000_000
# Redraws that are made however many rows there are: p-values down to 1 / 200.
_FEWEST = 199
# Sums (redraws x classes x bins) that are held for the class-wise error: 64 MiB of float64.
_COUNTS = 1 << 23
# Products (rows x rows per block x redraws) of the kernel error: bounds its time to some seconds.
_PAIRS = 1 << 31
_BLOCK = 2048  # most rows per block: a kernel matrix is then 32 MiB
# Kernels are rounded to multiples of 2^-40. Sums of 2^12 such numbers below 1 fit in the 53 bits of
# a float64, so they are exact in whatever order BLAS adds them.
_GRID = 2.0**-40


def class_consistency(whole: WholeRows, options: RedrawOptions) -> Observed:
    """Return the class-wise ECE with 15 bins, observed and for redrawn labels.

    Source: Vaicenavicius et al. 2019; Kull et al. 2019, eq. 3.
    """
    rows, classes = whole.probs.shape
    size = classes * BINS
    draws = _affordable(options, rows, most=_COUNTS // size)
    edges = np.arange(1, BINS + 1) / BINS
    weight = np.ones(rows) if whole.weights is None else whole.weights
    gap, mass = np.zeros((draws + 1, size)), np.zeros(size)
    for at, labels in _redrawn(whole, options, rows, draws, stream=Stream.NULL_CLASSES):
        probs, w = whole.probs[at], weight[at]
        bins = locate(probs.ravel(), edges).reshape(probs.shape) + BINS * np.arange(classes)
        mass += np.bincount(bins.ravel(), (probs * w[:, None]).ravel(), size)
        cell = np.take_along_axis(bins, labels, axis=1) + size * np.arange(draws + 1)
        np.add.at(gap.reshape(-1), cell.ravel(), np.repeat(w, draws + 1))
        options.progress("class-consistency", at.stop / rows)
    errors = np.abs(gap - mass).sum(-1) / (weight.sum() * classes)
    return float(errors[-1]), errors[:-1]


def skce(whole: WholeRows, options: RedrawOptions) -> Observed:
    """Return the squared kernel calibration error, observed and for redrawn labels.

    The estimator averages over all pairs of rows within blocks of consecutive rows (Widmann,
    Lindsten & Zachariah 2019; blocks as in Zaremba, Gretton & Blaschko 2013). Few rows are one
    block, which is the unbiased quadratic estimator. Many rows are parted into blocks as large as
    the time for all redrawn labels allows.

    Raises NotAvailableError for fewer than two rows, and if no label is uncertain.
    """
    from calibtool.metrics.simplex import skce_width

    rows = len(whole.labels)
    if rows < 2:
        raise NotAvailableError("needs two rows")
    draws = _affordable(options, rows)
    size = min(max(_PAIRS // (rows * draws), 2), _BLOCK)
    width = skce_width(whole.probs)
    total, pairs = np.zeros(draws + 1), 0.0
    for at, labels in _redrawn(whole, options, rows, draws, stream=Stream.NULL_KERNEL, size=size):
        kernel = _kernel(whole.probs[at].astype(np.float64), width)
        weight = np.ones(len(kernel)) if whole.weights is None else whole.weights[at]
        pairs += weight.sum() ** 2 - (weight**2).sum()
        total += _form(kernel * np.outer(weight, weight), whole.probs[at], labels)
        options.progress("skce", at.stop / rows)
    if not np.ptp(total) > 0:  # all redraws are equal: no label is uncertain
        raise NotAvailableError("no row that could be surprised")
    return float(total[-1] / pairs), total[:-1] / pairs


def _affordable(options: RedrawOptions, rows: int, most: int = _LABELS) -> int:
    """Return the number of redraws that time and memory allow, at least _FEWEST if asked for."""
    return min(options.resamples, max(_FEWEST, min(_LABELS // rows, most)))


def _redrawn(
    whole: WholeRows,
    options: RedrawOptions,
    rows: int,
    draws: int,
    *,
    stream: Stream,
    size: int = GROUP,
) -> Iterator[tuple[slice, Array]]:
    """Yield the first `rows` rows in blocks of `size`.

    Each block is its slice of the rows, and (n, draws + 1) labels. The last column holds the
    observed labels.
    """
    for block, low in enumerate(range(0, rows, size)):
        at = slice(low, min(low + size, rows))
        probs = whole.probs[at]
        rng = generator(stream, options.seed, block, probs.shape[1])
        labels = np.empty((len(probs), draws + 1), np.int64)
        labels[:, :-1] = redrawn_labels(probs, rng, draws)
        labels[:, -1] = whole.labels[at]
        yield at, labels


def redrawn_labels(probs: Array, rng: np.random.Generator, count: int) -> Array:
    """Return (rows, count) labels drawn from (rows, K) probabilities, by inversion.

    Row r's cumulative probabilities are shifted to [r, r + 1], so that those of all rows are one
    increasing list and a single `searchsorted` inverts all of them.
    """
    cumulative = np.cumsum(probs, axis=1, dtype=np.float64)
    cumulative /= cumulative[:, -1:]
    row = np.arange(len(probs))[:, None]
    uniform = row + rng.random((len(probs), count))
    labels = np.searchsorted((cumulative + row).ravel(), uniform.ravel(), side="right")
    labels = labels.reshape(uniform.shape) - row * probs.shape[1]
    return np.asarray(np.minimum(labels, probs.shape[1] - 1))


def _kernel(probs: Array, width: float) -> Array:
    """Return (n, n) kernels exp(-d(p, q) / width) of all pairs of rows.

    d is the total variation distance. The diagonal is 0, because pairs are of different rows.
    Kernels are rounded to multiples of _GRID.
    """
    kernel = np.exp(city_block(probs, probs) / (-2 * width))
    np.fill_diagonal(kernel, 0.0)
    return np.asarray(np.rint(kernel / _GRID) * _GRID)


def _form(kernel: Array, probs: Array, labels: Array) -> Array:
    """Return the sum over pairs of kernel_ij <e_i - p_i, e_j - p_j> for each column of labels.

    e_i is the unit vector of row i's label. The product is expanded: <p_i, p_j> is the same for
    all columns, <e_i, p_j> picks the label's entry of kernel @ probs, and <e_i, e_j> is 1 where
    two labels are equal. That last sum is taken class by class, over the rows that have the class
    in any column, which for many classes are few.
    """
    smooth = np.einsum("ij,jk->ik", kernel, probs.astype(np.float64))
    cross = np.take_along_axis(smooth, labels, axis=1).sum(0)
    total = (smooth * probs).sum() - 2 * cross
    small = labels.astype(np.int32)
    row, draw = np.divmod(np.argsort(small, axis=None, kind="stable"), labels.shape[1])
    ends = np.cumsum(np.bincount(small.ravel()))
    for low, high in itertools.pairwise([0, *ends]):
        members, place = np.unique(row[low:high], return_inverse=True)
        has = np.zeros((len(members), labels.shape[1]))
        has[place, draw[low:high]] = 1
        total += np.einsum("ir,ir->r", kernel[np.ix_(members, members)] @ has, has)
    return np.asarray(total)
