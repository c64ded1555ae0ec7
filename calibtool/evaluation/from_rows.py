"""Measure from rows: every metric on every variant, with the replicates that its interval needs.

One set of draws serves all metrics and all variants, so that any two are comparable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from calibtool.data.rows import Rows
from calibtool.errors import NotAvailableError
from calibtool.evaluation import costs
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.binned import BinnedErrors, of_classes, of_problems
from calibtool.evaluation.collect import Collected
from calibtool.evaluation.curve_metrics import CurveMetrics
from calibtool.evaluation.measurement import Finish, Measurement, Settings, Sums, effective_rows
from calibtool.evaluation.plan import ColumnPlan
from calibtool.evaluation.profile_errors import SharedProfiles
from calibtool.evaluation.statistic import tested
from calibtool.evaluation.unseen_rows import Case, FewRows, UnseenRows, cases_of_bias
from calibtool.evaluation.whole_rows import of_counts, of_matrix, of_two_files
from calibtool.intervals import bootstrap, unseen
from calibtool.metrics.kinds import (
    BinnedError,
    CellMetric,
    CountMetric,
    MatrixMetric,
    Score,
    TwoFileMetric,
)
from calibtool.metrics.spec import Spec
from calibtool.parallel import Work
from calibtool.types import Array


def measure_rows(
    specs: Sequence[Spec],
    collected: Sequence[Collected],
    settings: Settings,
    view: str | None,
    others: Sequence[Rows | None],
    work: Work,
) -> tuple[list[list[Measurement]], Measurement]:
    """Measure every spec on every variant.

    Args:
        specs: metrics, with resolved views.
        collected: what the pass kept of each variant.
        settings: how they are measured.
        view: view of the bias, or None for no bias.
        others: each variant's rows of a second file, or None.
        work: the progress, in which each metric is a part.

    Returns measurements by [variant][spec], and the first variant's bias: the mean of score -
    outcome in `view`.
    """
    plan = ColumnPlan(settings)

    def begin(name: str, stage: str) -> None:
        work.next(name)
        work(stage, math.nan)

    finishes = []
    for k, (variant, other) in enumerate(zip(collected, others, strict=True)):
        one, finishing = _VariantMetrics(variant, other, specs, plan), []
        for number, spec in enumerate(specs):
            begin(costs.value(k, number), spec.name)
            finishing.append(one.finish_of(spec))
        finishes.append(finishing)
    rows = collected[0].rows
    bias: Finish = lambda sums: Measurement()
    if view is not None:
        score, outcome = rows.view(view)
        bias = plan.mean(
            score.astype(np.float64) - outcome,
            rows.weights,
            lambda: _bias(score, rows, settings),
            few=None if settings.draws is None else FewRows.of(rows, settings.draws),
        )
    work.next("resampling")
    sums = plan.resample(rows)

    def finished(k: int, number: int, finish: Finish) -> Measurement:
        name = specs[number].name
        begin(costs.interval(k, number), f"interval of {name}" if settings.draws else name)
        return finish(sums)

    measured = [
        [finished(k, number, finish) for number, finish in enumerate(variant)]
        for k, variant in enumerate(finishes)
    ]
    return measured, bias(sums)


def _bias(score: Array, rows: Rows, settings: Settings) -> list[Case]:
    """Return what score - outcome may be for an unseen row."""
    draws = settings.draws
    assert draws is not None
    weights = np.ones(len(score)) if rows.weights is None else rows.weights
    mass = unseen.cluster_mass(draws, rows.weights)
    return cases_of_bias(score, draws, np.ones(len(score)), weights, mass)


class _VariantMetrics:
    """The metrics of one variant: values at once, intervals once the columns are resampled."""

    def __init__(
        self, variant: Collected, other: Rows | None, specs: Sequence[Spec], plan: ColumnPlan
    ) -> None:
        self.variant, self.other, self.specs, self.plan = variant, other, specs, plan
        self.shared = SharedProfiles()
        self.bins = BinnedErrors(variant.rows, plan, self.shared)
        self._problems: dict[str, RowProblems] = {}
        self._curves: dict[str, CurveMetrics] = {}

    def finish_of(self, spec: Spec) -> Finish:
        """Compute a metric's value, and return what finishes it."""
        try:
            return self._add(spec)
        except NotAvailableError as error:
            missing = Measurement(missing=str(error))
            return lambda sums: missing

    def _add(self, spec: Spec) -> Finish:
        """Compute a metric's value, and note the columns that its interval needs."""
        settings, variant = self.plan.settings, self.variant
        match spec.metric:
            case Score():
                return self._score(spec, spec.metric)
            case CountMetric():
                return of_counts(spec, spec.metric, variant.rows, settings, self._unseen, self._few)
            case MatrixMetric():
                return of_matrix(spec, spec.metric, variant, settings)
            case TwoFileMetric():
                return of_two_files(spec, spec.metric, variant.rows, self.other, settings)
            case CellMetric(edges=None):
                finish = self._curves_of(spec.view).add(spec)
                return tested(finish, spec, self._problems_of(spec.view), settings)
            case CellMetric():
                return of_problems(spec, self._problems_of(spec.view), settings, self.shared)
            case BinnedError():
                if spec.view in ("top", "positive"):
                    return self.bins.add(spec)
                if spec.view == "class" and spec.one_edge_for_all:
                    return of_classes(spec, variant.classes, settings, self.shared)
                return of_problems(spec, self._problems_of(spec.view), settings, self.shared)

    def _score(self, spec: Spec, metric: Score) -> Finish:
        rows, found = self.variant.rows, self._unseen
        values = spec.of_rows(rows)
        if found is None or "refined" in metric.needs:  # a fit to other rows cannot be redone
            mean = self.plan.mean(values, rows.weights)
        else:
            mean = self.plan.mean(
                values, rows.weights, lambda: found.cases(spec), spec.limits, self._few
            )
        return self._reaching(mean, metric) if metric.reach else mean

    @cached_property
    def _unseen(self) -> UnseenRows | None:
        """The rows of which an unseen one may be; None where no interval asks for them."""
        sample, draws = self.variant.sample, self.plan.settings.draws
        if sample is None or draws is None:
            return None
        columns = {n for s in self.specs if isinstance(s.metric, Score) for n in s.metric.needs}
        mass = unseen.cluster_mass(draws, self.variant.rows.weights)
        return UnseenRows(sample, draws, frozenset(columns - {"refined"}), mass=mass)

    @cached_property
    def _few(self) -> FewRows | None:
        draws = self.plan.settings.draws
        return None if draws is None else FewRows.of(self.variant.rows, draws)

    def _reaching(self, mean: Finish, metric: Score) -> Finish:
        """Measure a mean whose interval also contains what the metric cannot exclude by theory.

        Resampled rows do not show how far a fit to them (the refined probabilities of
        calibration-loss) is from the best one; `Score.reach` says which values that leaves
        possible.
        """
        settings, rows = self.plan.settings, self.variant.rows
        count = effective_rows(float(len(rows.confidence)), rows.weights)

        def finish(sums: Sums) -> Measurement:
            measurement = mean(sums)
            value, replicates = measurement.value, measurement.replicates
            if not settings.inverted or value is None or replicates is None:
                return measurement
            method = settings.resampling.method(is_error=False)
            low, high = bootstrap.plain(
                method, value, replicates, settings.level, measurement.acceleration
            )
            assert metric.reach is not None
            least, most = metric.reach(value, count, settings.level)
            return replace(
                measurement, interval=(min(max(low, 0.0), least), max(high, most)), method=method
            )

        return finish

    def _problems_of(self, view: str) -> RowProblems:
        if view not in self._problems:
            self._problems[view] = RowProblems(self.variant, view)
        return self._problems[view]

    def _curves_of(self, view: str) -> CurveMetrics:
        if view not in self._curves:
            specs = [s for s in self.specs if s.is_curve and s.view == view]
            self._curves[view] = CurveMetrics(self._problems_of(view), specs, self.plan.settings)
        return self._curves[view]
