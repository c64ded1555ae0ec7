"""Config: requirements in [tool.calibtool.check] of pyproject.toml, or [check] of calibtool.toml.

Errors give the line number. All errors of a file are reported together.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from calibtool.data.files.document import MOST, Document, shown
from calibtool.data.files.unfolding import LAYOUTS
from calibtool.errors import UsageError, near
from calibtool.evaluation.resampling import require_level, require_resamples, require_seed
from calibtool.formatting import Lines
from calibtool.gate.outcome import MODES
from calibtool.gate.requirement import Requirement, parse_requirement
from calibtool.intervals import bootstrap

PATH = ("tool", "calibtool", "check")
FILES = ("calibtool.toml", "pyproject.toml")  # searched for in this order
# options of reading that are texts
TEXTS = (
    *("logits", "probs", "score", "labels", "labels_file", "confidence", "correct"),
    *("predictions", "weights", "classes", "filter", "reader", "split", "join", "norm", "scorer"),
    *("options", "question", "ignore", "soft_labels"),
)
# key -> type, and the accepted values, or () for any
SETTINGS: dict[str, tuple[type, tuple[str, ...]]] = {
    "file": (str, ()),
    "calibrator": (str, ()),
    "baseline": (str, ()),
    "sets": (str, ()),
    "threshold": (str, ()),
    "mode": (str, MODES),
    "inconclusive": (str, ("pass", "fail")),
    "id": (str, ()),
    "every": (str, ()),
    "time": (str, ()),
    "by": (str, ()),
    "cluster": (str, ()),
    "resamples": (int, ()),
    "level": (float, ()),
    "seed": (int, ()),
    "ci": (str, bootstrap.METHODS),
    **dict.fromkeys(TEXTS, (str, ())),
    "renormalize": (bool, ()),
    "layout": (str, LAYOUTS),
    **dict.fromkeys(("skip_bad_files", "skip_bad_rows", "drop_missing"), (bool, ())),
    **dict.fromkeys(("multilabel", "ordinal", "cut_points"), (bool, ())),
    "scale": (float, ()),
    "max_unpacked": (float, ()),
}
NAMES_FILE = ("file", "calibrator", "baseline", "sets", "threshold", "labels_file")
WORDS = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


def _require_replicates(resamples: int) -> None:
    if resamples != 0:  # which is no interval
        require_resamples(resamples)


# what checks the numbers, as it does those of the command line
CHECKS: dict[str, Callable[[Any], None]] = {
    "resamples": _require_replicates,
    "level": require_level,
    "seed": require_seed,
}


@dataclass(frozen=True)
class Config:
    """The content of a TOML file: requirements, and options of `check` by name."""

    require: tuple[Requirement, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


def find_config(folder: Path) -> Path | None:
    """Return the first of FILES in a folder that has the table, or None."""
    for name in FILES:
        path = folder / name
        if path.is_file() and (name != "pyproject.toml" or read_table(path) is not None):
            return path
    return None


def read_config(path: str | Path) -> Config:
    """Read requirements from the table [tool.calibtool.check] of a TOML file, or [check] outside
    pyproject.toml. Raises UsageError with the line of each error, and InputError for a file that is
    not TOML."""
    path = Path(path)
    document, text = _document(path).read_toml()
    table = _table(path, document.value)
    if not isinstance(table, dict):
        short = "" if path.name == "pyproject.toml" else " or [check]"
        raise UsageError(f"{path}: has no table [{'.'.join(PATH)}]{short}")
    return _checked(path, table, text.splitlines())


def read_table(path: Path) -> Any:
    """Return the table of a file as it is parsed, or None. Raises InputError for a file that is not
    TOML."""
    return _table(path, _document(path).read_toml()[0].value)


def _document(path: Path) -> Document:
    return Document(str(path), "a configuration")


def _table(path: Path, document: dict[str, Any]) -> Any:
    table: Any = document
    for key in PATH:
        table = table.get(key) if isinstance(table, dict) else None
    if table is None and path.name != "pyproject.toml":
        table = document.get("check")
    return table


def _checked(path: Path, table: dict[str, Any], lines: list[str]) -> Config:
    mistakes: list[str] = []
    texts = table.get("require", [])
    texts = [texts] if isinstance(texts, str) else texts
    require = []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        at = line_of(lines, "require")
        mistakes.append(f'{path}{at}: require must be a list of strings such as "ece <= 0.03"')
        texts = []
    for text in texts:
        line = int(line_of(lines, "require", text).lstrip(":") or 1)
        try:
            require.append(replace(parse_requirement(text), place=(str(path), line)))
        except UsageError as error:
            mistakes.append(f"{path}:{line}: {error}")
    options = {key: value for key, value in table.items() if key != "require"}
    for key, value in options.items():
        mistake = _mistake(key, value)
        if mistake:
            mistakes.append(f"{path}{line_of(lines, key)}: {mistake}")
    if mistakes:
        raise UsageError(Lines.of(mistakes))
    return Config(tuple(require), options)


def _mistake(key: str, value: Any) -> str:
    """Return what is wrong with a setting, or ""."""
    if key not in SETTINGS:
        return f"there is no key {key!r}{near(key, ['require', *SETTINGS])}"
    kind, choices = SETTINGS[key]
    fits = isinstance(value, (int, float) if kind is float else kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        return f"{key} must be {WORDS[kind]}, not {shown(value)}"
    if choices and value not in choices:
        return f"{key} must be one of {', '.join(choices)} (got {shown(value)})"
    if isinstance(value, str) and "\0" in value:  # which no command line can pass
        return f"{key} holds a NUL character; no file, column or condition has one"
    if key not in CHECKS:
        return ""
    if abs(value) > MOST:
        return f"{key} must be at most {MOST:,} in size, not {shown(value)}"
    try:
        CHECKS[key](value)
    except UsageError as error:
        return str(error).removeprefix("--")
    return ""


def line_of(lines: list[str], key: str, text: str = "") -> str:
    """Return the line of a key of the table, or of a text in its value, as ":12"; "" if it is not
    found.

    TOML parsers report no lines of values: the file is searched as text.

    >>> line_of(["[check]", "seed = 0"], "seed")
    ':2'
    """
    inside, first = False, 0
    for number, line in enumerate(lines, start=1):
        head = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line)
        if head and "=" not in head[1] and not first:
            inside = head[1].replace(" ", "") in ("check", ".".join(PATH))
        assigned = re.match(r"""\s*(?:[\w.]*\.)?["']?([\w-]+)["']?\s*=(?!=)""", line)
        dotted = assigned is not None and ".check." in f".{line.split('=')[0].strip()}"
        if not first and assigned and assigned[1] == key and (inside or dotted):
            first = number
        if first and (not text or text in line):
            return f":{number}"
    return f":{first}" if first else ""
