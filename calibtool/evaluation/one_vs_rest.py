"""The class view: every class one-vs-rest, in a form in which a thousand classes fit in memory.

Nearly all probabilities of K classes lie in the lowest bin. So only the entries above the lowest
edge of any metric are kept one by one; for the others, all in the first bin, their sum by class is
enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibtool.evaluation.perfect import Null, few, of_labels
from calibtool.intervals.draws import Draws, Targets, whole
from calibtool.metrics.cells import Cells, locate
from calibtool.parallel import ordered
from calibtool.types import Array

_AT_ONCE = 1 << 12  # entries whose drawn weights are summed at a time
# Entries from which on exact sums are made by a sparse matrix. Of fewer, 1,000 replicates take
# hardly longer one by one than the 0.15 s of importing scipy.
MANY = 1 << 16


@dataclass(frozen=True, eq=False)
class OneVsRest:
    """One-vs-rest predictions of N rows and K classes.

    Attributes:
        row, index, value: row, class and probability of each entry above the lowest edge.
        labels, label_prob: (N,) each row's label and the label's probability.
        low: (K,) sum of w * probability over the other entries, float64.
        weights: (N,) or None.
        lows: (R, K) the same sums in each replicate, or None.
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

    def replicates(
        self, edges: Array, threads: int, tick: Callable[[float], None]
    ) -> tuple[Array, Array]:
        """Return gaps and masses of every class as shares of all rows, in each replicate:
        (R, K, M) each."""
        draws, lows = self.draws, self.lows
        assert draws is not None
        assert lows is not None
        size = (len(self.low), len(edges))
        gap = np.empty((draws.replicates, *size), np.float32)
        mass = np.empty((draws.replicates, *size), np.float32)
        unit = draws.units(0, len(self.labels)) if draws.grouped else None
        weight = self._weight()
        at, row, value = self._entries(edges)
        flat = size[0] * size[1]
        drawn_rows = len(self.labels) if unit is None else draws.count
        shape = (flat, drawn_rows)
        entries = _sorted(at, row, [weight[row], weight[row] * value], unit, shape)
        rows = np.arange(len(self.labels))
        labels = _sorted(self._label_cells(edges), rows, [weight], unit, shape)
        whole_rows = _sorted(np.zeros(len(rows), np.int64), rows, [weight], unit, (1, drawn_rows))

        def work(group: slice) -> None:
            if draws.grouped:
                drawn = draws.unit_weights(group)
            else:
                drawn = draws.weights(0, len(self.labels), group)
            sums = [*entries.sums(drawn), *labels.sums(drawn)]
            n, p, y = (each.reshape(*size, -1) for each in sums)
            (total,) = whole_rows.sums(drawn)
            total[total == 0] = np.nan
            n[:, 0] = total - n[:, 1:].sum(axis=1)
            p[:, 0] += lows[group].T
            y -= p
            y /= total
            n /= total
            gap[group], mass[group] = np.moveaxis(y, -1, 0), np.moveaxis(n, -1, 0)

        for done, _ in enumerate(ordered(work, draws.groups, threads), start=1):
            tick(done / len(draws.groups))
        some = np.isfinite(mass[:, 0, 0])  # with a few rows, a replicate may draw none of them
        return (gap, mass) if some.all() else (gap[some], mass[some])

    def null(self, edges: Array) -> Null:
        """Return what draws the gaps of every class under perfect calibration, (R, K, M); None of
        many rows.

        What a row leaves to the entries that are not kept is shared out among its other classes
        like the sums of these.
        """
        draws = self.draws
        if draws is None or not few(draws):
            return None
        # above 0, so that there is something to share out: means may round to less
        low = np.maximum(self.low, 1e-300)
        probs = np.broadcast_to(low, (len(self.labels), len(low))).copy()
        probs[self.row, self.index] = 0
        left = 1 - np.bincount(self.row, self.value, len(probs))
        probs *= (np.maximum(left, 0) / np.maximum(probs.sum(axis=1), 1e-300))[:, None]
        probs[self.row, self.index] = self.value
        wheres = np.zeros(probs.shape, np.int64)
        wheres[self.row, self.index] = locate(self.value, edges)
        return lambda: of_labels(probs, list(wheres.T), len(edges), self.weights, draws)

    def _weight(self) -> Array:
        return np.ones(len(self.labels)) if self.weights is None else self.weights

    def _entries(self, edges: Array) -> tuple[Array, Array, Array]:
        """Return cell, row and probability of the entries that are kept one by one."""
        at = self.index.astype(np.int64) * len(edges) + locate(self.value, edges)
        return at, self.row, self.value.astype(np.float64)

    def _label_cells(self, edges: Array) -> Array:
        return np.asarray(self.labels * len(edges) + locate(self.label_prob, edges))


def _sorted(
    target: Array, row: Array, values: list[Array], unit: Array | None, shape: tuple[int, int]
) -> Targets:
    """Return the sums by target of each kind of value, those of one target and unit added up first.

    Args:
        target: (E,) the sum that each entry adds to.
        row: (E,) its row.
        values: for each kind of sum, (E,) what it adds per drawn weight.
        unit: (N,) the unit of each row, or None.
        shape: the number of targets, and of the rows or units that have weights.
    """
    if unit is None:
        order = np.argsort(target, kind="stable")
        targets, sources = target[order], row[order]
        added = [value[order].astype(np.float32) for value in values]
    else:
        keys, inverse = np.unique(target * shape[1] + unit[row], return_inverse=True)
        added = [np.bincount(inverse, v, len(keys)).astype(np.float32) for v in values]
        targets, sources = keys // shape[1], keys % shape[1]
    exact = [len(targets) >= MANY and whole(value) for value in added]
    return Targets(targets, sources, added, shape, exact=exact, at_once=_AT_ONCE)
