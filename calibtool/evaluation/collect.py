"""Read the predictions once: values per row, sums per class, and bootstrap replicates of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from calibtool.data.blocks import Reduced, Wanted, reduce_block
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Apply
from calibtool.data.rows import Rows
from calibtool.evaluation.one_vs_rest import OneVsRest
from calibtool.intervals.drawn_sums import has_matrices, products, sparse_sums
from calibtool.intervals.draws import UNITS, Draws, on_grid, sum_by
from calibtool.parallel import ordered
from calibtool.types import BLOCK, Array

# Rows whose replicates are summed in one matrix product: 8,192 rows of 128 weights in float64 are
# 8 MB, about a cache; the sums are on a grid, so that the size of a chunk changes no digit.
_CHUNK = 8 * BLOCK
# Classes whose replicates are summed in one matrix product: with 1,024 rows, 8 MB. Weights may be
# drawn once more for each part of the classes, a tenth of the time of its product.
_COLUMNS = 1 << 11


@dataclass(frozen=True, eq=False)
class Collected:
    """What the pass keeps of one variant.

    Attributes:
        rows: the values per row.
        classes: the class view by the entries above the lowest edge, if wanted.
        probs: (N, K) whole probability rows, if wanted.
        sample: predictions of some rows, whole, if wanted.
    """

    rows: Rows
    classes: OneVsRest | None = None
    probs: Array | None = None
    sample: Predictions | None = None


def collect(
    blocks: Iterable[Predictions],
    applied: Sequence[Apply],
    *,
    wanted: Wanted,
    draws: Draws | None,
    threads: int,
    sampled: Array | None = None,
) -> list[Collected]:
    """Read the blocks once, and reduce them for every variant.

    Args:
        blocks: predictions in file order; all but the last have a multiple of BLOCK rows.
        applied: what is applied to a block before it is measured, one function per variant.
        wanted: what to keep.
        draws: the replicates of the class view to draw, or None.
        threads: how many blocks to work on at a time.
        sampled: positions of the rows that are kept whole, increasing, or None.

    Returns what was kept of each variant.
    """

    def work(placed: tuple[int, Predictions]) -> list[tuple[Reduced, Predictions | None]]:
        start, block = placed
        parts = []
        for apply in applied:
            variant = apply(block)
            reduced = reduce_block(variant, wanted, keep=draws is not None)
            parts.append((reduced, None if sampled is None else _taken(variant, sampled, start)))
        return parts

    reduced: list[list[Reduced]] = [[] for _ in applied]
    samples: list[list[Predictions]] = [[] for _ in applied]
    lows: list[Array | None] = [None for _ in applied]
    start = 0
    for parts in ordered(work, _placed(blocks), threads):
        for k, (part, sample) in enumerate(parts):
            if sample is not None:
                samples[k].append(sample)
            if draws is not None and part.low_probs is not None:
                lows[k] = _add_lows(lows[k], part, start, draws, threads)
                part.low_probs = None  # N x K numbers: not more than a block of them is held
            part.row = part.row + start
            reduced[k].append(part)
        start += len(parts[0][0].rows.confidence)
    if draws is not None and draws.grouped:
        lows = [None if low is None else of_units(low, draws) for low in lows]
    joined = [_joined(parts, low, draws) for parts, low in zip(reduced, lows, strict=True)]
    return [
        replace(one, sample=_concatenated(sample)) if sample else one
        for one, sample in zip(joined, samples, strict=True)
    ]


def _placed(blocks: Iterable[Predictions]) -> Iterator[tuple[int, Predictions]]:
    """Yield each block with the position of its first row."""
    start = 0
    for block in blocks:
        yield start, block
        start += block.rows


def _taken(block: Predictions, sampled: Array, start: int) -> Predictions | None:
    """Return the rows of a block at those of the sampled positions that it holds."""
    first, last = np.searchsorted(sampled, [start, start + block.rows])
    if first == last:
        return None
    return replace(block, extra={}).take(sampled[first:last] - start)


def _concatenated(parts: Sequence[Predictions]) -> Predictions:
    """Return the rows of all parts as one."""

    def joined(arrays: list[Array | None]) -> Array | None:
        known = [array for array in arrays if array is not None]
        return np.concatenate(known) if known else None

    if len(parts) == 1:
        return parts[0]
    return replace(
        parts[0],
        values=np.concatenate([part.values for part in parts]),
        labels=joined([part.labels for part in parts]),
        correct=joined([part.correct for part in parts]),
        weights=joined([part.weights for part in parts]),
    )


@dataclass(frozen=True, eq=False)
class InBins:
    """Columns of bins, which are 0 in all rows but their own: residuals, then a 1 for each row.

    Attributes:
        where: (N,) the bin of each row.
        residual: (N,) float64.
        bins: how many bins there are; twice as many columns.
    """

    where: Array
    residual: Array
    bins: int

    def dense(self, at: slice) -> Array:
        """Return the columns of a slice of rows, (n, 2 * bins)."""
        where, row = self.where[at], np.arange(at.stop - at.start)
        out = np.zeros((len(row), 2 * self.bins))
        out[row, where] = self.residual[at]
        out[row, self.bins + where] = 1
        return out


def resample(
    columns: Callable[[slice], Array],
    draws: Draws,
    threads: int,
    weights: Array | None,
    tick: Callable[[float], None],
    binned: Sequence[InBins] = (),
) -> Array:
    """Return bootstrap replicates of the sums of any per-row columns: (R, C) float64. Replicates
    that draw no weight at all are left out.

    Args:
        columns: for a slice of rows, the (n, C) float64 values that are summed; the first
            column is 1, so that its sum is the weight of a replicate.
        draws: the replicates to draw.
        threads: how many chunks to work on at a time.
        weights: (N,) row weights, which multiply the columns, or None.
        tick: called with the share that is done.
        binned: more columns, which come after the others.
    """
    sparse = not draws.grouped and has_matrices(draws.rows)
    slices = [slice(low, min(low + _CHUNK, draws.rows)) for low in range(0, draws.rows, _CHUNK)]

    def work(at: slice) -> Array:
        x = columns(at)
        if not sparse and binned:
            x = np.concatenate([x, *(each.dense(at) for each in binned)], axis=1)
        if weights is not None:
            x = x * weights[at, None]
        if draws.grouped:
            return sum_by(draws.units(at.start, at.stop), x, draws.count)
        if sparse and binned:
            matrices = _on_one_grid(x, binned, at, weights)
            parts = [products(matrices, draws, at, group) for group in draws.groups]
            sums, gaps, masses = (
                np.concatenate([p.T for p in x]) for x in zip(*parts, strict=True)
            )
            ends = np.cumsum([each.bins for each in binned])[:-1]
            pairs = (np.split(of_bins, ends, axis=1) for of_bins in (gaps, masses))
            return np.concatenate([sums, *chain(*zip(*pairs, strict=True))], axis=1)
        x = on_grid(x, len(x))
        drawn = (draws.weights(at.start, at.stop, group, x.dtype) for group in draws.groups)
        return np.concatenate([of_group.T @ x for of_group in drawn])

    total: Array | float = 0.0
    for done, part in enumerate(ordered(work, slices, threads), start=1):
        total = total + part
        tick(done / len(slices))
    sums = of_units(np.asarray(total), draws) if draws.grouped else np.asarray(total)
    return sums[sums[:, 0] > 0]  # with a few rows, a replicate may draw none of them


def _on_one_grid(
    x: Array, binned: Sequence[InBins], at: slice, weights: Array | None
) -> tuple[Array, Any, Any]:
    """Return columns of a slice of rows, (n, C), whose first is the rows' weight, and those of
    bins, all on one grid, as matrices whose products with drawn weights are their sums: (C, n),
    and sparse ones of the residuals and of the rows in all bins, (bins, n) each."""
    weight = 1.0 if weights is None else weights[at]
    residual = np.concatenate([each.residual[at] * weight for each in binned])
    largest = max(float(np.abs(values).max()) for values in (x, residual))
    x, residual = on_grid(x, len(x), largest), on_grid(residual, len(x), largest)
    first = np.cumsum([0, *(each.bins for each in binned)])
    where = [low + each.where[at] for low, each in zip(first, binned, strict=False)]
    cells, rows = np.concatenate(where), np.tile(np.arange(len(x)), len(binned))
    columns, shape = (residual, np.tile(x[:, 0], len(binned))), (int(first[-1]), len(x))
    of_gaps, of_rows = (sparse_sums(cells, rows, column, shape) for column in columns)
    return x.T, of_gaps, of_rows


def _add_lows(lows: Array | None, part: Reduced, start: int, draws: Draws, threads: int) -> Array:
    """Add a block to the sums, by replicate or by unit, of entries that are not kept one by one.

    Products are summed on a grid so that their order changes no digit; what rounding to the grid
    takes from a sum is added back in proportion to the drawn weight.
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
        largest = float(max(single.max(initial=0), -single.min(initial=0)))
        for first in range(0, single.shape[1], _COLUMNS):
            of_some = slice(first, first + _COLUMNS)
            some = single[:, of_some]
            grid = on_grid(some, len(single), largest)
            lost = np.add.reduce(some - grid, axis=0, dtype=np.float64) / len(single)
            add = partial(_add_low, lows[:, of_some], grid, lost, start + low, draws)
            list(ordered(add, draws.groups, threads))
    return lows


def _add_low(lows: Array, grid: Array, lost: Array, start: int, draws: Draws, group: slice) -> None:
    """Add some rows' sums in one group of replicates."""
    drawn = draws.weights(start, start + len(grid), group)
    total = drawn.sum(axis=0)[:, None]  # whole numbers: exact in float32
    lows[group] += drawn.T @ grid + total * lost


def of_units(sums: Array, draws: Draws) -> Array:
    """Return the sums by replicate, (R, C), from those by unit."""
    grid = on_grid(sums, UNITS)
    return np.concatenate([draws.unit_weights(group).T @ grid for group in draws.groups])


def _joined(parts: list[Reduced], lows: Array | None, draws: Draws | None) -> Collected:
    """Return the blocks of one variant as one record."""
    rows = Rows.concatenate(part.rows for part in parts)
    blocks = [part.probs for part in parts if part.probs is not None]
    probs = np.concatenate(blocks) if blocks else None
    if parts[0].labels is None:
        return Collected(rows, probs=probs)
    view = OneVsRest(
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
