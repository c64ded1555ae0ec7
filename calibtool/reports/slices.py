"""Every metric in every slice, in each format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from calibtool.analysis.slices import EITHER, SliceEstimate, SliceReport, SlicesBy
from calibtool.formatting import interval, number, percent
from calibtool.formatting import p_value as shown_p
from calibtool.intervals.estimate import Estimate
from calibtool.reports import csv, json
from calibtool.reports.table import Table
from calibtool.reports.table import render as listed

_OWN = ("value", "low", "high", "unbiased", "view", "better", "missing", "signature")


def render(found: SliceReport, format_: str, *, width: int, colour: bool) -> str:
    """A table for each part; JSON and csv hold all."""
    if format_ == "json":
        return json.document("calibtool-slices", _body(found))
    if format_ == "csv":
        records = list(_records(found))
        return csv.write(list(records[0]), records)
    tables = [_listing(found, part, first=not k) for k, part in enumerate(found.parts)]
    return "\n".join(listed(one, format_, width=width, colour=colour) for one in tables)


def _listing(found: SliceReport, part: SlicesBy, *, first: bool) -> Table:
    cells: list[list[str]] = []
    marked = set()
    titles = ["slice", "rows", "value"]
    if found.level is not None:
        titles += [f"{percent(found.level)} interval", "unbiased", "p, Holm"]
    for k, whole in enumerate(found.whole):
        if whole.missing:
            continue
        view = f" ({whole.view})" if whole.view else ""
        cells.append([f"{whole.name}{view}", *_row(f"{found.data.rows:,}", whole)][: len(titles)])
        for one, measure in part.sorted(k):
            if measure.adjusted is not None and measure.adjusted < 1 - (found.level or 1):
                marked.add(len(cells))
            row = [f"  {one.name}", *_row(f"{one.rows:,}", measure.estimate)]
            cells.append([*row, _starred(measure, found.level)][: len(titles)])
    after = f", after {found.calibrator}" if found.calibrator else ""
    by = f"by {part.by.replace(',', ', ')}"
    return Table(
        kind="calibtool-slices",
        head=f"{found.data.describe()}{after}; {by}" if first else f"{by[0].upper()}{by[1:]}",
        titles=titles,
        cells=cells,
        records=(),
        key="slices",
        below=list(_below(found, part)),
        marked=frozenset(marked),
    )


def _row(rows: str, one: Estimate) -> list[str]:
    value = number(one.value) if not one.missing else "n/a"
    return [rows, value, interval(one.low, one.high), number(one.unbiased)]


def _starred(measure: SliceEstimate, level: float | None) -> str:
    if measure.adjusted is None or level is None:
        return ""
    return shown_p(measure.adjusted) + "*" * (measure.adjusted < 1 - level)


def _below(found: SliceReport, part: SlicesBy) -> Iterator[str]:
    yield from (text for text in (part.note, part.apart) if text)
    reasons: dict[str, list[str]] = {}
    for one in found.whole:
        if one.missing:
            reasons.setdefault(one.missing, []).append(one.name)
    for why, names in reasons.items():
        yield f"Not available: {', '.join(names)} ({why})"
    own: dict[str, list[str]] = {}
    for a_slice in part.slices:
        for measure, whole in zip(a_slice.measures, found.whole, strict=True):
            if measure.estimate.missing and not whole.missing:
                own.setdefault(measure.estimate.missing, []).append(a_slice.name)
    for why, names in own.items():
        yield f"n/a in {', '.join(dict.fromkeys(names))}: {why}"
    few = [one.name for one in part.slices if all(m.p_value is None for m in one.measures)]
    if few and found.level is not None:
        yield (
            f"Not tested, with fewer than {EITHER} rows that are right, or wrong: {', '.join(few)}."
        )
    yield from (f"Warning: {text}" for text in found.warnings)
    if found.level is not None:
        yield (
            "Sorted by how surely a slice differs from all rows (the line above it). * p below "
            f"{percent(1 - found.level)} after Holm's correction for {found.tests:,} tests."
        )


def _body(found: SliceReport) -> dict[str, Any]:
    return {
        "data": asdict(found.data),
        "calibrator": found.calibrator or None,
        "level": found.level,
        "tests": found.tests,
        "whole": [json.estimate(one) for one in found.whole],
        "parts": [
            {
                "by": part.by,
                "slices": [
                    {
                        "slice": one.name,
                        "rows": one.rows,
                        "metrics": [
                            json.estimate(measure.estimate)
                            | {"p_of_whole": measure.p_value, "adjusted": measure.adjusted}
                            for measure in one.measures
                        ],
                    }
                    for one in part.slices
                ],
                "set_apart": [{"slice": name, "rows": rows} for name, rows in part.small],
                "notes": [text for text in (part.note, part.apart) if text],
            }
            for part in found.parts
        ],
        "warnings": list(found.warnings),
    }


def _records(found: SliceReport) -> Iterator[dict[str, Any]]:
    """A line a metric and slice; that of all rows has no `by`."""
    for whole in found.whole:
        yield _record("", "", found.data.rows, SliceEstimate(whole))
    for part in found.parts:
        for k in range(len(found.whole)):
            for one, measure in part.sorted(k):
                yield _record(part.by, one.name, one.rows, measure)


def _record(by: str, name: str, rows: int, measure: SliceEstimate) -> dict[str, Any]:
    one = asdict(measure.estimate)
    return {
        "by": by,
        "slice": name,
        "rows": rows,
        "metric": measure.estimate.name,
        **{key: one[key] for key in _OWN},
        "p_of_whole": measure.p_value,
        "adjusted": measure.adjusted,
    }
