"""config.toml: the settings of a run and what they resolved to, so that it can be run again."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from calibtool.data.files.document import Document, Entry
from calibtool.data.files.write import write_text
from calibtool.train.settings import Settings, from_mapping
from calibtool.version import __version__

NAME = "config.toml"
WHAT = "the settings of a run"
RESOLVED = "resolved"  # the table of resolved values; not read back as settings
HEAD = "# calibtool {version}; `calibtool train --config {name} --out NEW/` runs it again\n"


def write(path: Path, settings: Settings, resolved: dict[str, Any]) -> None:
    """Write settings, and resolved values in a table of their own; values of None are left out."""
    lines = [HEAD.format(version=__version__, name=path)]
    values = {f.name: getattr(settings, f.name) for f in fields(Settings)}
    lines += [_line(key, value) for key, value in values.items() if value is not None]
    lines += ["", f"[{RESOLVED}]"]
    lines += [_line(key, value) for key, value in resolved.items() if value is not None]
    write_text(path, "\n".join(lines) + "\n")


def read(path: Path) -> tuple[Settings, Entry]:
    """Return the settings of a run and their resolved values.

    Raises InputError if the file cannot be read, UsageError for unknown or invalid settings.
    """
    document = read_document(path)
    resolved = Entry(document.pop(RESOLVED, {}), Document(str(path), WHAT), RESOLVED)
    return from_mapping(document, str(path)), resolved


def read_document(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file; raise InputError if it cannot be read."""
    content: dict[str, Any] = Document(str(path), WHAT).read_toml()[0].plain()
    return content


def _line(key: str, value: Any) -> str:
    return f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    """Return a value as TOML: strings, numbers and booleans are written as in JSON."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
