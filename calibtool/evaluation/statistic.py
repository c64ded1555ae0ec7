"""The p-values of test statistics, such as that of Hosmer and Lemeshow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.measurement import Finish, Measurement, Settings, Sums
from calibtool.metrics.kinds import CellMetric
from calibtool.metrics.spec import Spec

# Statistics that differ by less count as equal: what rounding changes in a sum of ten terms.
TIE = 1e-9


def tested(finish: Finish, spec: Spec, problems: RowProblems, settings: Settings) -> Finish:
    """Return what finishes a metric, with the p-value of a test statistic of one problem: the share
    of data sets with outcomes redrawn from the scores, the observed one among them, in which it is
    as large. Without intervals nothing is redrawn, and there is none."""
    draws, metric = settings.draws, spec.metric
    if not isinstance(metric, CellMetric) or not metric.statistic or len(problems) > 1:
        return finish
    if draws is None:
        return finish

    def with_p_value(sums: Sums) -> Measurement:
        problems.prepare(draws, settings.threads)
        (perfect,) = problems.simulated(0.0, draws, settings.threads)
        null = spec.of_cells(perfect)
        seen = float(spec.of_cells(problems.fine[0].cells))
        larger = int(np.count_nonzero(null >= seen * (1 - TIE)))
        return replace(finish(sums), p_value=(1 + larger) / (1 + len(null)))

    return with_p_value
