"""The report of a log that says which answers are right, and nothing of how sure the model was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.errors import NoScoresError
from calibtool.evaluation.evaluate import evaluate_variants, report_of
from calibtool.evaluation.report import Report
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.formatting import Lines, percent
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.spec import Spec

ACCURACY = "accuracy"
MISSING = "there is no confidence"


def accuracy_only(
    error: NoScoresError,
    metrics: str | Iterable[str | Spec],
    cluster: str | None,
    resampling: Resampling,
) -> Report:
    """Return the accuracy of the rows that the error of opening them holds, with its interval, and
    the other metrics as not available.

    Raises the error itself if it holds none, or if the accuracy was not asked for.
    """
    if error.outcomes is None:
        raise error
    table = error.outcomes
    names = ["correct", *([cluster] if cluster else [])]
    block = next(table.blocks(names, max(table.rows, 1)), None)
    if block is None:
        raise error
    # any confidence does: the accuracy does not look at it, and nothing else is kept
    sure = np.ones(len(block["correct"]))
    rows = replace(
        Predictions.from_confidence(sure, block["correct"]), source=table.source, extra=block
    )
    request = Request.of(rows, metrics, cluster=cluster, bias=False, resampling=resampling)
    wanted = tuple(spec for spec in request.specs if spec.metric.name == ACCURACY)
    if not wanted:
        raise error
    measured = report_of(evaluate_variants(replace(request, specs=wanted)))
    found = {estimate.name: estimate for estimate in measured.estimates}
    return Report(
        replace(measured.data, kind="correct", filter=error.filter),
        tuple(
            found.get(spec.name) or Estimate(spec.name, None, view=spec.view, missing=MISSING)
            for spec in request.specs
        ),
        level=measured.level,
        reading=_reading(measured.estimates[0]),
        warnings=measured.warnings,
        notes=table.notes,
    )


def _reading(accuracy: Estimate) -> str:
    value = percent(accuracy.value, 1)
    return Lines.of(
        [f"Right {value} of the time. Without a confidence, nothing is known of its calibration."]
    )
