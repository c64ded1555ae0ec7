"""One pass over the predictions: a value a row, sums a class, and their bootstrap replicates."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from calibtool import draws
from calibtool.cells import Cells, locate
from calibtool.predictions import Array, Predictions
from calibtool.views import Rows, reduce_rows

# From this many rows on, replicates are drawn from the normal limit of the Poisson bootstrap,
# with its exact first two moments, instead of row by row.
EXACT_ROWS = 1 << 20
_CHUNK = 8 * draws.BLOCK  # rows whose replicates are summed in one matrix product
_ENTRIES = 1 << 12  # entries gathered at a time

T = TypeVar("T")
S = TypeVar("S")
Apply = Callable[[Predictions], Predictions]
Tick = Callable[[float], None]


def _silent(share: float) -> None:
    pass


@dataclass(frozen=True)
class Draws:
    """Which replicates to draw: how many, from what seed."""

    replicates: int
    seed: int


@dataclass(frozen=True, eq=False)
class ClassView:
    """One-vs-rest predictions in the only form that fits: the class totals, and each entry above
    the lowest edge that anybody asks for.

    Attributes:
        row, index, value: of each entry above `lowest`: its row, class and probability.
        labels, label_prob: (N,) each row's label and the label's probability.
        total: (K,) sum of w * probability, float64.
        weights: (N,) or None.
        totals: (R, K) the same sums in each replicate, or None.
        draws: how the replicates were drawn, or None.
    """

    lowest: float
    row: Array
    index: Array
    value: Array
    labels: Array
    label_prob: Array
    total: Array
    weights: Array | None
    totals: Array | None
    draws: Draws | None

    def cells(self, edges: Array) -> Cells:
        """Cells of every class at these edges, (K, M)."""
        at, where, value = self._entries(edges)
        size = (len(self.total), len(edges))
        weight = np.ones(len(self.labels)) if self.weights is None else self.weights
        flat = size[0] * size[1]
        n = np.bincount(at, weight[where], flat).reshape(size)
        p = np.bincount(at, weight[where] * value, flat).reshape(size)
        y = np.bincount(self._label_cells(edges), weight, flat).reshape(size)
        n[:, 0] = weight.sum() - n[:, 1:].sum(axis=1)
        p[:, 0] = self.total - p[:, 1:].sum(axis=1)
        return Cells(edges, n, p, y)

    def replicates(self, edges: Array, threads: int, tick: Tick = _silent) -> tuple[Array, Array]:
        """Gaps and masses of every class as shares of all rows, in each replicate: (R, K, M)."""
        assert self.draws is not None
        assert self.totals is not None
        size = (len(self.total), len(edges))
        shape = (self.draws.replicates, *size)
        gap, mass = np.empty(shape, np.float32), np.empty(shape, np.float32)
        entries = _by_target(*self._entries(edges))
        label_cells = self._label_cells(edges)
        rows = np.arange(len(label_cells))
        labels = _by_target(label_cells, rows, np.ones(len(rows), np.float32))

        def work(group: slice) -> None:
            assert self.draws is not None
            assert self.totals is not None
            drawn = _weights(self.draws.seed, 0, len(self.labels), group, self.weights)
            total = drawn.sum(axis=0, dtype=np.float64)
            total[total == 0] = np.nan
            flat = (size[0] * size[1], drawn.shape[1])
            n, p = (sums.reshape(*size, -1) for sums in _sums(entries, drawn, flat, 2))
            (y,) = (sums.reshape(*size, -1) for sums in _sums(labels, drawn, flat, 1))
            n[:, 0] = total - n[:, 1:].sum(axis=1)
            p[:, 0] = self.totals[group].T - p[:, 1:].sum(axis=1)
            y -= p
            y /= total
            n /= total
            gap[group], mass[group] = np.moveaxis(y, -1, 0), np.moveaxis(n, -1, 0)

        with ThreadPoolExecutor(threads) as pool:
            groups = draws.groups(self.draws.replicates)
            for done, _ in enumerate(pool.map(work, groups), start=1):
                tick(done / len(groups))
        some = np.isfinite(mass[:, 0, 0])  # a few rows may all weigh nothing
        return (gap, mass) if some.all() else (gap[some], mass[some])

    def _entries(self, edges: Array) -> tuple[Array, Array, Array]:
        """Cell, row and probability of the entries above the first bin."""
        above = self.value > edges[0].astype(self.value.dtype)
        value = self.value[above]
        at = self.index[above].astype(np.int64) * len(edges) + locate(value, edges)
        return at, self.row[above], value.astype(np.float32 if value.itemsize < 8 else np.float64)

    def _label_cells(self, edges: Array) -> Array:
        return np.asarray(self.labels * len(edges) + locate(self.label_prob, edges))


@dataclass(frozen=True, eq=False)
class Collected:
    """What the pass leaves of one system: its rows and, if asked for, its class view."""

    rows: Rows
    classes: ClassView | None


def collect(
    blocks: Iterable[Predictions],
    systems: Sequence[Apply],
    *,
    lowest: float | None,
    draw: Draws | None,
    threads: int,
) -> list[Collected]:
    """Read the blocks once and reduce them, each system's version beside the others.

    Args:
        blocks: predictions in file order, a multiple of `draws.BLOCK` rows each but the last.
        systems: what to make of a block before it is measured: itself, or calibrated.
        lowest: the lowest bin edge of the class view, or None if it is not needed.
        draw: the replicates of the class totals to draw, or None.
        threads: how many blocks to work on at a time.
    """

    def work(block: Predictions) -> list[_Part]:
        return [_reduce(system(block), lowest, keep=draw is not None) for system in systems]

    kept: list[list[_Part]] = [[] for _ in systems]
    totals: list[Array | None] = [None for _ in systems]
    start = 0
    for parts in ordered(work, blocks, threads):
        for k, part in enumerate(parts):
            if draw is not None and part.probs is not None:
                totals[k] = _add_totals(totals[k], part, start, draw)
                part.probs = None
            part.row = part.row + start
            kept[k].append(part)
        start += len(parts[0].rows.confidence)
    return [_joined(parts, lowest, total, draw) for parts, total in zip(kept, totals, strict=True)]


def resample(
    columns: Callable[[slice], Array],
    rows: int,
    draw: Draws,
    threads: int,
    weights: Array | None = None,
    tick: Tick = _silent,
) -> Array:
    """Replicates of the sums of any per-row columns: (R, C) float64.

    Args:
        columns: for a slice of rows, the (n, C) float32 values that are summed; the first
            column is 1, so that its sum is the weight of a replicate.
        rows: N.
        weights: (N,) row weights, which multiply the columns.
    """
    slices = [slice(low, min(low + _CHUNK, rows)) for low in range(0, rows, _CHUNK)]
    groups = draws.groups(draw.replicates)

    def weighted(at: slice) -> Array:
        x = columns(at)
        return x if weights is None else x * weights[at, None].astype(np.float32)

    def exact(at: slice) -> Array:
        x = weighted(at)
        drawn = (draws.weights(draw.seed, at.start, at.stop, group) for group in groups)
        return np.concatenate([w.T @ x for w in drawn])

    if rows <= EXACT_ROWS:
        total: Array | float = 0.0
        for done, part in enumerate(ordered(exact, slices, threads), start=1):
            total = total + part.astype(np.float64)
            tick(done / len(slices))
        return _not_empty(np.asarray(total))

    def moments(at: slice) -> tuple[Array, Array]:
        x = weighted(at)
        return x.sum(axis=0, dtype=np.float64), (x.T @ x).astype(np.float64)

    first: Array | float = 0.0
    second: Array | float = 0.0
    for done, (a, b) in enumerate(ordered(moments, slices, threads), start=1):
        first, second = first + a, second + b
        tick(done / len(slices))
    values, vectors = np.linalg.eigh(second)
    root = vectors * np.sqrt(np.maximum(values, 0))
    normal = np.random.Generator(np.random.SFC64([draw.seed])).standard_normal(
        (draw.replicates, len(values))
    )
    return np.asarray(first + normal @ root.T)


def _not_empty(sums: Array) -> Array:
    """Without the replicates in which no row has a weight: of a few rows, that happens."""
    return sums[sums[:, 0] > 0]


def ordered(work: Callable[[S], T], items: Iterable[S], threads: int) -> Iterator[T]:
    """Results of `work` in the order of the items, a few of them under way at a time."""
    if threads <= 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[T]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def cores() -> int:
    """How many threads to use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def unit(classes: int | None) -> int:
    """Rows a block: about 16 MB of float32, in whole blocks of the draws."""
    wanted = (1 << 22) // max(classes or 1, 256)
    return max(draws.BLOCK, wanted // draws.BLOCK * draws.BLOCK)


# ------------------------------------------------------------------ a block


@dataclass(eq=False)
class _Part:
    rows: Rows
    row: Array
    index: Array
    value: Array
    labels: Array | None
    label_prob: Array
    total: Array
    probs: Array | None


def _reduce(block: Predictions, lowest: float | None, *, keep: bool) -> _Part:
    none = np.zeros(0, np.int64)
    if lowest is None or block.labels is None:
        return _Part(reduce_rows(block), none, none, none, None, none, none, None)
    classes = int(block.classes or 0)
    wide = np.float64 if block.values.itemsize == 8 else np.float32
    probs = np.empty((block.rows, classes), wide) if keep else None
    row, index, value, label_prob = [], [], [], []
    total = np.zeros(classes)

    def visit(piece: Array, at: slice) -> None:
        labels = block.labels[at] if block.labels is not None else none
        count = len(piece)
        weight = np.ones(count) if block.weights is None else block.weights[at]
        own = piece if piece.itemsize > 2 else piece.astype(np.float32)
        np.add(total, weight.astype(own.dtype) @ own, out=total)
        contiguous = np.ascontiguousarray(piece)
        flat = np.flatnonzero(contiguous.ravel() > np.asarray(lowest).astype(piece.dtype))
        at_row, at_class = np.divmod(flat, classes)
        row.append((at_row + at.start).astype(np.int32))
        index.append(at_class.astype(np.int32))
        value.append(contiguous.ravel()[flat])
        label_prob.append(contiguous[np.arange(count), labels])
        if probs is not None:
            probs[at.start : at.start + count] = own

    rows = reduce_rows(block, visit)
    return _Part(
        rows,
        np.concatenate(row),
        np.concatenate(index),
        np.concatenate(value),
        block.labels,
        np.concatenate(label_prob),
        total,
        probs,
    )


def _add_totals(totals: Array | None, part: _Part, start: int, draw: Draws) -> Array:
    """Class totals of the replicates, with a block's share added."""
    probs = part.probs
    assert probs is not None
    if totals is None:
        totals = np.zeros((draw.replicates, probs.shape[1]))
    for group in draws.groups(draw.replicates):
        drawn = _weights(draw.seed, start, start + len(probs), group, part.rows.weights)
        totals[group] += drawn.T @ probs.astype(np.float32, copy=False)
    return totals


def _joined(
    parts: list[_Part], lowest: float | None, totals: Array | None, draw: Draws | None
) -> Collected:
    rows = Rows.concatenate(part.rows for part in parts)
    if lowest is None or parts[0].labels is None:
        return Collected(rows, None)
    view = ClassView(
        lowest=lowest,
        row=np.concatenate([part.row for part in parts]),
        index=np.concatenate([part.index for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        labels=np.concatenate([part.labels for part in parts if part.labels is not None]),
        label_prob=np.concatenate([part.label_prob for part in parts]),
        total=np.sum([part.total for part in parts], axis=0),
        weights=rows.weights,
        totals=totals,
        draws=draw,
    )
    return Collected(rows, view)


def _weights(seed: int, start: int, stop: int, group: slice, weights: Array | None) -> Array:
    drawn = draws.weights(seed, start, stop, group)
    if weights is not None:
        own = weights if len(weights) == stop - start else weights[start:stop]
        drawn *= own[:, None].astype(np.float32)
    return drawn


_Entries = tuple[Array, Array, Array]


def _by_target(target: Array, row: Array, value: Array) -> _Entries:
    order = np.argsort(target, kind="stable")
    return target[order], row[order], value[order].astype(np.float32)


def _sums(entries: _Entries, drawn: Array, shape: tuple[int, int], kinds: int) -> list[Array]:
    """Sums by target of the drawn weights and, if `kinds` is 2, of weight * value."""
    target, row, value = entries
    out = [np.zeros(shape, np.float32) for _ in range(kinds)]
    for low in range(0, len(target), _ENTRIES):
        part = slice(low, low + _ENTRIES)
        at = target[part]
        starts = np.flatnonzero(np.concatenate([[True], at[1:] != at[:-1]]))
        gathered = drawn[row[part]]
        out[0][at[starts]] += np.add.reduceat(gathered, starts, axis=0)
        if kinds == 2:
            gathered *= value[part, None]
            out[1][at[starts]] += np.add.reduceat(gathered, starts, axis=0)
    return out
