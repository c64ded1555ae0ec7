"""Sums by unit: what a bootstrap needs of predictions that come in rows of several.

The rows of a file that hold several predictions each (images, texts, multi-label rows) are
resampled whole. A metric that is a sum over predictions, or over bins of predictions, then needs
its sums for each such row, or for each group of rows that are drawn together, and no prediction:
1,000 images of any size take a few megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calibtool.data.blocks import Reduced
from calibtool.metrics.cells import Cells, locate
from calibtool.metrics.kinds import BinnedError
from calibtool.metrics.spec import ONE_SCORE, Spec
from calibtool.types import Array

# Sums of a unit that one error may take: of 1,024 units, 2**16 are 512 MB of float64. Those of
# 1,000 classes in 30 bins fit.
MOST_SUMS = 1 << 16


def bins_of(spec: Spec) -> tuple[str, tuple[float, ...]] | None:
    """Return the view and the upper edges of a binned error whose edges are fixed; None of other
    metrics."""
    if not isinstance(spec.metric, BinnedError) or not spec.one_edge_for_all:
        return None
    return spec.view, tuple(spec.edges(Cells.empty()).tolist())


@dataclass(frozen=True, eq=False)
class UnitSums:
    """Sums of columns by unit. Those of other predictions can be added.

    Attributes:
        units: (U,) the units that were seen, increasing.
        sums: (U, C) the sums.
    """

    units: Array
    sums: Array

    def __add__(self, other: UnitSums) -> UnitSums:
        units = np.union1d(self.units, other.units)
        sums = np.zeros((len(units), self.sums.shape[1]))
        for part in (self, other):
            sums[np.searchsorted(units, part.units)] += part.sums
        return UnitSums(units, sums)

    def dense(self, count: int) -> Array:
        """Return the sums of units 0 to count - 1, (count, C)."""
        out = np.zeros((count, self.sums.shape[1]))
        out[self.units] = self.sums
        return out


@dataclass(frozen=True, eq=False)
class UnitColumns:
    """The columns that are summed: weight, scores, and for every bin its weight and its gap.

    Attributes:
        column: the column that numbers the rows of the file.
        unit: (rows of the file,) the unit of each.
        scores: names of the metrics that are the mean of one value per prediction.
        bins: view and upper edges of binned errors of one score per prediction.
        class_bins: upper edges of binned errors of all classes.
        classes: K.
        view: of the mean gap.
    """

    column: str
    unit: Array
    scores: tuple[str, ...]
    bins: tuple[tuple[str, tuple[float, ...]], ...]
    class_bins: tuple[tuple[float, ...], ...]
    classes: int
    view: str

    @staticmethod
    def of(
        specs: Sequence[Spec],
        scores: Iterable[str],
        column: str,
        unit: Array,
        classes: int | None,
        view: str,
    ) -> UnitColumns:
        """Return the columns for some metrics; `scores` are the means that a summary keeps."""
        bins: dict[tuple[str, tuple[float, ...]], None] = {}
        class_bins: dict[tuple[float, ...], None] = {}
        for spec in specs:
            if (key := bins_of(spec)) is None:
                continue
            if spec.view in ONE_SCORE:
                bins[key] = None
            elif spec.view == "class" and (classes or 0) * len(key[1]) * 2 <= MOST_SUMS:
                class_bins[key[1]] = None
        return UnitColumns(
            column, unit, tuple(scores), tuple(bins), tuple(class_bins), classes or 0, view
        )

    @cached_property
    def places(self) -> dict[object, slice]:
        """Where the columns of each score, view and profile are."""
        widths: dict[object, int] = {"weight": 1, "gap": 1}
        widths |= dict.fromkeys(self.scores, 1)
        widths |= {key: 2 * len(key[1]) for key in self.bins}
        widths |= {("class", e): 2 * self.classes * len(e) for e in self.class_bins}
        ends = np.cumsum(list(widths.values())).tolist()
        starts = [0, *ends[:-1]]
        return {key: slice(a, b) for key, a, b in zip(widths, starts, ends, strict=True)}

    @property
    def lowest(self) -> float | None:
        """The lowest edge of the bins of the classes."""
        return min((edges[0] for edges in self.class_bins), default=None)

    def sums(self, numbers: Array, reduced: Reduced, values: Mapping[str, Array]) -> UnitSums:
        """Return the sums of a block: the rows of the file that its predictions belong to, its
        predictions, and the values of its scores."""
        unit = self.unit[numbers]
        # rows of one image follow one another: sums are taken over stretches of equal units
        new = np.append(True, unit[1:] != unit[:-1])
        first, stretch = np.flatnonzero(new), np.cumsum(new) - 1
        summed = np.zeros((len(first), max(at.stop for at in self.places.values())))
        weights = reduced.rows.weights
        weight = np.ones(len(unit)) if weights is None else weights

        def add(key: object, where: Array, of_row: Array, size: int, half: int = 0) -> None:
            at = self.places[key]
            sums = np.bincount(where, of_row, len(first) * size).reshape(len(first), size)
            summed[:, at.start + half * size : at.start + (half + 1) * size] += sums

        add("weight", stretch, weight, 1)
        for name, value in values.items():
            finite = np.where(np.isfinite(value), value, 0)  # elsewhere the mean is infinite
            add(name, stretch, weight * finite, 1)
        score, outcome = reduced.rows.view(self.view)
        add("gap", stretch, weight * (score.astype(np.float64) - outcome), 1)
        for key in self.bins:
            view, edges = key
            score, outcome = reduced.rows.view(view)
            size = len(edges)
            where = stretch * size + locate(score, np.array(edges))
            add(key, where, weight, size)
            add(key, where, weight * (outcome - score.astype(np.float64)), size, 1)
        for edges in self.class_bins:
            self._add_classes(summed, edges, reduced, stretch, first, weight)
        units, inverse = np.unique(unit[first], return_inverse=True)
        total = np.zeros((len(units), summed.shape[1]))
        np.add.at(total, inverse, summed)
        return UnitSums(units, total)

    def _add_classes(
        self,
        summed: Array,
        edges: tuple[float, ...],
        reduced: Reduced,
        stretch: Array,
        first: Array,
        weight: Array,
    ) -> None:
        """Add the weight and the gap of every bin of every class.

        `reduced` lists the scores above the lowest edge one by one; the lowest bin is the rest.
        """
        assert reduced.labels is not None
        assert reduced.low_probs is not None
        bins, classes, upper = len(edges), self.classes, np.array(edges)
        size = classes * bins
        above = locate(reduced.value, upper)
        row, some = stretch[reduced.row], weight[reduced.row]
        where = row * size + reduced.index.astype(np.int64) * bins + above
        shape = (len(first), classes, bins)

        def binned(at: Array, of_row: Array) -> Array:
            return np.bincount(at, of_row, len(first) * size).reshape(shape)

        mass = binned(where, some)
        score = binned(where, some * reduced.value.astype(np.float64))
        label = stretch * size + reduced.labels * bins + locate(reduced.label_prob, upper)
        outcome = binned(label, weight)
        low = reduced.low_probs.astype(np.float64) * weight[:, None]
        score[..., 0] += np.add.reduceat(low, first, axis=0)
        mass[..., 0] += np.bincount(stretch, weight)[:, None] - mass.sum(axis=-1)
        at = self.places["class", edges]
        summed[:, at] += np.concatenate([mass, outcome - score], axis=1).reshape(len(first), -1)
