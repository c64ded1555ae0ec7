"""The table of an evaluation's report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from calibtool.evaluation.report import Report
from calibtool.formatting import interval, number, percent, signed
from calibtool.intervals.estimate import Estimate
from calibtool.reports import json
from calibtool.reports.table import Note, Table

FIELDS = tuple(field.name for field in fields(Estimate))


def table(report: Report, width: int | None) -> Table:
    """Return a row per metric: its value or, with a calibrator, before, after and the change.

    On a terminal, metrics that are not available are named below the table; where the width has no
    limit each has its row.
    """
    whole = width is None
    titles, cells = _changes(report, whole=whole) if report.after else values(report, whole=whole)
    return Table(
        kind="calibtool-report",
        head=report.data.describe(),
        titles=titles,
        cells=cells,
        records=_records(report),
        key="",
        notes=_notes(report, whole=whole),
        body=body(report),
        columns=("system", *FIELDS),
        left=("view",),
        wraps=("metric",),
    )


def values(report: Report, *, whole: bool) -> tuple[list[str], list[list[str]]]:
    """Return titles and cells of a report.

    With `whole`, metrics that are not available have rows too, and the columns of intervals are
    there even if no interval was computed.
    """
    titles = ["metric", "view", "value"]
    if whole or report.level is not None:
        titles += [f"{percent(report.level)} interval", "corrected"]
    cells = [
        [
            estimate.name,
            estimate.view or "-",
            number(estimate.value) or f"not available: {estimate.missing}",
            interval(estimate.low, estimate.high),
            number(estimate.corrected),
        ]
        for estimate in report.estimates
        if whole or not estimate.missing
    ]
    return titles, [row[: len(titles)] for row in cells]


def _changes(report: Report, *, whole: bool) -> tuple[list[str], list[list[str]]]:
    titles = ["metric", "view", "before", "after", "change"]
    if whole or report.level is not None:
        titles.append(f"{percent(report.level)} interval")
    cells = [
        [
            before.name,
            before.view or "-",
            number(before.value),
            number(after.value),
            signed(best_change(change)),
            interval(change.low, change.high, sign=True),
        ]
        for before, after, change in zip(report.estimates, report.after, report.change, strict=True)
        if whole or not change.missing
    ]
    return titles, [row[: len(titles)] for row in cells]


def best_change(change: Estimate) -> float | None:
    """Return the change that is shown beside its interval: the corrected one, if there is one."""
    return change.value if change.corrected is None else change.corrected


def _notes(report: Report, *, whole: bool) -> list[Note]:
    warnings = [Note(f"Warning: {warning}", "warning") for warning in report.warnings]
    if whole:
        return [*warnings, *(Note(line) for line in report.reading.split("\n") if report.reading)]
    notes = []
    if any(change.corrected is not None for change in report.change):
        notes.append(Note("Changes of calibration errors are corrected for bias.", "quiet"))
    notes += [Note(line, "quiet") for line in not_available(report.estimates)]
    return [*notes, *warnings, *([Note(report.reading)] if report.reading else [])]


def not_available(estimates: Sequence[Estimate]) -> list[str]:
    """Return one line per reason, so that no metric is dropped silently."""
    reasons: dict[str, list[str]] = {}
    for estimate in estimates:
        if estimate.missing:
            reasons.setdefault(estimate.missing, []).append(estimate.name)
    return [f"Not available: {', '.join(names)} ({why})" for why, names in reasons.items()]


def _records(report: Report) -> list[dict[str, Any]]:
    """Return the estimates; `system` is before, after or change, and "" without a calibrator."""
    variants = {"": report.estimates}
    if report.after:
        variants = {"before": report.estimates, "after": report.after, "change": report.change}
    return [
        {"system": variant, **asdict(estimate)}
        for variant, estimates in variants.items()
        for estimate in estimates
    ]


def body(report: Report) -> dict[str, Any]:
    """Return a report as it stands in JSON documents."""
    metrics = []
    for index, estimate in enumerate(report.estimates):
        entry = json.fields(estimate)
        if report.after:
            entry["after"] = json.fields(report.after[index])
            entry["change"] = json.fields(report.change[index])
        metrics.append(entry)
    return {
        "data": asdict(report.data),
        "level": report.level,
        "calibrator": report.calibrator or None,
        "metrics": metrics,
        "bias": json.fields(report.bias) if report.bias else None,
        "cells": _cells(report),
        "digest": report.digest or None,
        "reading": report.reading,
        "warnings": list(report.warnings),
        "skipped": [{"file": file, "reason": reason} for file, reason in report.skipped],
    }


def _cells(report: Report) -> dict[str, Any] | None:
    """Return 15 bins of the scores: weight, and sums of scores and of outcomes."""
    if report.cells is None:
        return None
    edges, n, p, y = (getattr(report.cells, name).tolist() for name in ("at", "n", "p", "y"))
    return {"view": report.view, "edges": edges, "n": n, "p": p, "y": y}
