"""JSON records as people write them: lines or one document, read strictly but for `NaN`."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from calibtool.data.files.document import deeper
from calibtool.errors import UnreadableError, brief

# Most levels of lists and objects. Python's parser gives up at about 1,000, since 3.12 at a few
# thousand, and functions that follow a record down must not get near their own 1,000.
DEEPEST = 200
# Values of all columns together, with those that are missing, up to which every column is kept:
# 0.3 GB of them. Beyond that, a column is left out that fewer than 1 in RARE rows have.
MOST_VALUES = 1 << 25
RARE = 100
_BOM = codecs.BOM_UTF8
_TOO_DEEP = f"lists and objects stand in one another more than {DEEPEST} deep"


def document(data: bytes, shown: str) -> Any:
    """Return the JSON value that is the whole of a file. Raises UnreadableError."""
    try:
        return _parsed(data.removeprefix(_BOM))
    except json.JSONDecodeError as error:
        reason = f"line {error.lineno:,}, column {error.colno:,}: {error.msg}"
        raise UnreadableError(shown, f"not valid JSON: {reason}; is the file whole?") from error
    except UnicodeDecodeError as error:
        raise UnreadableError(shown, f"not UTF-8 (byte {error.start:,})") from error
    except RecursionError as error:
        raise UnreadableError(shown, _TOO_DEEP) from error
    except ValueError as error:
        raise UnreadableError(shown, f"not valid JSON: {brief(str(error))}") from error


def lines(
    file: IO[bytes], shown: str, bad: dict[int, str] | None = None
) -> Iterator[tuple[int, Any]]:
    """Yield the value of each line that is not blank, and its number from 1.

    Raises UnreadableError, which names the line, unless lines that cannot be read are to be noted
    in `bad`, by their number.
    """
    for number, line in enumerate(file, start=1):
        text = line.removeprefix(_BOM) if number == 1 else line
        if text.strip():
            try:
                value = parse(text, shown, number)
            except UnreadableError as error:
                if bad is None:
                    raise
                bad[number] = error.reason
                continue
            yield number, value


def parse(line: bytes, shown: str, number: int) -> Any:
    """Return the value of a line. Raises UnreadableError, which names it."""
    try:
        return _parsed(line)
    except json.JSONDecodeError as error:
        reason = f"not valid JSON: {error.msg} (column {error.colno:,})"
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 (byte {error.start:,})"
    except RecursionError:
        reason = _TOO_DEEP
    except ValueError as error:
        reason = f"not valid JSON: {brief(str(error))}"
    raise UnreadableError(shown, f"line {number:,}: {reason}")


def _parsed(data: bytes) -> Any:
    """Return the value of JSON. Raises ValueError, and RecursionError beyond DEEPEST levels."""
    value = json.loads(data.decode())
    # most records have too few brackets to be that deep, and need not be walked
    if data.count(b"{") + data.count(b"[") > DEEPEST and deeper(value, DEEPEST):
        raise RecursionError(_TOO_DEEP)
    return value


def left_out(shown: str, bad: Mapping[int, str]) -> tuple[str, ...]:
    """Return a sentence on lines that were left out; nothing if none was.

    >>> left_out("x.jsonl", {2: "line 2: not valid JSON"})
    ('x.jsonl: left out: 1 line that is no JSON object; the first: line 2: not valid JSON',)
    """
    if not bad:
        return ()
    which = "1 line that is" if len(bad) == 1 else f"{len(bad):,} lines that are"
    return (f"{shown}: left out: {which} no JSON object; the first: {bad[min(bad)]}",)


def first_line(head: bytes) -> Any:
    """Return the value of the first line that is not blank; None if it is not one value."""
    for line in head.removeprefix(_BOM).splitlines():
        if line.strip():
            try:
                return _parsed(line)
            except (RecursionError, ValueError):
                return None
    return None


def at(record: Any, path: str) -> Any:
    """Return what a dotted path leads to: keys of objects and indices of lists; None for nothing.

    A key that contains a dot itself is found too, the longest first.

    >>> at({"a": {"b": [5, 6]}, "x.y": 1}, "a.b.1"), at({"x.y": 1}, "x.y"), at({"a": 1}, "a.b")
    (6, 1, None)
    """
    if isinstance(record, list):
        head, _, rest = path.partition(".")
        if not head.isdecimal() or int(head) >= len(record):
            return None
        return at(record[int(head)], rest) if rest else record[int(head)]
    if not isinstance(record, Mapping):
        return None
    if path in record:
        return record[path]
    end = path.rfind(".")
    while end > 0:
        if path[:end] in record:
            return at(record[path[:end]], path[end + 1 :])
        end = path.rfind(".", 0, end)
    return None


def flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a record by dotted path; objects are followed, lists are values.

    >>> list(flat({"a": {"b": 1}, "c": [2]}, "doc."))
    [('doc.a.b', 1), ('doc.c', [2])]
    """
    for key, value in record.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


class Columns:
    """Values by column, gathered row by row; a row that lacks a column has None there."""

    def __init__(self) -> None:
        self.rows = 0
        self.notes: tuple[str, ...] = ()  # what `result` left out
        self._found: dict[str, tuple[list[int], list[Any]]] = {}  # rows and their values

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row of values by column."""
        at = self.rows
        for name, value in row.items():
            if name not in self._found:
                self._found[name] = [], []
            rows, values = self._found[name]
            rows.append(at)
            values.append(value)
        self.rows += 1

    def result(self, wanted: Iterable[str] = ()) -> dict[str, list[Any]]:
        """Return the columns, all of one length.

        Where keys are words or names, each record may have its own, and their columns would take
        the square of the file. Rare ones are then left out, and `notes` says so, but not those that
        are at the top of a record, or at or below a path that is wanted.
        """
        found, paths = self._found, tuple(f"{path}." for path in wanted)
        if self.rows * len(found) > MOST_VALUES:
            found = {
                name: (rows, values)
                for name, (rows, values) in found.items()
                if len(rows) * RARE >= self.rows or "." not in name or f"{name}.".startswith(paths)
            }
            rare = [name for name in self._found if name not in found]
            if rare:
                some = f"{len(rare):,} fields that fewer than 1 in {RARE} records have"
                self.notes = (f"not read as columns: {some}, such as {brief(rare[0])}",)
        return {name: self._column(rows, values) for name, (rows, values) in found.items()}

    def _column(self, rows: list[int], values: list[Any]) -> list[Any]:
        if len(rows) == self.rows:
            return values
        column = [None] * self.rows
        for row, value in zip(rows, values, strict=True):
            column[row] = value
        return column
