"""The table of losses for `calibtool losses` and the docs; torch-free."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from calibtool.errors import UsageError, near
from calibtool.reports import csv, json, markdown, text
from calibtool.train.losses.registry import LEGEND, LOSSES, Value

FIELDS = ("loss", "summary", "formula", "options", "source", "class")


def losses(names: Sequence[str], format_: str, **terminal: Any) -> str:
    """The losses of these names, or all of them, in a format.

    Raises UsageError for a name that is not in the table.
    """
    for name in names:
        if name not in LOSSES:
            raise UsageError(f"there is no loss {name!r}{near(name, LOSSES)}")
    chosen = tuple(names) or tuple(LOSSES)
    if format_ == "table":
        entries = text.entries([_entry(name) for name in chosen], **terminal)
        return f"{entries}\n{textwrap.fill(LEGEND, terminal['width'])}\n"
    if format_ == "json":
        return json.document("calibtool-losses", {"losses": [_record(name) for name in chosen]})
    rows = [_fields(name) for name in chosen]
    if format_ == "markdown":
        titles = ("loss", "summary", "formula", "options", "source")
        cells = [[row[title] for title in titles] for row in rows]
        return "\n".join(markdown.table(titles, cells, words=True)) + "\n"
    return csv.write(list(FIELDS), rows)


def _entry(name: str) -> tuple[str, str, list[str]]:
    """A name, its summary, and lines about it."""
    line = LOSSES[name]
    options = [
        f"{key}={_shown(option.default)}: {option.what}" for key, option in line.options.items()
    ]
    return name, line.summary, [line.formula, *options, f"{line.source}; {line.cls}"]


def _fields(name: str) -> dict[str, str]:
    line = LOSSES[name]
    options = ", ".join(f"{key}={_shown(option.default)}" for key, option in line.options.items())
    values = [name, line.summary, line.formula, options, line.source, line.cls]
    return dict(zip(FIELDS, values, strict=True))


def _record(name: str) -> dict[str, Any]:
    line = LOSSES[name]
    options = [
        {"name": key, "default": o.default, "least": o.least, "most": o.most, "what": o.what}
        for key, o in line.options.items()
    ]
    return {**_fields(name), "options": options}


def _shown(value: Value) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(f'{one:g}' for one in value)})" if len(value) > 1 else f"{value[0]:g}"
    return f"{value:g}"
