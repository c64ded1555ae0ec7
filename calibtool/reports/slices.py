"""The table of a slice report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from calibtool.analysis.slices import EITHER, SliceEstimate, SliceReport, SlicesBy
from calibtool.formatting import capitalized, counted, percent
from calibtool.formatting import p_value as shown_p
from calibtool.intervals.estimate import Estimate
from calibtool.reports import evaluation, json
from calibtool.reports.table import Note, Table, Tone

_FIELDS = ("value", "corrected", "low", "high", "view", "better", "missing", "signature")


def table(report: SliceReport, width: int | None) -> Table:
    """Return a table per column or combination of columns: each metric of all rows, and below it
    that of each slice, the surest difference first."""
    first, *others = [_part(report, part, first=not k) for k, part in enumerate(report.parts)]
    return replace(
        first,
        records=[*_of_whole(report), *_of_slices(report)],
        body=_body(report),
        more=others,
    )


def _part(report: SliceReport, part: SlicesBy, *, first: bool) -> Table:
    cells: list[list[str]] = []
    tones: dict[tuple[int, int | None], Tone] = {}
    titles = ["slice", "rows", "value"]
    if report.level is not None:
        titles += ["corrected", f"{percent(report.level)} interval", "p, Holm"]
    for k, whole in enumerate(report.whole):
        if whole.missing:
            continue
        view = f" ({whole.view})" if whole.view and "view=" not in whole.name else ""
        cells.append([f"{whole.name}{view}", *_row(f"{report.data.rows:,}", whole)][: len(titles)])
        if part.mean:
            cells.append([f"  mean over {part.by}s", *_row("", part.mean[k]), ""][: len(titles)])
        for result, measure in part.sorted(k):
            if measure.adjusted is not None and measure.adjusted < 1 - (report.level or 1):
                tones[len(cells), None] = "alarm"
            row = [f"  {result.name}", *_row(f"{result.rows:,}", measure.estimate)]
            cells.append([*row, _starred(measure, report.level)][: len(titles)])
    after = f", after {report.calibrator}" if report.calibrator else ""
    by = f"by {part.by.replace(',', ', ')}"
    return Table(
        kind="calibtool-slices",
        head=f"{report.data.describe()}{after}; {by}" if first else capitalized(by),
        titles=titles,
        cells=cells,
        records=(),
        key="",
        notes=list(_notes(report, part)),
        tones=tones,
    )


def _row(rows: str, estimate: Estimate) -> list[str]:
    value, *others = evaluation.numbers(estimate)
    return [rows, "n/a" if estimate.missing else value, *others]


def _starred(measure: SliceEstimate, level: float | None) -> str:
    if measure.adjusted is None or level is None:
        return ""
    return shown_p(measure.adjusted) + "*" * (measure.adjusted < 1 - level)


def _notes(report: SliceReport, part: SlicesBy) -> Iterator[str | Note]:
    yield from (text for text in (part.note, part.apart) if text)
    yield from evaluation.not_available(report.whole)
    reasons: dict[str, list[str]] = {}
    for result in part.slices:
        for measure, whole in zip(result.measures, report.whole, strict=True):
            if measure.estimate.missing and not whole.missing:
                reasons.setdefault(measure.estimate.missing, []).append(result.name)
    for why, names in reasons.items():
        yield f"n/a in {', '.join(dict.fromkeys(names))}: {why}"
    few = [
        result.name
        for result in part.slices
        if all(measure.p_value is None for measure in result.measures)
    ]
    if few and report.level is not None:
        yield (
            f"Not tested, with fewer than {EITHER} rows that are right, or wrong: {', '.join(few)}."
        )
    yield from evaluation.remarks(report)
    if report.level is not None and report.tests:
        yield (
            "Sorted by how surely a slice differs from all rows (the line above it). * p below "
            f"{percent(1 - report.level)} after Holm's correction for "
            f"{counted(report.tests, 'test')}."
        )


def _body(report: SliceReport) -> dict[str, Any]:
    return {
        "data": asdict(report.data),
        "calibrator": report.calibrator or None,
        "level": report.level,
        "tests": report.tests,
        "whole": [json.fields(estimate) for estimate in report.whole],
        "parts": [
            {
                "by": part.by,
                "slices": [
                    {
                        "slice": result.name,
                        "rows": result.rows,
                        "metrics": [
                            json.fields(measure.estimate)
                            | {"p_of_whole": measure.p_value, "adjusted": measure.adjusted}
                            for measure in result.measures
                        ],
                    }
                    for result in part.slices
                ],
                "set_apart": [{"slice": name, "rows": rows} for name, rows in part.small],
                "notes": [text for text in (part.note, part.apart) if text],
                **({"mean": [json.fields(e) for e in part.mean]} if part.mean else {}),
            }
            for part in report.parts
        ],
        "warnings": list(report.warnings),
        "notes": list(report.notes),
    }


def _of_whole(report: SliceReport) -> Iterator[dict[str, Any]]:
    """Return a record per metric of all rows; it has no `by`."""
    for estimate in report.whole:
        yield _record("", "", report.data.rows, SliceEstimate(estimate))


def _of_slices(report: SliceReport) -> Iterator[dict[str, Any]]:
    """Return a record per metric and slice."""
    for part in report.parts:
        for k in range(len(report.whole)):
            if part.mean:
                yield _record(
                    part.by, f"mean over {part.by}s", report.data.rows, SliceEstimate(part.mean[k])
                )
            for result, measure in part.sorted(k):
                yield _record(part.by, result.name, result.rows, measure)


def _record(by: str, name: str, rows: int, measure: SliceEstimate) -> dict[str, Any]:
    estimate = asdict(measure.estimate)
    return {
        "by": by,
        "slice": name,
        "rows": rows,
        "metric": measure.estimate.name,
        **{field: estimate[field] for field in _FIELDS},
        "p_of_whole": measure.p_value,
        "adjusted": measure.adjusted,
    }
