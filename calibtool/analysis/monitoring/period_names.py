"""Names of periods: which period a file or a row belongs to, and what the period is called."""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import numpy as np

from calibtool.data.files.find import find
from calibtool.data.files.formats import SUFFIXES
from calibtool.data.files.store import is_remote
from calibtool.errors import InputError, UsageError, row_name
from calibtool.types import Array

CALENDAR = ("day", "week", "month")
CELLS = ".cells"
Key: TypeAlias = date | float | str  # identifies a period and gives its place in the order

_DATE = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)|(?<!\d)(\d{4})(\d{2})(\d{2})(?!\d)")
_MONTH = re.compile(r"(?<!\d)(\d{4})-(\d{2})(?![\d-])")
_PARTS = ("year", "month", "day")


@dataclass(frozen=True)
class File:
    """A file that a pattern matches.

    Attributes:
        address: path, or address on a server.
        parts: parts of the path in which the file may differ from the others; at least its name.
    """

    address: str
    parts: tuple[str, ...]

    @property
    def suffix(self) -> str:
        """Suffix of the file's name, in lower case."""
        return PurePosixPath(self.parts[-1]).suffix.lower()


def files_of(pattern: str) -> list[File]:
    """Return the files that a pattern matches, and those in the folders it matches, by name.

    Raises InputError if there are none.
    """
    if is_remote(pattern):
        return _remote(pattern)
    if not pattern.strip() or "\0" in pattern:
        raise InputError(f"{pattern!r}: no file can have this name")
    path = Path(pattern)
    magic = glob.has_magic(pattern) and not path.exists()
    paths: list[Path] = []
    for match in map(Path, glob.glob(pattern, recursive=True)) if magic else [path]:
        paths += [p for p in match.rglob("*") if _is_data(p)] if match.is_dir() else [match]
    if not paths:
        there = "nothing matches" if magic else "no file that can be read is in this folder"
        raise InputError(f"{pattern}: {there}")
    if not magic and not path.exists():
        raise InputError(f"{pattern}: no such file")
    # leading parts that all files share: those of the folder, or those before the first wildcard
    fixed = 0 if magic else len(path.parts) - (not path.is_dir())
    if magic:
        fixed = next(i for i, part in enumerate(path.parts) if glob.has_magic(part))
    return [File(str(file), file.parts[fixed:]) for file in sorted(set(paths))]


def _remote(pattern: str) -> list[File]:
    """Return the files on a server that a pattern matches; there it names files, or one folder."""
    matches = find(pattern)
    paths = [path.split("/") for path in matches.paths]
    address, mark, query = pattern.partition("?")
    if matches.base:
        fixed = len(matches.base.split("/"))
    elif len(paths) > 1:
        fixed = next(k for k in range(len(paths[0])) if len({tuple(p[: k + 1]) for p in paths}) > 1)
    else:
        fixed = len(paths[0]) - 1
    # a query holds options such as ?endpoint=...; a "?" that is a wildcard has none
    options = mark + query if "=" in query and "/" not in query and address else ""
    return [
        File(f"{matches.prefix}{path}{options}", tuple(parts[min(fixed, len(parts) - 1) :]))
        for path, parts in zip(matches.paths, paths, strict=True)
    ]


def _is_data(path: Path) -> bool:
    """Return whether a file in a folder is read: a known suffix, not hidden, not _SUCCESS."""
    known = path.suffix.lower() in (*SUFFIXES, CELLS)
    return known and path.is_file() and not path.name.startswith((".", "_"))


def partitions(parts: Sequence[str]) -> dict[str, str]:
    """Return the folders of a path whose names are key=value.

    >>> partitions(("country=fr", "day=2026-11-01", "part-0.parquet"))
    {'country': 'fr', 'day': '2026-11-01'}
    """
    pairs = (part.split("=", 1) for part in parts[:-1] if "=" in part)
    return {key: value for key, value in pairs if key}


