"""Render a result: its table, in a format.

A new result is a module with a function `table` and a line in TABLES; a new format is a function
of a Table and a line in FORMATS.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from calibtool.data.validation import require_pandas
from calibtool.reports.table import Table

# Classes of results -> the modules of this package that make their tables. Names, not the classes
# themselves, so that showing one result imports none of the others.
TABLES = {
    "Report": "evaluation",
    "Outcome": "verdicts",
    "Comparison": "comparison",
    "SideBySide": "side_by_side",
    "SliceReport": "slices",
    "SliceSearch": "slice_search",
    "Selection": "selection",
    "TestResults": "significance",
    "Monitoring": "monitoring",
    "SliceMonitoring": "slice_monitoring",
    "Predictions": "predictions",
    "Calibrator": "calibrator",
    "Prior": "label_shift",
    "Implied": "implied",
    "PredictionSets": "prediction_sets",
    "SetReport": "set_report",
    "Threshold": "threshold",
    "CostReport": "cost_report",
    "LibraryReport": "conventions",
    "LibraryComparison": "conventions",
}
# Formats -> the module of this package and its function of a Table, whose texts are printable but
# for the formats in EXACT.
FORMATS = {
    "table": ("text", "render"),
    "json": ("json", "render"),
    "csv": ("csv", "render"),
    "markdown": ("markdown", "render"),
    "latex": ("latex", "render"),
    "html": ("html", "render"),
    "github": ("ci", "github"),
    "gitlab": ("ci", "gitlab"),
    "junit": ("ci", "junit"),
    "sarif": ("ci", "sarif"),
    "tap": ("ci", "tap"),
}
# Documents: their own escapes keep every text as it is.
EXACT = ("json", "gitlab", "sarif")


def render(result: Any, format_: str, *, width: int = 80, colour: bool = False) -> str:
    """Return a result in one of FORMATS.

    Args:
        result: an instance of one of the classes in TABLES, or a Table.
        format_: a name of FORMATS.
        width, colour: of the terminal; only "table" looks at them.
    """
    module, name = FORMATS[format_]
    function = getattr(import_module(f"calibtool.reports.{module}"), name)
    if format_ == "table":
        return str(function(table_of(result, width).printable(), width=width, colour=colour))
    table = table_of(result)
    return str(function(table if format_ in EXACT else table.printable()))


def table_of(result: Any, width: int | None = None) -> Table:
    """Return the table of a result for a terminal of `width` columns; None for no limit."""
    if isinstance(result, Table):
        return result
    module = import_module(f"calibtool.reports.{TABLES[type(result).__name__]}")
    table: Table = module.table(result, width)
    return table


def document_of(result: Any) -> dict[str, Any]:
    """Return the JSON document of a result, parsed: lists for tuples, texts for infinities."""
    document: dict[str, Any] = json.loads(render(result, "json"))
    return document


def to_pandas(result: Any) -> Any:
    """Return a pandas.DataFrame of a result's records; raise CalibtoolError without pandas."""
    table = table_of(result)
    return require_pandas().DataFrame(table.records, columns=table.fields())
