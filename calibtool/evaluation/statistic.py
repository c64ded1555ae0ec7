"""The p-values of test statistics, such as that of Hosmer and Lemeshow."""

from __future__ import annotations

from dataclasses import replace

from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.measurement import Finish, Measurement, Settings, Sums
from calibtool.metrics.kinds import CellMetric
from calibtool.metrics.spec import Spec


def tested(finish: Finish, spec: Spec, problems: RowProblems, settings: Settings) -> Finish:
    """Return what finishes a metric, with its p-value where its distribution is known: of one
    problem whose rows count alike and are independent."""
    metric = spec.metric
    if not isinstance(metric, CellMetric) or metric.p_value is None:
        return finish
    clustered = settings.draws is not None and settings.draws.cluster is not None
    if len(problems) > 1 or problems.weights is not None or clustered:
        return finish
    p_value = metric.p_value(problems.exact(0), **spec.options)

    def with_p_value(sums: Sums) -> Measurement:
        return replace(finish(sums), p_value=p_value)

    return with_p_value
