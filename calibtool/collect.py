"""One pass over the predictions: a value a row, sums a class, and their bootstrap replicates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from calibtool.checks import Array
from calibtool.classview import ClassView
from calibtool.draws import BLOCK, UNITS, Draws, on_grid, sum_by
from calibtool.predictions import Predictions
from calibtool.threads import ordered
from calibtool.views import Rows, reduce_rows, to_probs

_CHUNK = 8 * BLOCK  # rows whose replicates are summed in one matrix product

Apply = Callable[[Predictions], Predictions]


def unchanged(block: Predictions) -> Predictions:
    """The system that is measured where nothing is applied."""
    return block


@dataclass(frozen=True, eq=False)
class Collected:
    """What the pass leaves of one system.

    Attributes:
        rows: a value a row.
        classes: the class view by what lies above the lowest edge, if asked for.
        probs: (N, K) whole probability rows, if asked for.
    """

    rows: Rows
    classes: ClassView | None = None
    probs: Array | None = None


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


def collect(
    blocks: Iterable[Predictions],
    systems: Sequence[Apply],
    *,
    wanted: Wanted,
    draws: Draws | None,
    threads: int,
) -> list[Collected]:
    """Read the blocks once and reduce them, each system's version beside the others.

    Args:
        blocks: predictions in file order, a multiple of BLOCK rows each but the last.
        systems: what to make of a block before it is measured: itself, or calibrated.
        wanted: what to leave.
        draws: the replicates of the class view to draw, or None.
        threads: how many blocks to work on at a time.
    """

    def work(block: Predictions) -> list[Reduced]:
        return [reduce_block(system(block), wanted, keep=draws is not None) for system in systems]

    kept: list[list[Reduced]] = [[] for _ in systems]
    lows: list[Array | None] = [None for _ in systems]
    start = 0
    for parts in ordered(work, blocks, threads):
        for k, part in enumerate(parts):
            if draws is not None and part.low_probs is not None:
                lows[k] = _add_lows(lows[k], part, start, draws)
                part.low_probs = None
            part.row = part.row + start
            kept[k].append(part)
        start += len(parts[0].rows.confidence)
    if draws is not None and draws.grouped:
        lows = [None if low is None else _of_units(low, draws) for low in lows]
    return [_joined(own, low, draws) for own, low in zip(kept, lows, strict=True)]


def resample(
    columns: Callable[[slice], Array],
    draws: Draws,
    threads: int,
    weights: Array | None,
    tick: Callable[[float], None],
) -> Array:
    """Replicates of the sums of any per-row columns: (R, C) float64.

    Args:
        columns: for a slice of rows, the (n, C) float64 values that are summed; the first
            column is 1, so that its sum is the weight of a replicate.
        draws: the replicates to draw.
        threads: how many chunks to work on at a time.
        weights: (N,) row weights, which multiply the columns, or None.
        tick: told how far it is.
    """
    slices = [slice(low, min(low + _CHUNK, draws.rows)) for low in range(0, draws.rows, _CHUNK)]

    def work(at: slice) -> Array:
        x = columns(at)
        if weights is not None:
            x = x * weights[at, None]
        if draws.grouped:
            return sum_by(draws.units(at.start, at.stop), x, draws.count)
        x = on_grid(x, len(x))
        drawn = (draws.weights(at.start, at.stop, group) for group in draws.groups)
        return np.concatenate([w.T.astype(np.float64) @ x for w in drawn])

    total: Array | float = 0.0
    for done, part in enumerate(ordered(work, slices, threads), start=1):
        total = total + part
        tick(done / len(slices))
    sums = _of_units(np.asarray(total), draws) if draws.grouped else np.asarray(total)
    return sums[sums[:, 0] > 0]  # of a few rows, all may weigh nothing


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


def _add_lows(lows: Array | None, part: Reduced, start: int, draws: Draws) -> Array:
    """The replicates' (or the units') sums of what is not kept one by one, with a block's added.

    What rounding to a grid takes from a sum is given back in proportion to its weight.
    """
    probs, weights = part.low_probs, part.rows.weights
    assert probs is not None
    stop = start + len(probs)
    if weights is not None:
        probs = probs * weights[:, None].astype(probs.dtype)
    if lows is None:
        lows = np.zeros((draws.count if draws.grouped else draws.replicates, probs.shape[1]))
    if draws.grouped:
        return lows + sum_by(draws.units(start, stop), probs, draws.count)
    for low in range(0, len(probs), _CHUNK):
        rows = slice(low, low + _CHUNK)
        single = probs[rows].astype(np.float32, copy=False)
        grid = on_grid(single, len(single))
        lost = np.add.reduce(single - grid, axis=0, dtype=np.float64) / len(single)
        for group in draws.groups:
            drawn = draws.weights(start + low, start + low + len(single), group)
            lows[group] += drawn.T @ grid + drawn.sum(axis=0, dtype=np.float64)[:, None] * lost
    return lows


def _of_units(sums: Array, draws: Draws) -> Array:
    """Sums of the units to sums of the replicates."""
    grid = on_grid(sums, UNITS)
    return np.concatenate([draws.unit_weights(group).T @ grid for group in draws.groups])


def _joined(parts: list[Reduced], lows: Array | None, draws: Draws | None) -> Collected:
    rows = Rows.concatenate(part.rows for part in parts)
    kept = [part.probs for part in parts if part.probs is not None]
    probs = np.concatenate(kept) if kept else None
    if parts[0].labels is None:
        return Collected(rows, probs=probs)
    view = ClassView(
        row=np.concatenate([part.row for part in parts]),
        index=np.concatenate([part.index for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        labels=np.concatenate([part.labels for part in parts if part.labels is not None]),
        label_prob=np.concatenate([part.label_prob for part in parts]),
        low=np.sum([part.low for part in parts], axis=0),
        weights=rows.weights,
        lows=lows,
        draws=draws,
    )
    return Collected(rows, view, probs)
