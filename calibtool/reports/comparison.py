"""Comparisons: table, JSON, csv, markdown, and LaTeX for a paper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from calibtool.analysis.comparison import FAMILIES, Change, Comparison, MetricRow
from calibtool.formatting import interval, number, percent, signed
from calibtool.formatting import p_value as shown_p
from calibtool.intervals.estimate import Estimate
from calibtool.reports import csv, json, latex
from calibtool.reports.table import Table
from calibtool.reports.table import render as listed

SHORT = 8  # letters of a name that still stands above a column of numbers


def render(found: Comparison, format_: str, *, width: int, colour: bool) -> str:
    """A comparison in a format."""
    if format_ == "json":
        return json.document("calibtool-comparison", _body(found))
    if format_ == "csv":
        records = list(_records(found))
        return csv.write(list(records[0]), records)
    if format_ == "latex":
        return _latex(found)
    made = _pair(found) if len(found.names) == 2 else _many(found)
    return listed(made, format_, width=width, colour=colour)


# ------------------------------------------------------------------ for people


def _pair(found: Comparison) -> Table:
    """Two systems: a line a metric."""
    other = 1 - found.reference
    columns = [found.reference, other]
    titles = ["metric", *_titles(found, columns), "change"]
    titles += [] if found.level is None else [f"{percent(found.level)} interval", "p, Holm"]
    cells = []
    for family, lines in _families(found):
        cells.append([family, *[""] * (len(titles) - 1)])
        for line in lines:
            row = [f" {line.spec}", *(number(line.estimates[k].value) for k in columns)]
            cells.append([*row, *_change(line.changes[other])][: len(titles)])
    return _listing(found, titles, cells)


def _many(found: Comparison) -> Table:
    """More systems: a line a metric and system."""
    titles = ["metric", "file", "value", "change"]
    titles += [] if found.level is None else [f"{percent(found.level)} interval", "p, Holm"]
    cells = []
    for family, lines in _families(found):
        cells.append([family, *[""] * (len(titles) - 1)])
        for line in lines:
            for k, name in enumerate(found.names):
                first = "" if k else f" {line.spec}"
                row = [first, name, number(line.estimates[k].value), *_change(line.changes[k])]
                cells.append(row[: len(titles)])
    return _listing(found, titles, cells)


def _listing(found: Comparison, titles: list[str], cells: list[list[str]]) -> Table:
    return Table(
        kind="calibtool-comparison",
        head="\n".join(_head(found)),
        titles=titles,
        cells=cells,
        records=(),
        key="metrics",
        below=list(_below(found)),
    )


def _head(found: Comparison) -> Iterator[str]:
    yield f"{found.data.describe()}; rows matched by {found.matched}"
    columns = [found.reference, *(k for k in range(len(found.names)) if k != found.reference)]
    if len(columns) == 2 and _lettered(found):
        for letter, k in zip("AB", columns, strict=True):
            yield f"{letter}: {found.names[k]}"


def _titles(found: Comparison, columns: list[int]) -> list[str]:
    return ["A", "B"] if _lettered(found) else [found.names[k] for k in columns]


def _lettered(found: Comparison) -> bool:
    return any(len(name) > SHORT for name in found.names)


def _families(found: Comparison) -> Iterator[tuple[str, list[MetricRow]]]:
    for family in FAMILIES:
        lines = [line for line in found.lines if line.family == family and not line.missing]
        if lines:
            yield family, lines


def _change(change: Change | None) -> list[str]:
    if change is None:
        return ["", "", ""]
    one = change.estimate
    best = one.value if one.unbiased is None else one.unbiased
    p = "" if change.adjusted is None else shown_p(change.adjusted)
    return [signed(best), interval(one.low, one.high, sign=True), p + ("*" * bool(change.verdict))]


def _below(found: Comparison) -> Iterator[str]:
    for line in found.lines:
        if line.missing:
            yield f"Not available: {line.spec} ({line.missing})"
    if found.level is not None:
        wrong = percent(1 - found.level)
        yield (
            f"Changes are paired, minus {found.names[found.reference]}; those of calibration "
            f"errors are corrected for bias. * p below {wrong} after Holm's correction for "
            f"{found.tests} {'test' if found.tests == 1 else 'tests'}."
        )
    if found.reading:
        yield found.reading


# ------------------------------------------------------------------ for machines


def _body(found: Comparison) -> dict[str, Any]:
    return {
        "data": asdict(found.data),
        "systems": list(found.names),
        "reference": found.names[found.reference],
        "matched_by": found.matched,
        "level": found.level,
        "tests": found.tests,
        "metrics": [
            {
                "metric": line.spec,
                "family": line.family,
                "better": line.better,
                "best": None if line.best is None else found.names[line.best],
                "systems": [
                    {"system": name, **json.estimate(estimate)}
                    | {"change": _changed(line.changes[k])}
                    for k, (name, estimate) in enumerate(
                        zip(found.names, line.estimates, strict=True)
                    )
                ],
            }
            for line in found.lines
        ],
        "reading": found.reading,
    }


def _changed(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None
    own = {"adjusted": change.adjusted, "verdict": change.verdict}
    return json.estimate(change.estimate) | own


def _records(found: Comparison) -> Iterator[dict[str, Any]]:
    """A line a metric and system."""
    for line in found.lines:
        for k, name in enumerate(found.names):
            own, change = line.estimates[k], line.changes[k]
            after = change.estimate if change else Estimate("", None)
            yield {
                "system": name,
                "metric": line.spec,
                "family": line.family,
                "better": line.better,
                "view": own.view,
                "value": own.value,
                "low": own.low,
                "high": own.high,
                "unbiased": own.unbiased,
                "missing": own.missing,
                "minus": found.names[found.reference] if change else "",
                "change": after.value,
                "change_unbiased": after.unbiased,
                "change_low": after.low,
                "change_high": after.high,
                "p_value": after.p_value,
                "adjusted": change.adjusted if change else None,
                "verdict": change.verdict if change else "",
                "best": line.best == k,
                "signature": own.signature,
            }


# ------------------------------------------------------------------ for a paper


def _latex(found: Comparison) -> str:
    """A row a system, a column a metric; in bold only what is the best by more than chance."""
    lines = [line for line in found.lines if not line.missing]
    arrows = {"lower": " $\\downarrow$", "higher": " $\\uparrow$", "": ""}
    titles = ["", *(latex.escape(line.spec) + arrows[line.better] for line in lines)]
    rows = []
    for k, name in enumerate(found.names):
        rows.append([latex.escape(name), *(_cell(line, k) for line in lines)])
    reference = found.names[found.reference]
    notes = [f"{found.data.describe()}; rows matched by {found.matched}"]
    notes.append(f"{latex.DAGGER}: differs from {reference}; bold: the best by more than chance")
    if found.level is not None:
        notes.append(
            f"paired bootstrap, p < {1 - found.level:g} after Holm's correction for {found.tests} "
            "tests"
        )
    notes += [line.estimates[0].signature for line in lines]
    return latex.table(titles, rows, notes)


def _cell(line: MetricRow, k: int) -> str:
    change = line.changes[k]
    text = latex.number(line.estimates[k].value)
    if line.best == k:
        text = f"\\textbf{{{text}}}"
    return f"{text}$^{{\\dagger}}$" if change is not None and change.verdict else text
