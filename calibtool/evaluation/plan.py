"""ColumnPlan: the per-row columns whose resampled sums are wanted.

Every metric computes its value at once and notes the columns that its interval needs; then all
columns of all metrics are resampled in one pass over the rows, by the same draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from calibtool.data.rows import Rows
from calibtool.evaluation.collect import InBins, resample
from calibtool.evaluation.measurement import Finish, Measurement, Settings, Sums
from calibtool.evaluation.unseen_rows import INFINITE, Case, FewRows, mean_ends, with_ends
from calibtool.intervals import bootstrap, unseen
from calibtool.metrics.cells import ScoreSum
from calibtool.types import Array


class ColumnPlan:
    """The columns to resample. The first is ones: its sum is the weight of a replicate."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.width = 1
        self.builders: list[Callable[[slice], Array]] = []
        self.binned: list[InBins] = []
        # where the columns of the builders, and those of bins, are among all
        self.places: list[int] = [0]
        self.places_of_bins: list[int] = []

    def note(self, width: int, build: Callable[[slice], Array]) -> slice:
        """Ask for the sums of `width` columns, and return where among all columns they will be.

        `build` returns the values of the rows in a slice, (n, width).
        """
        self.builders.append(build)
        return self._placed(self.places, width)

    def note_bins(self, columns: InBins) -> slice:
        """Ask for the sums of columns of bins, and return where among all columns they will be."""
        self.binned.append(columns)
        return self._placed(self.places_of_bins, 2 * columns.bins)

    def _placed(self, places: list[int], width: int) -> slice:
        at = slice(self.width, self.width + width)
        places.extend(range(at.start, at.stop))
        self.width += width
        return at

    def resample(self, rows: Rows) -> Sums:
        """Return the sums of all columns in every replicate, (R, columns); None without draws."""
        if self.settings.draws is None or self.width == 1:
            return None
        sums = resample(
            self._build,
            self.settings.draws,
            self.settings.threads,
            rows.weights,
            lambda share: self.settings.progress("resampling", share),
            self.binned,
        )
        # of rows that are contiguous still: the order in which they are added makes last digits
        return np.take(sums, np.argsort(self.places + self.places_of_bins), axis=1)

    def _build(self, at: slice) -> Array:
        ones = np.ones((at.stop - at.start, 1))
        return np.concatenate([ones, *(build(at) for build in self.builders)], axis=1)

    def mean(
        self,
        values: Array,
        weights: Array | None,
        cases: Callable[[], Sequence[Case] | None] | None = None,
        bounds: tuple[float, float] = (-math.inf, math.inf),
        few: FewRows | None = None,
    ) -> Finish:
        """Measure the weighted mean of one value per row, (N,).

        What is resampled is (value - mean) / scale: sums of values far from 0 would lose the digits
        in which replicates differ.

        Args:
            values: (N,); booleans for a share of the rows.
            weights: (N,) or None.
            cases: returns what the value of an unseen row may be; None for an interval of the
                replicates alone.
            bounds: the metric's range.
            few: the rows that are drawn with Exp(1) weights where an unseen row is added.
        """
        settings = self.settings
        alike = weights is None and (settings.draws is None or settings.draws.cluster is None)
        share = alike and values.dtype == bool
        values = np.asarray(values, dtype=np.float64)
        mean = ScoreSum.from_rows(values, weights).mean
        if not np.isfinite(mean):
            return lambda sums: Measurement(mean)
        finite = np.where(np.isfinite(values), values, mean)  # rows of weight 0 may be infinite
        scale = float(np.abs(finite - mean).max()) or 1.0
        centred = (finite - mean) / scale
        at = self.note(1, lambda part: centred[part, None]).start

        def finish(sums: Sums) -> Measurement:
            if sums is None:
                return Measurement(mean)
            replicates = mean + scale * sums[:, at] / sums[:, 0]
            influence: Array = centred if weights is None else centred * weights
            cluster = None if settings.draws is None else settings.draws.cluster
            if cluster is not None:
                influence = np.bincount(cluster, influence)  # clusters are what is resampled
            skew = bootstrap.skewness(influence)
            measurement = Measurement(mean, replicates=replicates, acceleration=skew)
            if cases is None or not settings.inverted:
                return measurement
            if share:
                exact = unseen.of_share(mean, float(len(values)), settings.level)
                return with_ends(measurement, exact, "clopper-pearson")
            found = cases()
            if found is None:
                return replace(measurement, without=INFINITE)
            if not found:
                return measurement
            total = sums[:, 0]
            if few is not None and len(few.swapped) == len(sums):
                of_few = 1.0 if weights is None else weights[few.rows]
                total = total + few.swapped @ (of_few * np.ones(len(few.rows)))
                moved = sums[:, at] + few.swapped @ (of_few * centred[few.rows])
                replicates = mean + scale * moved / total
            ends = mean_ends(replicates, total, found, settings.level, bounds)
            return with_ends(measurement, ends, "unseen")

        return finish
