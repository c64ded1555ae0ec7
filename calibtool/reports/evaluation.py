"""The table of an evaluation's report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from calibtool.evaluation.report import Report
from calibtool.evaluation.wording import p_text
from calibtool.formatting import DIGITS, Change, Lines, changed, interval, number, p_value, percent
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.kinds import CellMetric
from calibtool.metrics.spec import parse
from calibtool.reports import json
from calibtool.reports.table import Note, Table

if TYPE_CHECKING:
    from calibtool.analysis.slices import SliceReport

FIELDS = tuple(field.name for field in fields(Estimate))
CORRECTED = "Calibration errors are corrected for bias; their plain values: --format json or csv."


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
        records=records(report),
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
        titles += ["corrected", f"{percent(report.level)} interval"]
    cells = [
        [estimate.name, estimate.view or "-", *numbers(estimate)][: len(titles)]
        for estimate in report.estimates
        if whole or not estimate.missing
    ]
    if has_statistic(report.estimates):
        titles.append("p-value")
        shown = (e for e in report.estimates if whole or not e.missing)
        cells = [[*row, p_value(e.p_value)] for row, e in zip(cells, shown, strict=True)]
    return titles, cells


def has_statistic(estimates: Iterable[Estimate]) -> bool:
    """Return whether one of the metrics is a test statistic, which says nothing without its
    p-value: the table then has a column of them."""
    return any(e.p_value is not None and is_statistic(e) for e in estimates)


def is_statistic(estimate: Estimate) -> bool:
    """Return whether a metric is a test statistic."""
    metric = parse(estimate.name).metric
    return isinstance(metric, CellMetric) and metric.statistic


def p_values(report: Report) -> list[str]:
    """Return a line for each test statistic in a table of changes, which has no room for its
    p-values."""
    return [
        f"{before.name}: {p_text(before.p_value)} before, {p_text(after.p_value)} after"
        for before, after in zip(report.estimates, report.after, strict=True)
        if is_statistic(before) and before.p_value is not None and after.p_value is not None
    ]


def numbers(estimate: Estimate, digits: int = DIGITS) -> tuple[str, str, str]:
    """Return value, corrected estimate and interval, the cells that every table of estimates has.

    The interval stands beside the corrected estimate, which lies in it.
    """
    return (
        number(estimate.value, digits) or f"not available: {estimate.missing}",
        number(estimate.corrected, digits),
        interval(estimate.low, estimate.high, digits=digits),
    )


def in_words(estimate: Estimate, level: float | None = None, digits: int = DIGITS) -> str:
    """Return the same numbers in a line; `level` names that of the interval.

    >>> in_words(Estimate("ece", 0.0648, low=0.0553, high=0.0721, corrected=0.0646), 0.95)
    '0.0648, corrected 0.0646, 95 % interval [0.0553, 0.0721]'
    >>> in_words(Estimate("accuracy", 0.8886, low=0.8785, high=0.8986, corrected=0.8886))
    '0.8886 [0.8785, 0.8986]'
    """
    return in_line(*numbers(estimate, digits), level)


def in_line(value: str, corrected: str, ends: str, level: float | None = None) -> str:
    """Return value, corrected estimate and interval in a line; the value alone without an
    interval, and the corrected estimate only where it reads otherwise."""
    if not ends:
        return value
    named = f", {percent(level)} interval {ends}" if level else f" {ends}"
    return f"{value}{named}" if value == corrected else f"{value}, corrected {corrected}{named}"


def _changes(report: Report, *, whole: bool) -> tuple[list[str], list[list[str]]]:
    titles = ["metric", "view", "before", "after", "change"]
    if whole or report.level is not None:
        titles.append(f"{percent(report.level)} interval")
    cells = [
        [
            before.name,
            before.view or "-",
            *change_cells(before, after, change),
        ]
        for before, after, change in zip(report.estimates, report.after, report.change, strict=True)
        if whole or not change.missing
    ]
    return titles, [row[: len(titles)] for row in cells]


def change_cells(before: Estimate, after: Estimate, change: Estimate) -> Change:
    """Return before, after, change and its interval: cells of every table of changes.

    Before and after are the corrected estimates, whose difference is the change that lies in the
    interval.
    """
    if change.missing:
        missing = f"not available: {change.missing}"
        return Change(number(before.best) or missing, number(after.best) or missing, "", "")
    if change.corrected is None:
        return changed(before.value, after.value, change.low, change.high)
    return changed(before.best, after.best, change.low, change.high)


def corrected_note(estimates: Iterable[Estimate]) -> list[Note]:
    """Return the note below a table of corrected estimates alone, if one differs from its value."""
    if all(estimate.best == estimate.value for estimate in estimates):
        return []
    return [Note(CORRECTED, "quiet")]


def _notes(report: Report, *, whole: bool) -> list[Note]:
    notes = corrected_note((*report.estimates, *report.after)) if report.after else []
    notes += [Note(line, "quiet") for line in p_values(report)] if report.after else []
    if whole:
        reading = (Note(line) for line in report.reading.split("\n") if report.reading)
        return [*notes, *remarks(report), *reading]
    notes += [Note(line, "quiet") for line in not_available(report.estimates)]
    return [*notes, *remarks(report), *([Note(report.reading)] if report.reading else [])]


def remarks(report: Report | SliceReport) -> list[Note]:
    """Return the notes of a report, in one paragraph, and its warnings, each in one."""
    notes = Lines.of(f"Note: {note}" for note in report.notes)
    warnings = [Note(f"Warning: {warning}", "warning") for warning in report.warnings]
    return [*([Note(notes)] if notes else []), *warnings]


def not_available(estimates: Sequence[Estimate]) -> list[str]:
    """Return one line per reason, so that no metric is dropped silently."""
    reasons: dict[str, list[str]] = {}
    for estimate in estimates:
        if estimate.missing:
            reasons.setdefault(estimate.missing, []).append(estimate.name)
    return [f"Not available: {', '.join(names)} ({why})" for why, names in reasons.items()]


def records(report: Report) -> list[dict[str, Any]]:
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
        "notes": list(report.notes),
        "skipped": [{"file": file, "reason": reason} for file, reason in report.skipped],
    }


def _cells(report: Report) -> dict[str, Any] | None:
    """Return 15 bins of the scores: weight, and sums of scores and of outcomes."""
    if report.cells is None:
        return None
    edges, n, p, y = (getattr(report.cells, name).tolist() for name in ("at", "n", "p", "y"))
    return {"view": report.view, "edges": edges, "n": n, "p": p, "y": y}
