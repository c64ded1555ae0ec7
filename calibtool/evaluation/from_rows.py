"""Measure: every metric on every system, with the replicates that its interval needs.

One set of draws serves all metrics of a call, and all systems, so that any two are comparable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from calibtool.data.rows import Rows
from calibtool.errors import NotAvailableError
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.binned import BinnedErrors, of_classes, of_panels
from calibtool.evaluation.collect import Collected
from calibtool.evaluation.curve_metrics import CurveMetrics
from calibtool.evaluation.measurement import Finish, Measurement, Settings, Sums, effective_rows
from calibtool.evaluation.plan import ColumnPlan
from calibtool.evaluation.whole_rows import of_counts, of_matrix, of_other
from calibtool.intervals import bootstrap
from calibtool.metrics.kinds import (
    BinnedError,
    CellMetric,
    CountMetric,
    MatrixMetric,
    Score,
    TwoFileMetric,
)
from calibtool.metrics.spec import Spec


def measure_rows(
    specs: Sequence[Spec],
    collected: Sequence[Collected],
    settings: Settings,
    view: str | None,
    others: Sequence[Rows | None],
) -> tuple[list[list[Measurement]], Measurement]:
    """Every spec on every system, [system][spec], and the first system's bias: the mean of
    score - outcome in `view`, if there is one. `others` are each system's rows of a second file, or
    None."""
    plan = ColumnPlan(settings)
    systems = zip(collected, others, strict=True)
    finish = [_System(system, other, specs, plan).finish() for system, other in systems]
    rows = collected[0].rows
    bias: Finish = lambda sums: Measurement()
    if view is not None:
        score, outcome = rows.view(view)
        bias = plan.mean(score.astype(np.float64) - outcome, rows.weights)
    sums = plan.resample(rows)
    return [[one(sums) for one in system] for system in finish], bias(sums)


class _System:
    """The metrics of one system: values at once, intervals when the draws are there."""

    def __init__(
        self, system: Collected, other: Rows | None, specs: Sequence[Spec], plan: ColumnPlan
    ) -> None:
        self.system, self.other, self.specs, self.plan = system, other, specs, plan
        self.bins = BinnedErrors(system.rows, plan)
        self._panels: dict[str, RowProblems] = {}
        self._curves: dict[str, CurveMetrics] = {}

    def finish(self) -> list[Finish]:
        return [self._one(spec) for spec in self.specs]

    def _one(self, spec: Spec) -> Finish:
        try:
            return self._add(spec)
        except NotAvailableError as error:
            missing = Measurement(missing=str(error))
            return lambda sums: missing

    def _add(self, spec: Spec) -> Finish:
        """Compute a metric's value, and note what its interval needs."""
        settings, system = self.plan.settings, self.system
        match spec.metric:
            case Score():
                values = spec.metric.rows(system.rows, **spec.options)
                mean = self.plan.mean(values, system.rows.weights)
                return self._reaching(mean, spec.metric) if spec.metric.reach else mean
            case CountMetric():
                return of_counts(spec, spec.metric, system.rows, settings)
            case MatrixMetric():
                return of_matrix(spec, spec.metric, system, settings)
            case TwoFileMetric():
                return of_other(spec, spec.metric, system.rows, self.other, settings)
            case CellMetric():
                return self._curves_of(spec.view).add(spec)
            case BinnedError():
                if spec.view in ("top", "positive"):
                    return self.bins.add(spec)
                if spec.view == "class" and spec.one_edge_for_all:
                    return of_classes(spec, system.classes, settings)
                return of_panels(spec, self._panels_of(spec.view), settings)

    def _reaching(self, mean: Finish, metric: Score) -> Finish:
        """A mean whose interval contains what the metric says that it must."""
        settings, rows = self.plan.settings, self.system.rows
        count = effective_rows(float(len(rows.confidence)), rows.weights)

        def finish(sums: Sums) -> Measurement:
            found = mean(sums)
            if not settings.inverted or found.value is None or found.replicates is None:
                return found
            method = settings.resampling.method(is_error=False)
            low, high = bootstrap.plain(
                method, found.value, found.replicates, settings.level, found.acceleration
            )
            assert metric.reach is not None
            least, most = metric.reach(found.value, count, settings.level)
            return replace(
                found, interval=(min(max(low, 0.0), least), max(high, most)), method=method
            )

        return finish

    def _panels_of(self, view: str) -> RowProblems:
        if view not in self._panels:
            self._panels[view] = RowProblems(self.system, view)
        return self._panels[view]

    def _curves_of(self, view: str) -> CurveMetrics:
        if view not in self._curves:
            own = [s for s in self.specs if isinstance(s.metric, CellMetric) and s.view == view]
            self._curves[view] = CurveMetrics(self._panels_of(view), own, self.plan.settings)
        return self._curves[view]
