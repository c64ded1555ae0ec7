"""A block of predictions, reduced; and how large blocks are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.data.rows import Rows, reduce_rows, to_probs
from calibtool.types import BLOCK, Array


@dataclass(frozen=True)
class Wanted:
    """What the pass is to leave.

    Attributes:
        lowest: the lowest bin edge of the class view, or None if it is not needed.
        columns: columns of `Rows` that are there on request.
        probs: whole probability rows.
    """

    lowest: float | None = None
    columns: frozenset[str] = frozenset()
    probs: bool = False


def unit(classes: int | None) -> int:
    """Rows a block: about 16 MB of float32, in whole blocks of the draws."""
    wanted = (1 << 22) // max(classes or 1, 256)
    return max(BLOCK, wanted // BLOCK * BLOCK)


@dataclass(eq=False)
class Reduced:
    """A block, reduced. `low_probs`, with 0 for the entries that are kept one by one, stays until
    the replicates have seen it. `low_squares` is as `low`, of w * probability squared."""

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
    """What the pass leaves of a block.

    Args:
        block: the rows.
        wanted: what to leave.
        keep: leave `low_probs` too.
        lean: leave only the columns of `Rows` that are wanted, and `low_squares` too.
    """
    none = np.zeros(0, np.int64)
    lowest = wanted.lowest
    own = to_probs(block).matrix() if wanted.probs and block.labels is not None else None
    if lowest is None or block.labels is None:
        rows = reduce_rows(block, want=wanted.columns, lean=lean)
        return Reduced(rows, none, none, none, None, none, none, None, own)
    classes = int(block.classes or 0)
    wide = np.float64 if block.values.itemsize == 8 else np.float32
    probs = np.empty((block.rows, classes), wide) if keep else None
    row, index, value, label_prob = [], [], [], []
    low = np.zeros(classes)
    squares = np.zeros(classes) if lean else None

    def visit(piece: Array, at: slice) -> None:
        labels = block.labels[at] if block.labels is not None else none
        count = len(piece)
        contiguous = np.ascontiguousarray(piece)
        flat = np.flatnonzero(contiguous.ravel() > np.asarray(lowest).astype(piece.dtype))
        at_row, at_class = np.divmod(flat, classes)
        own = contiguous if piece.itemsize > 2 else contiguous.astype(np.float32)
        high = own.ravel()[flat].astype(np.float64)
        weight = None if block.weights is None else block.weights[at]
        if weight is not None:
            high *= weight[at_row]
            np.add(low, _column_sums(own * weight[:, None].astype(own.dtype)), out=low)
        else:
            np.add(low, _column_sums(own), out=low)
        np.subtract(low, np.bincount(at_class, high, classes), out=low)
        if squares is not None:
            _add_squares(squares, own, weight, at_row, at_class, flat)
        row.append((at_row + at.start).astype(np.int32))
        index.append(at_class.astype(np.int32))
        value.append(contiguous.ravel()[flat])
        label_prob.append(contiguous[np.arange(count), labels])
        if probs is not None:
            kept = probs[at.start : at.start + count]
            kept[...] = own
            kept.reshape(-1)[flat] = 0

    rows = reduce_rows(block, visit, wanted.columns, lean=lean)
    return Reduced(
        rows,
        np.concatenate(row),
        np.concatenate(index),
        np.concatenate(value),
        block.labels,
        np.concatenate(label_prob),
        low,
        probs,
        own,
        squares,
    )


def _add_squares(
    squares: Array,
    probs: Array,
    weight: Array | None,
    at_row: Array,
    at_class: Array,
    flat: Array,
) -> None:
    """Add the sums by class of w * probability squared, but for the entries at `flat`."""
    square = probs * probs
    if weight is not None:
        square *= weight[:, None].astype(square.dtype)
    np.add(squares, _column_sums(square), out=squares)
    kept = square.ravel()[flat].astype(np.float64)
    np.subtract(squares, np.bincount(at_class, kept, len(squares)), out=squares)
    np.maximum(squares, 0, out=squares)


def _column_sums(probs: Array) -> Array:
    """Sums by class: of 32 rows in the probabilities' precision, of those in float64."""
    some = np.add.reduceat(probs, np.arange(0, len(probs), 32), axis=0)
    return np.asarray(some.sum(axis=0, dtype=np.float64))
