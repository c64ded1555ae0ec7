"""The losses as text, JSON, csv or Markdown, for `calibtool losses` and the docs; torch-free."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from calibtool.errors import UsageError, near
from calibtool.reports import csv, json, markdown, text
from calibtool.train.losses.registry import LEGEND, LOSSES, Option
from calibtool.train.losses.spec import format_value

FIELDS = ("loss", "summary", "formula", "options", "source", "class")


def losses(names: Sequence[str], format_: str, **terminal: Any) -> str:
    """Return the losses with these names, or all losses, in a format.

    Raises UsageError for an unknown name.
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
    """Return the name, its summary, and the lines below it: formula, options, source."""
    entry = LOSSES[name]
    options = [f"{_option(key, option)}: {option.what}" for key, option in entry.options.items()]
    return name, entry.summary, [entry.formula, *options, f"{entry.source}; {entry.cls}"]


def _fields(name: str) -> dict[str, str]:
    entry = LOSSES[name]
    options = ", ".join(_option(key, option) for key, option in entry.options.items())
    values = [name, entry.summary, entry.formula, options, entry.source, entry.cls]
    return dict(zip(FIELDS, values, strict=True))


def _record(name: str) -> dict[str, Any]:
    options = [
        {"name": key, "default": o.default, "least": o.least, "most": o.most, "what": o.what}
        for key, o in LOSSES[name].options.items()
    ]
    return {**_fields(name), "options": options}


def _option(key: str, option: Option) -> str:
    return f"{key}={format_value(option.default)}"
