"""Measure: every metric on every system, with the replicates that its interval needs.

One set of draws serves all metrics of a call, and all systems, so that any two are comparable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from calibtool import intervals
from calibtool.cells import Cells, locate
from calibtool.checks import Array
from calibtool.classview import ClassView
from calibtool.collect import Collected, resample
from calibtool.draws import Draws
from calibtool.errors import NotAvailableError
from calibtool.metrics.profiles import Profile, profile
from calibtool.scores import Scores
from calibtool.spec import Spec
from calibtool.views import Rows

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Settings:
    """How intervals are made: the method's name, the draws (None without intervals), the level;
    how many threads may work, and whom to tell how far it is."""

    ci: str
    draws: Draws | None
    level: float
    threads: int
    progress: Progress


@dataclass(frozen=True, eq=False)
class Measured:
    """A metric on one system.

    Attributes:
        value: the plug-in value, or None where `missing` says why there is none.
        replicates: (R,) its value in each replicate, or None.
        inverse: what inverting the bootstrap found; calibration errors only.
    """

    value: float | None = None
    missing: str = ""
    replicates: Array | None = None
    inverse: intervals.Inverted | None = None


Finish = Callable[[Array | None], Measured]


def measure(
    specs: Sequence[Spec], collected: Sequence[Collected], settings: Settings, view: str
) -> tuple[list[list[Measured]], Measured]:
    """Every spec on every system, [system][spec], and the first system's bias: the mean of
    score - outcome in `view`."""
    plan = _Plan(settings)
    finish = [[plan.add(spec, system) for spec in specs] for system in collected]
    rows = collected[0].rows
    score, outcome = rows.view(view)
    bias = plan.mean(score.astype(np.float64) - outcome, rows.weights)
    sums = plan.resample(rows)
    return [[one(sums) for one in system] for system in finish], bias(sums)


class _Plan:
    """Values now, replicates later: the per-row columns whose resampled sums are wanted.

    The first column is ones: the sum of the weights. Metrics on the same bins share columns.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.width = 1
        self.builders: list[Callable[[slice], Array]] = []
        self._cells: dict[tuple[int, str], Cells] = {}
        self._bins: dict[tuple[int, str, bytes], slice] = {}

    def add(self, spec: Spec, system: Collected) -> Finish:
        """Compute a metric's value, and note the columns its interval needs."""
        try:
            if not spec.is_error:
                return self.mean(spec.rows(system.rows), system.rows.weights)
            if spec.view != "class":
                return self._bins_of(spec, system.rows)
            return self._classes(spec, system.classes)
        except NotAvailableError as error:
            missing = Measured(missing=str(error))
            return lambda sums: missing

    def resample(self, rows: Rows) -> Array | None:
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

    def _note(self, width: int, build: Callable[[slice], Array]) -> slice:
        at = slice(self.width, self.width + width)
        self.builders.append(build)
        self.width += width
        return at

    def mean(self, values: Array, weights: Array | None) -> Finish:
        """The weighted mean of a value a row."""
        values = np.asarray(values, dtype=np.float64)
        mean = Scores.from_rows(values, weights).mean
        if not np.isfinite(mean):
            return lambda sums: Measured(mean)
        finite = np.where(np.isfinite(values), values, mean)  # rows of weight 0 may be infinite
        scale = float(np.abs(finite - mean).max()) or 1.0
        centred = (finite - mean) / scale
        at = self._note(1, lambda part: centred[part, None]).start

        def finish(sums: Array | None) -> Measured:
            drawn = None if sums is None else mean + scale * sums[:, at] / sums[:, 0]
            return Measured(mean, replicates=drawn)

        return finish

    def _bins_of(self, spec: Spec, rows: Rows) -> Finish:
        score, outcome = rows.view(spec.view)
        if (id(rows), spec.view) not in self._cells:
            self._cells[id(rows), spec.view] = Cells.from_rows(score, outcome, rows.weights)
        cells = self._cells[id(rows), spec.view]
        edges = spec.edges(cells)
        pooled = cells.pool(edges)
        value = float(spec.value(profile(pooled)))
        key = (id(rows), spec.view, edges.tobytes())
        bins = len(edges)
        if key not in self._bins:
            where = locate(score, edges)
            residual = outcome - score.astype(np.float64)

            def build(part: slice) -> Array:
                out = np.zeros((part.stop - part.start, 2 * bins))
                row = np.arange(len(out))
                out[row, where[part]] = residual[part]
                out[row, bins + where[part]] = 1
                return out

            self._bins[key] = self._note(2 * bins, build)
        at = self._bins[key]

        def finish(sums: Array | None) -> Measured:
            if sums is None:
                return Measured(value)
            own = sums[:, at] / sums[:, :1]
            drawn = Profile(own[:, :bins], np.maximum(own[:, bins:], 0))
            return self._error(spec, value, pooled, drawn, rows.weights)

        return finish

    def _classes(self, spec: Spec, view: ClassView | None) -> Finish:
        if view is None:
            raise NotAvailableError("needs whole probability rows")
        edges = spec.edges(Cells.empty())
        cells = view.cells(edges)
        value = float(spec.value(profile(cells)))

        def finish(sums: Array | None) -> Measured:
            if view.draws is None:
                return Measured(value)
            tick = self.settings.progress
            gap, mass = view.replicates(
                edges, self.settings.threads, lambda share: tick("resampling classes", share)
            )
            drawn = Profile(gap, mass)
            return self._error(spec, value, cells, drawn, view.weights)

        return finish

    def _error(
        self, spec: Spec, value: float, cells: Cells, drawn: Profile, weights: Array | None
    ) -> Measured:
        """A calibration error with its replicates and, if it is the method, their inversion."""
        replicates = spec.value(drawn).astype(np.float64)
        if self.settings.ci != "inverted":
            return Measured(value, replicates=replicates)
        assert self.settings.draws is not None
        seen = profile(cells)
        inverse = intervals.invert(
            seen.gap,
            seen.mass,
            np.divide(cells.p, cells.n, out=np.zeros_like(cells.p), where=cells.n > 0),
            drawn.gap,
            drawn.mass,
            lambda gap, mass: spec.value(Profile(gap, mass)),
            rows=effective_rows(cells, weights),
            level=self.settings.level,
            seed=self.settings.draws.seed,
            threads=self.settings.threads,
        )
        return Measured(value, replicates=replicates, inverse=inverse)


def effective_rows(cells: Cells, weights: Array | None) -> float:
    """Rows that would be as informative if all weighed the same (Kish 1965, sec. 8.2)."""
    if weights is None:
        return float(np.asarray(cells.total).flat[0])
    return float(weights.sum() ** 2 / (weights**2).sum())
