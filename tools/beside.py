"""The table of tools: what does a task in each, as benchmarks/beside.py checked it last."""

from __future__ import annotations

import re
from typing import Any

from results import results_of


def beside() -> str:
    """Return the table of the README: a few rows."""
    return _table(short=True)


def beside_all() -> str:
    """Return the table of every row."""
    return _table()


def beside_names() -> str:
    """Return the names that do each task, one task per line."""
    record = results_of("beside")
    lines = []
    for row in record["rows"]:
        ours, *theirs = _cells(row, record)
        named = [("calibtool", [_ours(name) for name in _names(ours)])]
        for tool, cell in zip(record["versions"], theirs, strict=True):
            named.append((tool, [_theirs(name) for name in _names(cell)]))
        said = "; ".join(f"{tool} {', '.join(names)}" for tool, names in named if names)
        lines.append(f"- **{row['task']}**: {said}.")
    return "\n".join(["", *lines, "", ""])


def _cells(row: dict[str, Any], record: dict[str, Any]) -> list[str]:
    return [row["calibtool"], *(row["cells"].get(tool, "") for tool in record["versions"])]


def _names(cell: str) -> list[str]:
    return [name for name in re.split(r",\s*", cell) if name]


def _ours(name: str) -> str:
    """Return the name of a command, an option, a metric, a calibrator or a function."""
    _, _, rest = name.partition(" ")
    return f"`{rest}`" if rest else f"`{'calibtool' if '.' in name else 'ct'}.{name}`"


def _theirs(name: str) -> str:
    """Return the last part of a dotted name; a method keeps its class."""
    dotted, parameter, rest = name.partition("(")
    parts = dotted.split(".")
    method = len(parts) > 1 and parts[-2][0].isupper()
    return f"`{'.'.join(parts[-2:] if method else parts[-1:])}{parameter}{rest}`"


def _table(*, short: bool = False) -> str:
    """Return a column per tool, with its version: yes, or a dash."""
    record = results_of("beside")
    titles = ["", "calibtool", *(f"{tool} {at}" for tool, at in record["versions"].items())]
    lines = [titles, ["---"] * len(titles)]
    lines += [
        [row["task"], *("yes" if cell else "-" for cell in _cells(row, record))]
        for row in record["rows"]
        if row["short"] or not short
    ]
    return "\n".join(["", *("| " + " | ".join(line) + " |" for line in lines), "", ""])
