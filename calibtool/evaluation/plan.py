"""Values now, replicates later: the per-row columns whose resampled sums are wanted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calibtool.data.rows import Rows
from calibtool.evaluation.collect import resample
from calibtool.evaluation.measurement import Finish, Measurement, Settings, Sums
from calibtool.intervals import bootstrap
from calibtool.metrics.cells import ScoreSum
from calibtool.types import Array


class ColumnPlan:
    """The columns that are wanted. The first is ones: its sum is the weight of a replicate."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.width = 1
        self.builders: list[Callable[[slice], Array]] = []

    def note(self, width: int, build: Callable[[slice], Array]) -> slice:
        """Ask for the sums of some columns; where they will stand."""
        at = slice(self.width, self.width + width)
        self.builders.append(build)
        self.width += width
        return at

    def resample(self, rows: Rows) -> Sums:
        """The replicates of all columns' sums, (R, columns)."""
        if self.settings.draws is None or not self.builders:
            return None
        return resample(
            self._build,
            self.settings.draws,
            self.settings.threads,
            rows.weights,
            lambda share: self.settings.progress("resampling", share),
        )

    def _build(self, at: slice) -> Array:
        ones = np.ones((at.stop - at.start, 1))
        return np.concatenate([ones, *(build(at) for build in self.builders)], axis=1)

    def mean(self, values: Array, weights: Array | None) -> Finish:
        """The weighted mean of a value a row."""
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
            drawn = mean + scale * sums[:, at] / sums[:, 0]
            influence: Array = centred if weights is None else centred * weights
            cluster = None if self.settings.draws is None else self.settings.draws.cluster
            if cluster is not None:
                influence = np.bincount(cluster, influence)
            return Measurement(mean, replicates=drawn, acceleration=bootstrap.skewness(influence))

        return finish
