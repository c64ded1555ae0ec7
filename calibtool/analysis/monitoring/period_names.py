"""Which period a file or a row belongs to."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import numpy as np

from calibtool.data.files.find import find
from calibtool.data.files.open import SUFFIXES
from calibtool.data.files.store import is_remote
from calibtool.errors import InputError, UsageError
from calibtool.types import Array

CALENDAR = ("day", "week", "month")
CELLS = ".cells"
Key: TypeAlias = date | float | str  # what periods are put in order by

_DATE = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)|(?<!\d)(\d{4})(\d{2})(\d{2})(?!\d)")
_MONTH = re.compile(r"(?<!\d)(\d{4})-(\d{2})(?![\d-])")
_PARTS = ("year", "month", "day")


@dataclass(frozen=True)
class File:
    """A file that is meant.

    Attributes:
        address: its path, or its address on a server.
        parts: the parts of its path in which it may differ from the others; its name at least.
    """

    address: str
    parts: tuple[str, ...]

    @property
    def suffix(self) -> str:
        """In small letters."""
        return PurePosixPath(self.parts[-1]).suffix.lower()


def files_of(pattern: str) -> list[File]:
    """The files that are meant, in the order of their names: those in each folder that the pattern
    matches, and those that it matches itself."""
    if is_remote(pattern):
        return _remote(pattern)
    if not pattern.strip() or "\0" in pattern:
        raise InputError(f"{pattern!r}: no file can have this name")
    path = Path(pattern)
    magic = glob.has_magic(pattern) and not path.exists()
    found: list[Path] = []
    for one in map(Path, glob.glob(pattern, recursive=True)) if magic else [path]:
        found += [p for p in one.rglob("*") if _is_data(p)] if one.is_dir() else [one]
    if not found:
        there = "nothing matches" if magic else "no file that can be read is in this folder"
        raise InputError(f"{pattern}: {there}")
    if not magic and not path.exists():
        raise InputError(f"{pattern}: no such file")
    fixed = 0 if magic else len(path.parts) - (not path.is_dir())
    if magic:
        fixed = next(i for i, part in enumerate(path.parts) if glob.has_magic(part))
    return [File(str(one), one.parts[fixed:]) for one in sorted(set(found))]


def _remote(pattern: str) -> list[File]:
    """Files of a server; a pattern there names files, or one folder."""
    found = find(pattern)
    paths = [path.split("/") for path in found.paths]
    asked, mark, query = pattern.partition("?")
    if found.base:
        fixed = len(found.base.split("/"))
    elif len(paths) > 1:
        fixed = next(k for k in range(len(paths[0])) if len({tuple(p[: k + 1]) for p in paths}) > 1)
    else:
        fixed = len(paths[0]) - 1
    more = mark + query if "=" in query and "/" not in query and asked else ""
    return [
        File(f"{found.prefix}{path}{more}", tuple(own[min(fixed, len(own) - 1) :]))
        for path, own in zip(found.paths, paths, strict=True)
    ]


def _is_data(path: Path) -> bool:
    known = path.suffix.lower() in (*SUFFIXES, CELLS)
    return known and path.is_file() and not path.name.startswith((".", "_"))


def partitions(parts: Sequence[str]) -> dict[str, str]:
    """The folders of a path that are called key=value.

    >>> partitions(("country=fr", "day=2026-11-01", "part-0.parquet"))
    {'country': 'fr', 'day': '2026-11-01'}
    """
    pairs = (part.split("=", 1) for part in parts[:-1] if "=" in part)
    return {key: value for key, value in pairs if key}


def date_of(path: str, parts: Sequence[str], every: str) -> date:
    """The date in a file's path: of its folders day=2026-11-01 or year=2026/month=11/day=1, or in
    its name. Raises UsageError where there is none, or more than one."""
    keys = partitions(parts)
    found = {found for value in keys.values() for found in _dates(value, every)}
    if not found and "year" in keys:
        found = {_of_numbers(path, keys, every)}
    if not found:
        found = set(_dates(PurePosixPath(parts[-1]).stem, every))
    if len(found) > 1:
        both = " and ".join(str(one) for one in sorted(found)[:3])
        raise UsageError(
            f"{path}: which date is meant, {both}? Name the column of times with --time, or "
            "--every the folder's key"
        )
    if not found:
        raise UsageError(
            f"{path}: no date such as 2026-11-01 in its name or its folders; name a column of "
            "times with --time COLUMN, or take each file for a period with --every file"
        )
    return found.pop()


def _dates(text: str, every: str) -> list[date]:
    found = []
    for match in _DATE.finditer(text):
        numbers = [int(group) for group in match.groups() if group]
        try:
            found.append(date(*numbers))
        except ValueError:
            continue
    if not found and every == "month":
        found = [date(int(y), int(m), 1) for y, m in _MONTH.findall(text) if 1 <= int(m) <= 12]
    return found


def _of_numbers(path: str, keys: dict[str, str], every: str) -> date:
    """year=2026/month=11/day=1; without a day where a period is a month."""
    wanted = _PARTS[: 2 if every == "month" else 3]
    missing = [key for key in wanted if key not in keys]
    if missing:
        raise UsageError(f"{path}: its folders say no {missing[0]}, which --every {every} needs")
    try:
        return date(int(keys["year"]), int(keys["month"]), int(keys.get("day", 1)))
    except ValueError:
        said = "/".join(f"{key}={keys[key]}" for key in _PARTS if key in keys)
        raise UsageError(f"{path}: {said} is no date") from None


def start_of(day: date, every: str) -> date:
    """The first day of a day's period.

    >>> start_of(date(2026, 11, 25), "week"), start_of(date(2026, 11, 25), "month")
    (datetime.date(2026, 11, 23), datetime.date(2026, 11, 1))
    """
    if every == "month":
        return day.replace(day=1)
    return day if every == "day" else date.fromordinal(day.toordinal() - day.weekday())


def name_of(key: Key, every: str) -> str:
    """What to call a period.

    >>> name_of(date(2026, 11, 23), "week"), name_of(date(2026, 11, 1), "month"), name_of(7.0, "v")
    ('2026-W48', '2026-11', '7')
    """
    if isinstance(key, date):
        if every == "week":
            return "{}-W{:02}".format(*key.isocalendar()[:2])
        return str(key)[:7] if every == "month" else str(key)
    return f"{key:.10g}" if isinstance(key, float) else key


def days_of(values: Array, where: str, row: int) -> Array:
    """The day of each time. Raises UsageError for what is no time; `row` is the first one's."""
    if values.dtype.kind == "M":
        return values.astype("datetime64[D]")
    if values.dtype.kind == "O" and len(values) and isinstance(values[0], date):
        return values.astype("datetime64[D]")
    if values.dtype.kind not in "UO":
        raise UsageError(
            f"{where}: {values.dtype} values are no times; a column of dates or timestamps is "
            "needed, or texts such as 2026-11-01T12:00"
        )
    try:
        return values.astype("datetime64[us]").astype("datetime64[D]")
    except ValueError:
        bad = next(i for i, text in enumerate(values.tolist()) if not _is_time(text))
        raise UsageError(
            f"{where}: row {row + bad} (counting from 0): {values[bad]!r} is no time such as "
            "2026-11-01 or 2026-11-01T12:00"
        ) from None


def _is_time(text: str) -> bool:
    try:
        np.datetime64(text, "us")
    except ValueError:
        return False
    return True


def keys_of(values: Array, every: str, where: str, row: int) -> tuple[list[Key], Array]:
    """The periods of rows: their keys, and which one each row has."""
    if every in CALENDAR:
        days = days_of(values, where, row)
        distinct, index = np.unique(days, return_inverse=True)
        starts = [start_of(day, every) for day in distinct.tolist()]
        keys: list[Key] = list(dict.fromkeys(starts))
        place = {key: k for k, key in enumerate(keys)}
        return keys, np.array([place[start] for start in starts])[index]
    if values.ndim != 1:
        raise UsageError(f"{where}: holds several values a row, which are no period")
    distinct, index = np.unique(values, return_inverse=True)
    if distinct.dtype.kind in "iufb":
        return [float(value) for value in distinct], index
    return [str(value) for value in distinct], index
