"""The class view: every class one-vs-rest, in a form in which a thousand classes fit in memory.

Nearly all probabilities of K classes lie in the lowest bin. So only the entries above the lowest
edge of any metric are kept one by one; for the others, all in the first bin, their sum by class is
enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from calibtool.evaluation.occupied_bins import OccupiedBins
from calibtool.evaluation.perfect import Null, few, of_labels
from calibtool.intervals.drawn_sums import Counts, Targets, has_matrices
from calibtool.intervals.draws import GROUP, UNITS, Draws
from calibtool.metrics.cells import Cells, locate
from calibtool.parallel import ordered, within_room
from calibtool.types import Array

_AT_ONCE = 1 << 12  # entries whose drawn weights are summed at a time
# Probabilities of whole rows that are made at a time: 8 MB.
_PROBS = 1 << 20


@dataclass(eq=False)
class OneVsRest:
    """One-vs-rest predictions of N rows and K classes.

    Attributes:
        row, index, value: row, class and probability of each entry above the lowest edge.
        labels, label_prob: (N,) each row's label and the label's probability.
        low: (K,) sum of w * probability over the other entries, float64.
        weights: (N,) or None.
        lows: (R, K) the same sums in each replicate; None without draws, and once replicates are
            made of all edges.
        draws: how the replicates are drawn, or None.
    """

    row: Array
    index: Array
    value: Array
    labels: Array
    label_prob: Array
    low: Array
    weights: Array | None
    lows: Array | None
    draws: Draws | None

    def cells(self, edges: Array) -> Cells:
        """Return the cells of every class at these edges, (K, M)."""
        at, row, value = self._entries(edges)
        size = (len(self.low), len(edges))
        weight = self._weight()
        flat = size[0] * size[1]
        # without entries, bincount returns integers
        n = np.bincount(at, weight[row], flat).astype(np.float64).reshape(size)
        p = np.bincount(at, weight[row] * value, flat).astype(np.float64).reshape(size)
        y = np.bincount(self._label_cells(edges), weight, flat).reshape(size)
        n[:, 0] = weight.sum() - n[:, 1:].sum(axis=1)  # the entries that are not kept are there
        p[:, 0] += self.low
        return Cells(edges, n, p, y)

    def rows_by_bin(self, edges: Array) -> Array:
        """Return the effective number of rows of every class's bins (Kish 1965), (K, M)."""
        at, row, _ = self._entries(edges)
        weight = self._weight()
        sums = []
        for of_row in (weight, weight**2):
            total = np.bincount(at, of_row[row], len(self.low) * len(edges))
            of_bins = total.astype(np.float64).reshape(len(self.low), len(edges))
            of_bins[:, 0] = of_row.sum() - of_bins[:, 1:].sum(axis=1)
            sums.append(np.maximum(of_bins, 0))  # a difference may end just below 0
        n, squares = sums
        return np.divide(n * n, squares, out=np.zeros_like(n), where=squares > 0)

    def occupied(self, edges: Array) -> OccupiedBins:
        """Return the bins at these edges that may hold rows."""
        return OccupiedBins.of(self._entries(edges)[0], len(self.low), len(edges))

    def replicates(
        self, edges: Array, bins: OccupiedBins, threads: int, tick: Callable[[float], None]
    ) -> tuple[Array, Array]:
        """Return gaps and masses of the occupied bins of every class as shares of all rows, in each
        replicate: (R, *bins.shape) each."""
        draws, lows = self.draws, self.lows
        assert draws is not None
        assert lows is not None
        flat = len(bins.at)
        gap = np.empty((draws.replicates, flat), np.float32)
        mass = np.empty((draws.replicates, flat), np.float32)
        sums = self._sums(edges, bins)

        def work(group: slice) -> None:
            n, p, y, total = sums(group)
            total[total == 0] = np.nan
            n[bins.firsts] = total - bins.after_first(n)
            p[bins.firsts] += lows[group].T
            y -= p
            y /= total
            n /= total
            gap[group], mass[group] = y.T, n.T

        # what `work` holds: four float32 numbers per bin and two float64 ones per class
        size = GROUP * (16 * flat + 16 * len(self.low))
        threads = within_room(threads, size)
        for done, _ in enumerate(ordered(work, draws.groups, threads), start=1):
            tick(done / len(draws.groups))
        some = np.isfinite(mass[:, 0])  # with a few rows, a replicate may draw none of them
        gap, mass = (gap, mass) if some.all() else (gap[some], mass[some])
        return gap.reshape(-1, *bins.shape), mass.reshape(-1, *bins.shape)

    def _sums(self, edges: Array, bins: OccupiedBins) -> Callable[[slice], Sequence[Array]]:
        """Return what draws a group of replicates of, (r columns each): the weight and the
        probabilities of the entries that are kept, and the weight of the labels, by occupied bin,
        and the weight of all rows."""
        draws, weight, flat = self.draws, self._weight(), len(bins.at)
        assert draws is not None
        at, row, value = self._entries(edges)
        place, of_label = bins.place(at), bins.place(self._label_cells(edges))
        rows = np.arange(len(self.labels))
        if self.weights is None and not draws.grouped and has_matrices(draws.rows):
            targets = [place, flat + of_label, np.full(len(rows), 2 * flat)]
            of_rows = np.concatenate([row, rows, rows])
            counts = Counts(np.concatenate(targets), of_rows, 2 * flat + 1, draws.rows)
            probs = _sorted(place, row, [value], None, flat)

            def counted(group: slice) -> Sequence[Array]:
                n, y, total = np.split(counts.sums(draws, group), [flat, 2 * flat])
                return n, *probs.sums(draws.words(0, draws.rows, group), group), y, total

            return counted
        unit = draws.units(0, len(rows)) if draws.grouped else None
        units = len(rows) if unit is None else draws.count
        entries = _sorted(place, row, [weight[row], weight[row] * value], unit, flat)
        labels = _sorted(of_label, rows, [weight], unit, flat)
        whole_rows = _sorted(np.zeros(len(rows), np.int64), rows, [weight], unit, 1)

        def summed(group: slice) -> Sequence[Array]:
            drawn = draws.words(0, units, group)
            return [s for each in (entries, labels, whole_rows) for s in each.sums(drawn, group)]

        return summed

    def null(self, edges: Array, bins: OccupiedBins) -> Null:
        """Return what draws the gaps of the occupied bins under perfect calibration,
        (R, *bins.shape); None of many rows.

        What a row leaves to the entries that are not kept is shared out among its other classes
        like the sums of these.
        """
        draws = self.draws
        if draws is None or not few(draws):
            return None

        def parts() -> Iterator[tuple[Array, Array]]:
            # above 0, so that there is something to share out: means may round to less
            low, place = np.maximum(self.low, 1e-300), bins.place(self._entries(edges)[0])
            step = max(1, _PROBS // len(low))
            for start in range(0, len(self.labels), step):
                size = min(step, len(self.labels) - start)
                first, last = np.searchsorted(self.row, [start, start + size])
                row, index, value = (x[first:last] for x in (self.row, self.index, self.value))
                probs, row = np.broadcast_to(low, (size, len(low))).copy(), row - start
                probs[row, index] = 0
                left = 1 - np.bincount(row, value, size)
                probs *= (np.maximum(left, 0) / np.maximum(probs.sum(axis=1), 1e-300))[:, None]
                probs[row, index] = value
                where = np.broadcast_to(bins.firsts, probs.shape).copy()
                where[row, index] = place[first:last]
                yield probs, where

        def gaps() -> Array:
            drawn = of_labels(parts(), len(bins.at), self.weights, draws)
            return drawn.reshape(-1, *bins.shape)

        return gaps

    def _weight(self) -> Array:
        return np.ones(len(self.labels)) if self.weights is None else self.weights

    def _entries(self, edges: Array) -> tuple[Array, Array, Array]:
        """Return cell, row and probability of the entries that are kept one by one."""
        at = self.index.astype(np.int64) * len(edges) + locate(self.value, edges)
        return at, self.row, self.value.astype(np.float64)

    def _label_cells(self, edges: Array) -> Array:
        return np.asarray(self.labels * len(edges) + locate(self.label_prob, edges))


def _sorted(
    target: Array, row: Array, values: list[Array], unit: Array | None, size: int
) -> Targets:
    """Return the sums by target of each kind of value, those of one target and unit added up first.

    Args:
        target: (E,) the sum that each entry adds to.
        row: (E,) its row.
        values: for each kind of sum, (E,) what it adds per drawn weight.
        unit: (N,) the unit of each row, or None.
        size: the number of targets.
    """
    if unit is None:
        order = np.argsort(target, kind="stable")
        targets, sources = target[order], row[order]
        added = [value[order].astype(np.float32) for value in values]
    else:
        keys, inverse = np.unique(target * UNITS + unit[row], return_inverse=True)
        added = [np.bincount(inverse, v, len(keys)).astype(np.float32) for v in values]
        targets, sources = keys // UNITS, keys % UNITS
    return Targets(targets, sources, added, size, at_once=_AT_ONCE)
