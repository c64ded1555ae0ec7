"""Blocks of predictions: their size, and their reduction to what metrics need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.data.rows import Rows, reduce_rows, to_probs
from calibtool.types import BLOCK, Array

# Rows that are added up in the precision of their probabilities.
ADDED = 16


@dataclass(frozen=True)
class Wanted:
    """The parts of a block that are needed.

    Attributes:
        lowest: the lowest bin edge of the class view, or None if that view is not needed.
        columns: the columns of `Rows` that are filled only on request.
        probs: whether rows of probabilities are needed, (n, K).
    """

    lowest: float | None = None
    columns: frozenset[str] = frozenset()
    probs: bool = False


def unit(classes: int | None) -> int:
    """Return the number of rows to read at a time, a multiple of BLOCK.

    2**22 values are 16 MB of float32. Few classes count as 256: columns of `Rows` and the weights
    of bootstrap replicates then take more memory than the values themselves.
    """
    wanted = (1 << 22) // max(classes or 1, 256)
    return max(BLOCK, wanted // BLOCK * BLOCK)


@dataclass(eq=False)
class Reduced:
    """A block reduced to one value per row and to the larger entries of the class view.

    With many classes, nearly all probabilities lie below the lowest bin edge of the class view.
    Only the M entries above it are listed; of the others, sums per class are enough.

    Attributes:
        rows: one value per row.
        row, index, value: row, class and probability of the listed entries, (M,).
        labels: (n,) class ids, or None.
        label_prob: (n,) probability of the label.
        low: (K,) sum of w * probability over the entries that are not listed.
        low_probs: (n, K) probabilities with 0 for the listed entries, for bootstrap replicates of
            `low`; None if they were not requested.
        probs: (n, K) probabilities; None unless they were requested.
        low_squares: (K,) sum of w * probability squared, over the same entries as `low`; only of a
            lean block.
    """

    rows: Rows
    row: Array
    index: Array
    value: Array
    labels: Array | None
    label_prob: Array
    low: Array
    low_probs: Array | None
    probs: Array | None
    low_squares: Array | None = None


def reduce_block(
    block: Predictions, wanted: Wanted, *, keep: bool = False, lean: bool = False
) -> Reduced:
    """Reduce a block to the parts of it that are wanted.

    Args:
        block: the rows.
        wanted: the parts to return.
        keep: return `low_probs` too.
        lean: fill only the columns of `Rows` that are wanted, and return `low_squares` too.
    """
    empty = np.zeros(0, np.int64)
    lowest = wanted.lowest
    probs = to_probs(block).matrix() if wanted.probs and block.labels is not None else None
    if lowest is None or block.labels is None:
        rows = reduce_rows(block, want=wanted.columns, lean=lean)
        return Reduced(rows, empty, empty, empty, None, empty, empty, None, probs)
    classes = int(block.classes or 0)
    wide = np.float64 if block.values.itemsize == 8 else np.float32
    low_probs = np.empty((block.rows, classes), wide) if keep else None
    row, index, value, label_prob = [], [], [], []
    low = np.zeros(classes)
    squares = np.zeros(classes) if lean else None

    def visit(piece: Array, at: slice) -> None:
        labels = block.labels[at] if block.labels is not None else empty
        count = len(piece)
        contiguous = np.ascontiguousarray(piece)
        flat = np.flatnonzero(contiguous.ravel() > np.asarray(lowest).astype(piece.dtype))
        at_row, at_class = np.divmod(flat, classes)
        entries = contiguous if piece.itemsize > 2 else contiguous.astype(np.float32)
        weight = None if block.weights is None else block.weights[at]
        _add_low(low, entries, weight, at_row, at_class)
        if squares is not None:
            _add_squares(squares, entries, weight, flat, at_class)
        row.append((at_row + at.start).astype(np.int32))
        index.append(at_class.astype(np.int32))
        value.append(contiguous.ravel()[flat])
        label_prob.append(contiguous[np.arange(count), labels])
        if low_probs is not None:
            target = low_probs[at.start : at.start + count]
            target[...] = entries
            target.reshape(-1)[flat] = 0

    rows = reduce_rows(block, visit, wanted.columns, lean=lean)
    return Reduced(
        rows,
        np.concatenate(row),
        np.concatenate(index),
        np.concatenate(value),
        block.labels,
        np.concatenate(label_prob),
        low,
        low_probs,
        probs,
        squares,
    )


def _add_low(
    low: Array, probs: Array, weight: Array | None, at_row: Array, at_class: Array
) -> None:
    """Add the sums per class of w * probability to `low`, without the entries listed at row and
    class: the sums over all entries less those over the listed ones, which are few."""
    listed = probs[at_row, at_class].astype(np.float64)
    if weight is not None:
        listed *= weight[at_row]
        probs = probs * weight[:, None].astype(probs.dtype)
    np.add(low, _column_sums(probs), out=low)
    np.subtract(low, np.bincount(at_class, listed, len(low)), out=low)


def _add_squares(
    squares: Array, probs: Array, weight: Array | None, flat: Array, at_class: Array
) -> None:
    """Add the sums per class of w * probability squared, without the entries at `flat`."""
    square = probs * probs
    if weight is not None:
        square *= weight[:, None].astype(square.dtype)
    np.add(squares, _column_sums(square), out=squares)
    listed = square.ravel()[flat].astype(np.float64)
    np.subtract(squares, np.bincount(at_class, listed, len(squares)), out=squares)
    np.maximum(squares, 0, out=squares)  # a difference of rounded sums can fall below 0


def _column_sums(probs: Array) -> Array:
    """Return sums per class, (K,) float64, of contiguous (n, K) probabilities.

    ADDED rows are added in the precision of the probabilities, which is fast and loses at most a
    few units of the last place; their sums are added in float64. Those are rows n // ADDED apart,
    so that whole runs of memory are added, however few the classes.
    """
    step, classes = len(probs) // ADDED, probs.shape[1]
    whole = probs[: ADDED * step].reshape(ADDED, step * classes)
    together = whole.sum(axis=0).reshape(step, classes)
    rest = probs[ADDED * step :].sum(axis=0)
    return np.asarray(together.sum(axis=0, dtype=np.float64) + rest)
