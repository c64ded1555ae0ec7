"""Ink. Each renderer is a function of a finished record; the table names them by format."""

from __future__ import annotations

from importlib import import_module
from typing import Any

FORMATS = {
    "table": "calibtool.reports.text",
    "json": "calibtool.reports.json",
    "csv": "calibtool.reports.csv",
    "markdown": "calibtool.reports.markdown",
}
# formats of a gate alone; each is a function of to_ci
OF_GATES = ("github", "gitlab", "junit", "sarif", "tap")


def render(kind: str, record: Any, format_: str, **terminal: Any) -> str:
    """A `report` or an `outcome` in a format; a table also takes `width` and `colour`."""
    if format_ in OF_GATES:
        return str(getattr(import_module("calibtool.reports.ci"), format_)(record))
    function = getattr(import_module(FORMATS[format_]), kind)
    return str(function(record, **terminal) if format_ == "table" else function(record))
