"""The table of tools: what does a task in each, as benchmarks/beside.py checked it last."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "beside.json"
NONE = "-"


def beside() -> str:
    """Return the few rows of the README: yes, or a dash."""
    record = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows = [
        [row["task"], *("yes" if cell else NONE for cell in _cells(row, record))]
        for row in record["rows"]
        if row["short"]
    ]
    return _table(record, rows)


def beside_all() -> str:
    """Return every row, with the names that do the task."""
    record = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows = []
    for row in record["rows"]:
        ours, *theirs = _cells(row, record)
        rows.append(
            [
                row["task"],
                ", ".join(_ours(name) for name in _names(ours)) or NONE,
                *(", ".join(_theirs(name) for name in _names(cell)) or NONE for cell in theirs),
            ]
        )
    return _table(record, rows)


def _cells(row: dict[str, Any], record: dict[str, Any]) -> list[str]:
    return [row["calibtool"], *(row["cells"].get(tool, "") for tool in record["versions"])]


def _names(cell: str) -> list[str]:
    return [name for name in re.split(r",\s*", cell) if name]


def _ours(name: str) -> str:
    kind, _, rest = name.partition(" ")
    if kind == "command":
        return f"`calibtool {rest}`"
    return f"`{rest}`" if rest else f"`{'calibtool' if '.' in name else 'ct'}.{name}`"


def _theirs(name: str) -> str:
    """Return the last part of a dotted name; a method keeps its class."""
    dotted, parameter, rest = name.partition("(")
    parts = dotted.split(".")
    method = len(parts) > 1 and parts[-2][0].isupper()
    return f"`{'.'.join(parts[-2:] if method else parts[-1:])}{parameter}{rest}`"


def _table(record: dict[str, Any], rows: list[list[str]]) -> str:
    titles = ["", "calibtool", *(f"{tool} {at}" for tool, at in record["versions"].items())]
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(["", *("| " + " | ".join(line) + " |" for line in lines), "", ""])
