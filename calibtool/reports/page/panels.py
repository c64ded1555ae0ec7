"""Collect what a report on a clinical prediction model has to show (Van Calster et al. 2025)."""

from __future__ import annotations

from collections.abc import Sequence

from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Recalibrator
from calibtool.diagrams import decision_curve, outcomes, reliability
from calibtool.diagrams.inputs import SharedOptions, require_two_classes
from calibtool.errors import InputError, UsageError
from calibtool.evaluation.report import Report
from calibtool.evaluation.resampling import Resampling
from calibtool.metrics.spec import Spec, parse_list
from calibtool.reports.page.model import Clinical
from calibtool.streaming.summary import Summary
from calibtool.types import Progress

THRESHOLD = 0.1  # of `net-benefit`


def metrics_with(metrics: str | Sequence[str | Spec], threshold: float) -> list[Spec]:
    """Return the metrics of a page with those of its clinical table."""
    return [*parse_list(metrics), *parse_list(names(threshold))]


def names(threshold: float) -> list[str]:
    """Return the metrics of the clinical table: discrimination, calibration, utility.

    >>> names(0.1)[-2:], names(0.2)[-1]
    (['net-benefit', 'net-benefit(of=all)'], 'net-benefit(threshold=0.2,of=all)')
    """
    if not 0 < threshold < 1:
        raise UsageError(f"--threshold must lie between 0 and 1 (got {threshold:g})")
    at = "" if threshold == THRESHOLD else f"threshold={threshold:.12g}"
    inside = [x for x in (at, "of=all") if x]
    utility = [f"net-benefit({at})" if at else "net-benefit", f"net-benefit({','.join(inside)})"]
    return ["auroc", "oe-ratio", "citl", "cox-slope", "ici", *utility]


def require_clinical(file: Source | Predictions | Summary) -> None:
    """Check that a clinical report can be made of a file. Raises InputError, UsageError."""
    if isinstance(file, Summary):
        raise InputError(f"{file.source}: holds cells, no rows; --clinical needs rows")
    require_two_classes(file, "report --clinical")


def collect(
    rows: Source | Predictions,
    report: Report,
    threshold: float,
    applied: Recalibrator | None,
    resampling: Resampling,
    progress: Progress,
) -> Clinical:
    """Return the panels of a file.

    Args:
        rows: the file, of two classes, as the calibrator takes it.
        report: of the file, with the metrics of `names`.
        threshold: at which the table gives net benefit.
        applied: the calibrator whose effect is shown, or None.
        resampling: how intervals are made.
        progress: called with a stage and the share of it that is done.
    """
    shared: SharedOptions = {
        "ci": resampling.ci,
        "resamples": resampling.resamples,
        "level": resampling.level,
        "seed": resampling.seed,
        "progress": progress,
    }
    calibrators = () if applied is None else (applied,)
    asked = names(threshold)
    return Clinical(
        threshold,
        tuple(e for e in report.estimates if e.name in asked),
        reliability.compute(rows, calibrators=calibrators, form="loess", **shared).curves,
        decision_curve.compute(rows, calibrators=calibrators, **shared),
        outcomes.compute(rows, **shared),
    )