def date_of(path: str, parts: Sequence[str], every: str) -> date:
    """Return the date in a file's path.

    It is that of a folder day=2026-11-01, of folders year=2026/month=11/day=1, or that in the
    file's name, in this order.

    Raises UsageError if there is no date, or more than one.
    """
    keys = partitions(parts)
    dates = {day for value in keys.values() for day in _dates(value, every)}
    if not dates and "year" in keys:
        dates = {_of_numbers(path, keys, every)}
    if not dates:
        dates = set(_dates(PurePosixPath(parts[-1]).stem, every))
    if len(dates) > 1:
        several = " and ".join(str(day) for day in sorted(dates)[:3])
        raise UsageError(
            f"{path}: its path holds several dates, {several}; name the column of times with "
            "--time, or the folder's key with --every"
        )
    if not dates:
        raise UsageError(
            f"{path}: no date such as 2026-11-01 in its name or its folders; name a column of "
            "times with --time COLUMN, or make each file a period with --every file"
        )
    return dates.pop()


def _dates(text: str, every: str) -> list[date]:
    """Return the dates in a text; for months, "2026-11" is one if there is no whole date."""
    dates = []
    for match in _DATE.finditer(text):
        numbers = [int(group) for group in match.groups() if group]
        try:
            dates.append(date(*numbers))
        except ValueError:  # eight digits that are no date, such as a run's number
            continue
    if not dates and every == "month":
        dates = [date(int(y), int(m), 1) for y, m in _MONTH.findall(text) if 1 <= int(m) <= 12]
    return dates


def _of_numbers(path: str, keys: dict[str, str], every: str) -> date:
    """Return the date of folders year=2026/month=11/day=1; months need no day.

    Raises UsageError for a missing folder, and for numbers that are not a date.
    """
    needed = _PARTS[: 2 if every == "month" else 3]
    missing = [key for key in needed if key not in keys]
    if missing:
        raise UsageError(f"{path}: its folders name no {missing[0]}, which --every {every} needs")
    try:
        return date(int(keys["year"]), int(keys["month"]), int(keys.get("day", 1)))
    except ValueError:
        folders = "/".join(f"{key}={keys[key]}" for key in _PARTS if key in keys)
        raise UsageError(f"{path}: {folders} is not a date") from None


def start_of(day: date, every: str) -> date:
    """Return the first day of the day, week (Monday) or month that a day lies in.

    >>> start_of(date(2026, 11, 25), "week"), start_of(date(2026, 11, 25), "month")
    (datetime.date(2026, 11, 23), datetime.date(2026, 11, 1))
    """
    if every == "month":
        return day.replace(day=1)
    return day if every == "day" else date.fromordinal(day.toordinal() - day.weekday())


def name_of(key: Key, every: str) -> str:
    """Return the name of a period.

    >>> name_of(date(2026, 11, 23), "week"), name_of(date(2026, 11, 1), "month"), name_of(7.0, "v")
    ('2026-W48', '2026-11', '7')
    """
    if isinstance(key, date):
        if every == "week":
            return "{}-W{:02}".format(*key.isocalendar()[:2])
        return str(key)[:7] if every == "month" else str(key)
    return f"{key:.10g}" if isinstance(key, float) else key


def days_of(values: Array, where: str, row: int) -> Array:
    """Return (N,) datetime64[D] days of times.

    Args:
        values: (N,) dates, timestamps, or texts such as 2026-11-01T12:00.
        where: file and column, for messages.
        row: number of the first row, for messages.

    Raises UsageError for values that are not times.
    """
    if values.dtype.kind == "M":
        return values.astype("datetime64[D]")
    if values.dtype.kind == "O" and len(values) and isinstance(values[0], date):
        return values.astype("datetime64[D]")
    if values.dtype.kind not in "UO":
        raise UsageError(
            f"{where}: {values.dtype} values are not times; a column of dates or timestamps is "
            "needed, or texts such as 2026-11-01T12:00"
        )
    try:
        return values.astype("datetime64[us]").astype("datetime64[D]")
    except ValueError:
        bad = next(i for i, text in enumerate(values.tolist()) if not _is_time(text))
        raise UsageError(
            f"{where}: {row_name(row + bad)}: {values[bad]!r} is not a time such as "
            "2026-11-01 or 2026-11-01T12:00"
        ) from None


