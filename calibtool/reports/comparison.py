"""The table of a comparison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from calibtool.analysis.comparison import FAMILIES, Change, Comparison, MetricRow, texts_of
from calibtool.formatting import Change as Texts
from calibtool.formatting import Lines, counted, joined, percent
from calibtool.formatting import p_value as shown_p
from calibtool.intervals.direction import better_text
from calibtool.intervals.estimate import Estimate
from calibtool.reports import evaluation, json
from calibtool.reports.table import Note, Table

SHORT = 8  # letters of a name that still fits above a column of numbers


def table(comparison: Comparison, width: int | None) -> Table:
    """Return a row per metric of two files; of more, a row per metric and file."""
    titles, cells = _pair(comparison) if len(comparison.names) == 2 else _several(comparison)
    return Table(
        kind="calibtool-comparison",
        head=Lines.of(_head(comparison)),
        titles=titles,
        cells=cells,
        records=list(_records(comparison)),
        key="",
        notes=list(_notes(comparison)),
        body=_body(comparison),
        wraps=("metric",) if len(comparison.names) == 2 else None,
        paper=_paper(comparison),
    )


# ------------------------------------------------------------------ for people


def _pair(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Return titles and cells of two files: a row per metric."""
    other = 1 - comparison.reference
    columns = [comparison.reference, other]
    titles = ["metric", *_titles(comparison, columns), "change", *_tested(comparison)]
    cells = []
    for family, rows in _families(comparison):
        cells.append([family, *[""] * (len(titles) - 1)])
        for row in rows:
            texts = texts_of(row, comparison.reference)[other]
            line = [f" {row.spec}", texts.before, texts.after, *_tail(row.changes[other], texts)]
            cells.append(line[: len(titles)])
    return titles, cells


