"""Tests of whole rows: labels are redrawn from each row's probabilities."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from calibtool.cells import locate
from calibtool.checks import Array
from calibtool.draws import GROUP
from calibtool.errors import NotAvailableError
from calibtool.perfection.null import generator
from calibtool.perfection.record import How, Observed, Whole
from calibtool.perfection.statistics import BINS

_LABELS = 40_000_000  # labels that are redrawn for a test
_FEWEST = 199  # redraws, unless fewer are asked for
_COUNTS = 1 << 23  # counts that are kept for it


def class_consistency(whole: Whole, how: How) -> Observed:
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


def skce(whole: Whole, how: How) -> Observed:
    """Linear estimator of the squared kernel calibration error over its standard error
    (Widmann, Lindsten & Zachariah 2019).

    Rows 0 and 1, 2 and 3, and so on make independent pairs; of few or very confident rows their
    mean is far from the normal that it tends to, which the redrawn labels do not ask of it.
    """
    from calibtool.metrics.simplex import skce_width

    pairs = len(whole.labels) // 2
    if pairs < 2:
        raise NotAvailableError("needs four rows")
    draws = _affordable(how, len(whole.labels))
    width = skce_width(whole.probs)
    sums = np.zeros((2, draws + 1))  # of the terms and of their squares
    for at, labels in _redrawn(whole, how, 2 * pairs, draws, stream=1):
        terms = _kernel_terms(whole.probs[at].astype(np.float64), labels, width)
        if whole.weights is not None:
            weight = whole.weights[at]
            terms *= (weight[::2] * weight[1::2])[:, None]
        sums += terms.sum(0), (terms**2).sum(0)
        how.progress("skce", at.stop / (2 * pairs))
    return _standardised(sums, pairs)


def _affordable(how: How, rows: int, most: int = _LABELS) -> int:
    """How many redraws fit."""
    return min(how.resamples, max(_FEWEST, min(_LABELS // rows, most)))


def _redrawn(
    whole: Whole, how: How, rows: int, draws: int, *, stream: int
) -> Iterator[tuple[slice, Array]]:
    """The first `rows` rows in blocks: where, and (n, draws + 1) labels, the last the observed."""
    for block, low in enumerate(range(0, rows, GROUP)):
        at = slice(low, min(low + GROUP, rows))
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


def _kernel_terms(probs: Array, labels: Array, width: float) -> Array:
    """(pairs, R) exp(-d(p, q) / width) <e_y - p, e_z - q> of rows 2i and 2i + 1."""
    p, q, y, z = probs[::2], probs[1::2], labels[::2], labels[1::2]
    kernel = np.exp(-np.abs(p - q).sum(1) / 2 / width)
    dot = (y == z) - np.take_along_axis(q, y, 1) - np.take_along_axis(p, z, 1)
    return np.asarray(kernel[:, None] * (dot + (p * q).sum(1)[:, None]))


def _standardised(sums: Array, pairs: int) -> Observed:
    """Means over their standard errors, from sums of terms and of squared terms."""
    total, squares = sums
    spread = np.sqrt(np.maximum(squares - total**2 / pairs, 0))
    if not spread[-1] > 0:
        raise NotAvailableError("its terms do not vary")
    z = np.divide(total, spread, out=np.zeros_like(total), where=spread > 1e-9 * np.sqrt(squares))
    z *= np.sqrt((pairs - 1) / pairs)
    return float(z[-1]), z[:-1]