def _is_time(text: str) -> bool:
    """Return whether numpy reads a text as a time."""
    try:
        np.datetime64(text, "us")
    except ValueError:
        return False
    return True


def keys_of(values: Array, every: str, where: str, row: int) -> tuple[list[Key], Array]:
    """Return the periods of rows.

    Args:
        values: (N,) values of the column of times or periods.
        every: "day", "week" or "month" for a column of times; otherwise each value is a period.
        where: file and column, for messages.
        row: number of the first row, for messages.

    Returns the keys of the periods, and (N,) numbers of each row's period among them. Raises
    UsageError for values that are not times, or several values per row.
    """
    if every in CALENDAR:
        days = days_of(values, where, row)
        distinct, index = np.unique(days, return_inverse=True)
        starts = [start_of(day, every) for day in distinct.tolist()]
        keys: list[Key] = list(dict.fromkeys(starts))
        place = {key: k for k, key in enumerate(keys)}
        return keys, np.array([place[start] for start in starts])[index]
    if values.ndim != 1:
        raise UsageError(f"{where}: holds several values per row; periods need one value per row")
    distinct, index = np.unique(values, return_inverse=True)
    if distinct.dtype.kind in "iufb":
        return [float(value) for value in distinct], index
    return [str(value) for value in distinct], index


def ordered(keys: Collection[Key]) -> list[Key]:
    """Return keys in order of time, number or name; texts that are all numbers are numbers."""
    keys = list(keys)
    texts = [key for key in keys if isinstance(key, str)]
    if len(texts) == len(keys) and all(_is_number(text) for text in texts):
        return sorted(keys, key=lambda key: float(str(key)))
    if len({type(key) for key in keys}) > 1:
        return sorted(keys, key=str)
    return sorted(keys)


def _is_number(text: str) -> bool:
    """Return whether a text is a finite number."""
    try:
        return np.isfinite(float(text)).item()
    except ValueError:
        return False


def names_of(keys: list[Key], every: str) -> list[str]:
    """Return the names of the periods; those of files without what all paths have in common."""
    if every != "file":
        return [name_of(key, every) for key in keys]
    parts = [Path(str(key)).parts for key in keys]
    if len(keys) > 1:  # what differs: a file's name, or the folder of part-0.parquet
        same = [len({path[-k] for path in parts if len(path) >= k}) == 1 for k in (1, 2)]
        cut = 0 if not same[0] or min(map(len, parts)) < 2 else 1 + (same[1] and len(parts[0]) > 2)
        parts = [path[: len(path) - cut] for path in parts]
    short = [Path(path[-1]).stem if "." in path[-1] else path[-1] for path in parts]
    if len(set(short)) == len(short):
        return short
    whole = ["/".join(path) for path in parts]
    return whole if len(set(whole)) == len(whole) else [str(key) for key in keys]


def gaps(keys: list[Key], every: str, most: int) -> Iterator[str]:
    """Yield a note that names the days, weeks or months without rows, if there are any.

    No more than `most` of them are counted.
    """
    if every not in CALENDAR:
        return
    missing: list[str] = []
    for start, end in itertools.pairwise(key for key in keys if isinstance(key, date)):
        day = _after(start, every)
        while day < end and len(missing) < most:
            missing.append(name_of(day, every))
            day = _after(day, every)
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        yield f"no rows in {len(missing):,} {every}{'s' if len(missing) > 1 else ''}: {shown}"


def _after(day: date, every: str) -> date:
    """Return the first day of the next period; 31 days after the first of a month is the next."""
    steps = {"day": 1, "week": 7, "month": 31}
    return start_of(date.fromordinal(day.toordinal() + steps[every]), every)
