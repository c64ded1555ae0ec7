"""Files with the data of a diagram: everything that is drawn, in full precision, as csv or JSON."""

from __future__ import annotations

import csv
import json
import math
from io import StringIO
from pathlib import Path
from typing import Any

from calibtool.data.files.write import write_text
from calibtool.diagrams.curve import Diagram, plain
from calibtool.errors import UsageError
from calibtool.version import __version__

SUFFIXES = (".csv", ".json")
SCHEMA = "calibtool-diagram"
VERSION = 1


def require_suffix(path: str | Path) -> None:
    """Check that the suffix is that of a format for data; raise UsageError otherwise."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{path}: data cannot be written as {Path(path).suffix or 'a file without a suffix'}; "
            f"use {', '.join(SUFFIXES)}"
        )


def save(kind: str, diagram: Diagram, path: str | Path) -> None:
    """Write the data, atomically."""
    require_suffix(path)
    as_csv = Path(path).suffix.lower() == ".csv"
    write_text(path, to_csv(diagram) if as_csv else to_json(kind, diagram))


def to_csv(diagram: Diagram) -> str:
    """Return the data as one table, whose first column names the part that a row belongs to.

    The columns that a part lacks are empty in its rows.
    """
    parts = diagram.parts
    names = list(dict.fromkeys(name for columns in parts.values() for name in columns))
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["part", *names])
    for part, columns in parts.items():
        for index in range(_length(columns)):
            row = [columns[name][index] if name in columns else None for name in names]
            writer.writerow([part, *(_number(value) for value in row)])
    return out.getvalue()


def to_json(kind: str, diagram: Diagram) -> str:
    """Return the data as JSON: each part a list of objects, one per row."""
    parts = {
        part: [
            {name: _number(plain(columns[name][index])) for name in columns}
            for index in range(_length(columns))
        ]
        for part, columns in diagram.parts.items()
    }
    head = {"schema": SCHEMA, "version": VERSION, "calibtool": __version__, "kind": kind}
    document = {**head, "parts": parts, "notes": list(diagram.notes)}
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _length(columns: dict[str, list[Any]]) -> int:
    return len(next(iter(columns.values()), []))


def _number(value: Any) -> Any:
    """Return NaN as None and infinity as text, which JSON and csv cannot hold as numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
