"""The slices that a search found, in each format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from textwrap import fill
from typing import Any

from calibtool.analysis.slice_search import FoundSlice, SliceSearch
from calibtool.formatting import interval, number, percent, signed
from calibtool.reports import csv
from calibtool.reports.table import Table
from calibtool.reports.table import render as listed

MOST = 4  # slices named that others explain
_COLUMNS = ("by", "slice", "rows", "score", "outcome", "gap", "low", "high", "p_value", "adjusted")


def render(found: SliceSearch, format_: str, *, width: int, colour: bool) -> str:
    """A line a slice, the surest gap first, and how it was searched."""
    score, outcome = ("confidence", "accuracy") if found.view == "top" else ("score", "outcome")
    if format_ == "csv":
        return csv.write([*_COLUMNS, "explained_by"], [_record(one) for one in found.found])
    made = Table(
        kind="calibtool-found-slices",
        head=f"{found.data.describe()}; {score} against {outcome}",
        titles=("slice", "rows", score, outcome, "gap", f"{percent(found.level)} interval"),
        cells=[_row(one) for one in found.found if not one.explained_by],
        records=[_record(one) for one in found.found],
        key="slices",
        below=list(_below(found)),
        body=_body(found),
    )
    if not made.cells and format_ == "table":
        return "\n\n".join(fill(text, width) for text in (made.head, *made.below)) + "\n"
    return listed(made, format_, width=width, colour=colour)


def _row(one: FoundSlice) -> list[str]:
    ends = (signed(one.gap), interval(one.low, one.high, sign=True))
    return [_title(one), f"{one.rows:,}", number(one.score), number(one.outcome), *ends]


def _title(one: FoundSlice) -> str:
    """The columns and their values.

    >>> _title(FoundSlice("a,b", "x, 1 to 2", 9, 0, 0, 0, 0, 0, 0))
    'a x, b 1 to 2'
    """
    values = one.name.split(", ")
    names = one.by.split(",")
    if len(values) != len(names):
        return f"{one.by}: {one.name}"
    return ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))


def _below(found: SliceSearch) -> Iterator[str]:
    inside = [one for one in found.found if one.explained_by]
    if inside:
        some = "; ".join(f"{_title(one)} ({one.rows:,})" for one in inside[:MOST])
        more = f"; and {len(inside) - MOST} more, in --format json" if len(inside) > MOST else ""
        yield f"Also confirmed, but only for rows shared with those above: {some}{more}."
    if not found.found:
        yield "No slice is confirmed."
    yield (
        f"Tried {found.tried:,} slices by {', '.join(found.columns)} and their pairs; one half of "
        f"the rows chose {found.chosen:,}, the other confirmed {len(found.found):,} and gives the "
        f"numbers. The chance of any false slice is {percent(1 - found.level)} at most."
    )
    if found.cluster:
        yield f"Rows with the same {found.cluster} were taken to hang together."
    if found.small:
        yield f"Not tried: {found.small:,} slices of too few rows."
    if found.skipped:
        yield f"Not searched: {'; '.join(found.skipped)}."


def _record(one: FoundSlice) -> dict[str, Any]:
    found = asdict(one) | {"slice": one.name, "gap": one.gap}
    return {name: found[name] for name in (*_COLUMNS, "explained_by")}


def _body(found: SliceSearch) -> dict[str, Any]:
    return {
        "data": asdict(found.data),
        "view": found.view,
        "columns": list(found.columns),
        "skipped": list(found.skipped),
        "tried": found.tried,
        "too_small": found.small,
        "chosen": found.chosen,
        "level": found.level,
        "seed": found.seed,
        "cluster": found.cluster or None,
    }
