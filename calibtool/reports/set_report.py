"""The table of prediction sets that were measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from calibtool.decisions.set_report import SetReport, SetSlice
from calibtool.formatting import interval, number, p_value, percent, share
from calibtool.reports import json
from calibtool.reports.prediction_sets import between
from calibtool.reports.table import Note, Table, Tone

MOST = 8  # classes that a terminal shows, those covered least; the other formats have all


def table(report: SetReport, width: int | None) -> Table:
    """Return a row for all rows, and below it tables by class, by size of the set and by group."""
    classes = sorted(report.classes, key=lambda part: float(part.coverage.value or 0))
    shown = classes if width is None else classes[:MOST]
    more = f"the {len(shown)} of {len(classes)} covered least" if len(shown) < len(classes) else ""
    others = [
        _part(report, "class", shown, more),
        _part(report, "size", report.sizes),
        *(
            _part(report, by, [part for part in report.groups if part.by == by])
            for by in dict.fromkeys(part.by for part in report.groups)
        ),
    ]
    others[-1] = replace(others[-1], notes=[Note(text) for text in report.apart])
    parts = (report.whole, *report.classes, *report.sizes, *report.groups)
    return Table(
        kind="calibtool-set-report",
        head=f"{report.data.describe()}; {report.sets}",
        titles=_titles(report, "rows of"),
        cells=[_cells(report, replace(report.whole, name="all"))],
        records=[_record(report, part) for part in parts],
        key="",
        notes=list(_notes(report)),
        body=_body(report),
        more=others,
        wraps=(),
    )


def _titles(report: SetReport, first: str) -> list[str]:
    return [
        *(first, "rows", "coverage", f"{percent(report.level)} interval"),
        *("size", "empty", "single"),
    ]


def _cells(report: SetReport, part: SetSlice) -> list[str]:
    ends = interval(part.coverage.low, part.coverage.high)
    return [
        *(part.name, f"{part.rows:,}", number(part.coverage.value), ends),
        *(f"{part.size:.2f}", share(part.empty), share(part.single)),
    ]


def _part(report: SetReport, by: str, parts: Sequence[SetSlice], more: str = "") -> Table:
    tones: dict[tuple[int, int | None], Tone] = {
        (row, None): "alarm" for row, part in enumerate(parts) if _short(report, part)
    }
    first = {"class": "class", "size": "size of set"}.get(by, "slice")
    return Table(
        kind="calibtool-set-report",
        head=f"By {by.replace(',', ', ')}{f': {more}' if more else ''}",
        titles=_titles(report, first),
        cells=[_cells(report, part) for part in parts],
        records=(),
        key="",
        tones=tones,
        wraps=("slice", "class"),
    )


def _short(report: SetReport, part: SetSlice) -> bool:
    """Return whether the whole interval of a coverage lies below the promise."""
    return part.coverage.high is not None and part.coverage.high < report.promised


def _notes(report: SetReport) -> Iterator[str | Note]:
    size = interval(report.size.low, report.size.high, digits=2)
    yield f"Mean size {number(report.size.value, 2)}{f' {size}' if size else ''} classes." + (
        ""
        if report.single_right is None
        else f" Sets of one class are right in {percent(report.single_right, 1)}."
    )
    worst = report.worst_class
    if worst is not None:
        yield (
            f"Covered least: class {worst.name}, {percent(worst.coverage.value, 1)} of "
            f"{worst.rows:,} rows."
        )
    yield Note(
        f"{percent(report.level)} intervals are of the coverage of these very sets on rows like "
        "these (Clopper-Pearson): the rows that set the threshold are taken as given.",
        "quiet",
    )
    if report.expected is None or report.p_value is None:
        return
    kept = between(*report.expected).replace(" to ", " and ")
    text = (
        f"If the promise of {percent(report.promised)} holds here, the coverage of "
        f"{report.data.rows:,} rows lies between {kept} in {percent(report.level)} of cases, over "
        "the rows that set the threshold and these (beta-binomial)"
    )
    low, high = report.expected
    value = float(report.whole.coverage.value or 0)
    if value < low:
        shown = p_value(report.p_value)
        shown = shown if shown.startswith("<") else f"= {shown}"
        yield Note(
            f"Warning: {text}. This lies below (p {shown}), which is rare if these rows are drawn "
            "as those that set the threshold.",
            "warning",
        )
    else:
        above = " This lies above: equal scores, or rows drawn otherwise." if value > high else ""
        yield Note(f"{text}.{above}", "quiet")


def _record(report: SetReport, part: SetSlice) -> dict[str, Any]:
    coverage = part.coverage
    return {
        **{name: getattr(part, name) for name in ("by", "name", "rows")},
        "coverage": coverage.value,
        "low": coverage.low,
        "high": coverage.high,
        **{name: getattr(part, name) for name in ("size", "empty", "single")},
    }


def _body(report: SetReport) -> dict[str, Any]:
    worst = report.worst_class
    expected = report.expected or (None, None)
    return {
        "data": asdict(report.data),
        "sets": report.sets,
        "promised": report.promised,
        "per_class": report.per_class,
        "level": report.level,
        "coverage": json.fields(report.whole.coverage),
        "size": json.fields(report.size),
        "empty": report.whole.empty,
        "single": report.whole.single,
        "single_right": report.single_right,
        "expected_low": expected[0],
        "expected_high": expected[1],
        "p_value": report.p_value,
        "worst_class": None if worst is None else worst.name,
        "classes": [_record(report, part) for part in report.classes],
        "sizes": [_record(report, part) for part in report.sizes],
        "groups": [_record(report, part) for part in report.groups],
        "notes": list(report.apart),
    }
