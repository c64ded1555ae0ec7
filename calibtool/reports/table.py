"""A table that is not a report: a head, lines of one kind, and what is said below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calibtool.reports import csv, json, markdown
from calibtool.reports import text as to_table


@dataclass(frozen=True)
class Table:
    """What is shown.

    Attributes:
        kind: the format of the JSON document, such as "calibtool-tests".
        head: one line above.
        titles, cells: of the table for people.
        records: the same for machines, nothing rounded.
        key: what the records are called in JSON.
        below: what is said, a paragraph each.
        body: what JSON says besides.
        marked: numbers of the lines that stand out.
    """

    kind: str
    head: str
    titles: Sequence[str]
    cells: Sequence[Sequence[str]]
    records: Sequence[Mapping[str, Any]]
    key: str
    below: Sequence[str] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    marked: frozenset[int] = frozenset()


def render(found: Table, format_: str, *, width: int, colour: bool) -> str:
    """A listing in a format."""
    if format_ == "table":
        return to_table.listing(
            found.head,
            found.titles,
            found.cells,
            found.below,
            marked=found.marked,
            width=width,
            colour=colour,
        )
    if format_ == "csv":
        return csv.write(list(found.records[0]) if found.records else [], found.records)
    if format_ == "markdown":
        lines = [markdown.escape(found.head), ""]
        lines += markdown.table(list(found.titles), [list(row) for row in found.cells])
        lines += [part for text in found.below for part in ("", markdown.escape(text))]
        return "\n".join(lines) + "\n"
    records = [
        {key: json.finite(value) for key, value in record.items()} for record in found.records
    ]
    return json.document(found.kind, {**found.body, found.key: records})
