"""The table of a slice search."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from calibtool.analysis.slice_error import SliceError
from calibtool.analysis.slice_search import FoundSlice, SliceSearch
from calibtool.data.slicing import PSEUDO
from calibtool.data.unit import LEVELS
from calibtool.formatting import changed, counted, percent
from calibtool.formatting import p_value as shown_p
from calibtool.reports import json
from calibtool.reports.table import Table

MOST = 4  # slices that others explain, named below the table; --format json has all
FIELDS = (
    *("by", "slice", "rows", "score", "outcome", "gap", "low", "high", "p_value", "adjusted"),
    "explained_by",
)


def table(search: SliceSearch, width: int | None) -> Table:
    """Return a row per slice that no other explains, the widest gap first, and how it was
    searched."""
    score, outcome = ("confidence", "accuracy") if search.view == "top" else ("score", "outcome")
    cells = [_row(slice_) for slice_ in search.found if not slice_.explained_by]
    titles = ("slice", "rows", score, outcome, "gap", f"{percent(search.level)} interval")
    return Table(
        kind="calibtool-found-slices",
        head=f"{search.data.describe()}; {score} against {outcome}",
        titles=titles if cells or width is None else (),
        cells=cells,
        records=[_record(slice_) for slice_ in search.found],
        key="slices",
        notes=list(_notes(search)),
        body=_body(search),
        columns=FIELDS,
    )


def _row(slice_: FoundSlice) -> list[str]:
    outcome, score, *gap = changed(slice_.outcome, slice_.score, slice_.low, slice_.high)
    return [_title(slice_), f"{slice_.rows:,}", score, outcome, *gap]


def _title(slice_: FoundSlice | SliceError) -> str:
    """Return the columns and their values.

    >>> _title(FoundSlice("a,b", "x, 1 to 2", 9, 0, 0, 0, 0, 0, 0))
    'a x, b 1 to 2'
    """
    values = slice_.name.split(", ")
    names = slice_.by.split(",")
    if len(values) != len(names):
        return f"{slice_.by}: {slice_.name}"
    return ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))


def _notes(search: SliceSearch) -> Iterator[str]:
    explained = [slice_ for slice_ in search.found if slice_.explained_by]
    if explained:
        named = "; ".join(f"{_title(slice_)} ({slice_.rows:,})" for slice_ in explained[:MOST])
        rest = len(explained) - MOST
        more = f"; and {rest} more, in --format json" if rest > 0 else ""
        yield f"Also confirmed, but only for rows shared with those above: {named}{more}."
    if not search.found:
        yield "No slice is confirmed."
    yield (
        f"Tried {search.tried:,} slices by {', '.join(search.columns)} and their pairs; one half "
        f"of the rows chose {search.chosen:,}, the other confirmed {len(search.found):,} and gives "
        f"the numbers. The chance of any false slice is at most {percent(1 - search.level)}."
    )
    if search.error:
        yield _error(search.error)
    above = [one for one in search.found if not one.explained_by]
    columns = dict.fromkeys(name for one in above for name in one.by.split(","))
    if able := [name for name in columns if name not in PSEUDO]:
        yield f"To repair slices: calibtool fit-multicalibration FILE --by {','.join(able)}"
    if search.cluster:
        same = "Predictions of" if search.data.unit not in ("", LEVELS) else "Rows with"
        yield f"{same} the same {search.cluster} were treated as correlated."
    if search.small:
        yield f"Not tried: {search.small:,} slices of too few rows."
    if search.skipped:
        yield f"Not searched: {'; '.join(search.skipped)}."


def _error(error: SliceError) -> str:
    """Return the multicalibration error in words."""
    where = _title(error) if error.by else error.name
    many = "infinitely many" if math.isinf(error.value) else f"{error.value:.2f}"
    text = f"Multicalibration error (mce-slices): {many} standard deviations, of {where}"
    if error.p_value is None:
        return f"{text}."
    return f"{text} (p {shown_p(error.p_value)} for {counted(error.slices, 'slice')})."


def _error_fields(error: SliceError) -> dict[str, Any]:
    return {
        "value": json.finite(error.value),
        "by": error.by,
        "slice": error.name,
        "slices": error.slices,
        "p_value": error.p_value,
    }


def _record(slice_: FoundSlice) -> dict[str, Any]:
    values = asdict(slice_) | {"slice": slice_.name, "gap": slice_.gap}
    return {name: values[name] for name in FIELDS}


def _body(search: SliceSearch) -> dict[str, Any]:
    return {
        "data": asdict(search.data),
        "view": search.view,
        "columns": list(search.columns),
        "skipped": list(search.skipped),
        "tried": search.tried,
        "too_small": search.small,
        "chosen": search.chosen,
        "level": search.level,
        "seed": search.seed,
        "cluster": search.cluster or None,
        "mce_slices": None if search.error is None else _error_fields(search.error),
    }