def _several(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Return titles and cells of more than two files: a row per metric and file."""
    value = "value" if comparison.level is None else "corrected"
    titles = ["metric", "file", value, "change", *_tested(comparison)]
    cells = []
    for family, rows in _families(comparison):
        cells.append([family, *[""] * (len(titles) - 1)])
        for row in rows:
            texts = texts_of(row, comparison.reference)
            before = next(iter(texts.values())).before
            for k, name in enumerate(comparison.names):
                after = texts[k].after if k in texts else before
                tail = _tail(row.changes[k], texts.get(k))
                cells.append(["" if k else f" {row.spec}", name, after, *tail][: len(titles)])
    return titles, cells


def _tested(comparison: Comparison) -> list[str]:
    """Return the titles of what an interval gives."""
    level = comparison.level
    return [] if level is None else [f"{percent(level)} interval", "p, Holm"]


def _head(comparison: Comparison) -> Iterator[str]:
    yield f"{comparison.data.describe()}; rows matched by {comparison.matched}"
    if len(comparison.names) == 2 and _lettered(comparison):
        for letter, k in zip("AB", (comparison.reference, 1 - comparison.reference), strict=True):
            yield f"{letter}: {comparison.names[k]}"


def _titles(comparison: Comparison, columns: list[int]) -> list[str]:
    return ["A", "B"] if _lettered(comparison) else [comparison.names[k] for k in columns]


def _lettered(comparison: Comparison) -> bool:
    return any(len(name) > SHORT for name in comparison.names)


def _families(comparison: Comparison) -> Iterator[tuple[str, list[MetricRow]]]:
    for family in FAMILIES:
        rows = [row for row in comparison.lines if row.family == family and not row.missing]
        if rows:
            yield family, rows


def _tail(change: Change | None, texts: Texts | None) -> list[str]:
    """Return the cells of a change: itself, its interval and its p-value."""
    if change is None or texts is None:
        return ["", "", ""]
    p = "" if change.adjusted is None else shown_p(change.adjusted)
    return [texts.change, texts.interval, p + ("*" * bool(change.verdict))]


def _notes(comparison: Comparison) -> Iterator[Note]:
    for row in comparison.lines:
        if row.missing:
            yield Note(f"Not available: {row.spec} ({row.missing})")
    if comparison.level is not None:
        yield Note(
            f"Changes are paired, minus {comparison.names[comparison.reference]}. * p below "
            f"{percent(1 - comparison.level)} after Holm's correction for "
            f"{counted(comparison.tests, 'test')}."
        )
    yield from evaluation.corrected_note(e for row in comparison.lines for e in row.estimates)
    better = _better(comparison)
    if better:
        yield Note(better, "quiet")
    if comparison.reading:
        yield Note(comparison.reading)


def _better(comparison: Comparison) -> str:
    """Return which values are better, in a sentence; "" where all are errors or losses."""
    aims: dict[str, list[str]] = {}
    for row in comparison.lines:
        if not row.missing:
            text = better_text(row.better, row.ideal)
            aims.setdefault(text or "neither higher nor lower", []).append(row.spec)
    lower = aims.pop("lower", [])
    if not aims:
        return ""
    rest = [f"{aim} for {joined(names)}" for aim, names in aims.items()]
    return f"Better is {'; '.join(['lower', *rest] if lower else rest)}."


# ------------------------------------------------------------------ for machines


def _body(comparison: Comparison) -> dict[str, Any]:
    return {
        "data": asdict(comparison.data),
        "systems": list(comparison.names),
        "reference": comparison.names[comparison.reference],
        "matched_by": comparison.matched,
        "level": comparison.level,
        "tests": comparison.tests,
        "metrics": [
            {
                "metric": row.spec,
                "family": row.family,
                "better": row.better,
                "ideal": row.ideal,
                "least": json.finite(row.estimates[0].least),
                "most": json.finite(row.estimates[0].most),
                "best": [comparison.names[k] for k in row.best],
                "systems": [
                    {"system": name, **json.fields(estimate)} | {"change": _changed(row.changes[k])}
                    for k, (name, estimate) in enumerate(
                        zip(comparison.names, row.estimates, strict=True)
                    )
                ],
            }
            for row in comparison.lines
        ],
        "reading": comparison.reading,
    }


def _changed(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None
    tested = {"adjusted": change.adjusted, "verdict": change.verdict}
    return json.fields(change.estimate) | tested


def _records(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Return a record per metric and file."""
    for row in comparison.lines:
        for k, name in enumerate(comparison.names):
            estimate, change = row.estimates[k], row.changes[k]
            difference = change.estimate if change else Estimate("", None)
            yield {
                "system": name,
                "metric": row.spec,
                "family": row.family,
                "better": row.better,
                "view": estimate.view,
                "value": estimate.value,
                "corrected": estimate.corrected,
                "low": estimate.low,
                "high": estimate.high,
                "missing": estimate.missing,
                "minus": comparison.names[comparison.reference] if change else "",
                "change": difference.value,
                "change_corrected": difference.corrected,
                "change_low": difference.low,
                "change_high": difference.high,
                "p_value": difference.p_value,
                "adjusted": change.adjusted if change else None,
                "verdict": change.verdict if change else "",
                "best": k in row.best,
                "signature": estimate.signature,
            }


# ------------------------------------------------------------------ for a paper


def _paper(comparison: Comparison) -> Table:
    """Return a row per file and a column per metric, with the numbers of the table for people.
    Every one that is not worse than the best beyond chance stands out."""
    rows = [row for row in comparison.lines if not row.missing]
    reference = comparison.names[comparison.reference]
    notes: list[str | Note] = [
        f"†: differs from {reference}; bold: not worse than the best beyond chance"
    ]
    if comparison.level is not None:
        notes.append(
            f"paired bootstrap, p < {1 - comparison.level:g} after Holm's correction for "
            f"{counted(comparison.tests, 'test')}"
        )
    notes += evaluation.corrected_note(e for row in rows for e in row.estimates)
    columns = [_values(row, comparison) for row in rows]
    return Table(
        kind="calibtool-comparison",
        head=f"{comparison.data.describe()}; rows matched by {comparison.matched}",
        titles=["", *(row.spec + aim(row.better, row.ideal) for row in rows)],
        cells=[
            [name, *(column[k] for column in columns)] for k, name in enumerate(comparison.names)
        ],
        records=(),
        key="",
        notes=[*notes, *(row.estimates[0].signature for row in rows)],
        tones={(k, column): "best" for column, row in enumerate(rows, start=1) for k in row.best},
    )


def aim(better: str, ideal: float | None) -> str:
    """Return an arrow to the better side, or to the ideal; "" where no value is better."""
    arrows = {"lower": " ↓", "higher": " ↑"}
    near = f" → {ideal:g}" if better == "nearer" else ""
    return arrows.get(better, near)


def _values(row: MetricRow, comparison: Comparison) -> list[str]:
    """Return the number of each file; with a dagger if it differs from the reference."""
    texts = texts_of(row, comparison.reference)
    before = next(iter(texts.values())).before
    numbers = [texts[k].after if k in texts else before for k in range(len(row.changes))]
    marks = ["†" if change is not None and change.verdict else "" for change in row.changes]
    return [text + mark for text, mark in zip(numbers, marks, strict=True)]
