"""Periods: files, folders and rows to the cells of each day, or whatever a period is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TypeAlias

import numpy as np

from calibtool.analysis.monitoring import period_names
from calibtool.analysis.monitoring.period import Period
from calibtool.data.files.open import open_source
from calibtool.data.files.roles import Choice
from calibtool.data.files.secrets import without_secrets
from calibtool.data.files.source import Source
from calibtool.data.predictions import Kind, Predictions
from calibtool.data.rows import reduce_rows
from calibtool.errors import InputError, UnreadableError, UsageError
from calibtool.metrics.cells import Cells
from calibtool.streaming.cells_file import load_cells
from calibtool.streaming.exact import MOST_ROWS, Exact
from calibtool.streaming.grid import NAMED, Grid, Tally, grid, named
from calibtool.streaming.summary import Summary
from calibtool.types import Array

MOST = 10_000  # periods; a column of more values is none of periods
VIEWS = ("auto", "top", "positive")
Sums: TypeAlias = dict[str, Exact]  # of rows by cell, by the names that `Tally` gives them
WEIGHTED = (
    "rows are weighted, and evidence from weighted rows is not valid: a row of weight 2 is not "
    "two independent rows; leave the weights out"
)


@dataclass(frozen=True, eq=False)
class Periods:
    """Periods in order.

    Attributes:
        source: what was read.
        every: what a period is.
        periods: of them.
        notes: what the reader should know.
    """

    source: str
    every: str
    periods: tuple[Period, ...]
    notes: tuple[str, ...] = ()


def in_memory(given: Mapping[str, Predictions | Summary], view: str, bins: int) -> Periods:
    """Predictions or states by the name of their period."""
    found = []
    for name, one in given.items():
        if isinstance(one, Summary):
            found.append(_of_state(one, view, name))
            continue
        own, where = view_of(one, view), _grid(bins)
        tally = Tally(where)
        for block in one.blocks(MOST_ROWS):
            tally.add(*reduce_rows(_unweighted(block)).view(own))
        found.append(Period(name, _cells(where, tally.result()), one.kind, own))
    return Periods("periods", "period", tuple(found))


def read(
    pattern: str,
    every: str,
    *,
    time: str | None = None,
    choice: Choice | None = None,
    view: str = "auto",
    bins: int = 15,
    since: str | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Periods:
    """The periods of files, read a block at a time.

    Args:
        pattern: a file, a folder or a glob; folders are read with all that is in them.
        every: day, week, month, file, or the name of a column or of a folder key=value.
        time: the column of times, for day, week and month; else a date in the file's path is taken.
        choice: which column plays which part.
        view: top, positive or auto.
        bins: numbers of bins that cells are to end at, besides the usual ones.
        since: the name of the period to begin with; those before it are left out.
        progress: told how far it is.
    """
    if time and every not in period_names.CALENDAR:
        raise UsageError(f"--time {time} goes with --every day, week or month, not {every}")
    files = period_names.files_of(pattern)
    reading = _Reading(pattern, every, time, choice or Choice(), view, _grid(bins))
    for number, file in enumerate(files):
        reading.add(file)
        if progress:
            progress("reading", (number + 1) / len(files))
    return _from(reading.result(), since) if since else reading.result()


def _from(found: Periods, since: str) -> Periods:
    """Without the periods before one."""
    called = [period.name for period in found.periods]
    if since not in called:
        raise UsageError(
            f"--since {since}: there is no such period; there are {len(called):,}, from "
            f"{called[0]} to {called[-1]}"
        )
    first = called.index(since)
    notes = (f"{first:,} earlier periods are left out",) if first else ()
    return replace(found, periods=found.periods[first:], notes=(*found.notes, *notes))


def view_of(one: Predictions | Source | Summary, view: str) -> str:
    """Which scores are looked at: positive for one column, top otherwise, unless said."""
    if view not in VIEWS:
        raise UsageError(f"--view {view!r}: there are {', '.join(VIEWS)}")
    if view == "auto":
        return "positive" if one.one_column else "top"
    if view == "positive" and one.classes != 2:
        has = f"{one.classes} classes" if one.classes else "confidences alone"
        raise UsageError(f"{one.source}: --view positive needs two classes; here are {has}")
    return view


def _grid(bins: int) -> Grid:
    if not 1 <= bins <= 1000:
        raise UsageError(f"--bins must lie between 1 and 1,000, not {bins:,}")
    return grid(tuple(sorted({*named(*NAMED), *named(bins)})))


def _unweighted(block: Predictions) -> Predictions:
    if block.weights is not None:
        raise InputError(f"{block.source}: {WEIGHTED}")
    if block.kind != "confidence" and block.labels is None:
        raise InputError(f"{block.source}: there are no labels to measure against")
    return block


def _of_state(one: Summary, view: str, name: str) -> Period:
    own = view_of(one, view)
    if not one.has(own):
        raise InputError(f"{one.source}: holds no cells of the view {own}")
    if one.weighted:
        raise InputError(f"{one.source}: {WEIGHTED}")
    return Period(name, one.cells(own), one.kind, own)


def _counted(where: Grid, score: Array, outcome: Array) -> Sums:
    """Sums of some rows by cell."""
    tally = Tally(where)
    tally.add(score, outcome)
    return tally.result()


def _plus(sums: dict[period_names.Key, Sums], key: period_names.Key, more: Sums) -> None:
    """Add to the sums of a period: exactly, so that the order of rows and files changes no bit."""
    held = sums.get(key)
    sums[key] = {name: held[name] + more[name] for name in more} if held else more


def _cells(where: Grid, sums: Sums) -> Cells:
    return Cells(where.at, *(sums[name].high for name in "npy"))


@dataclass(eq=False)
class _Reading:
    """Files that are read one after the other into the sums of their periods."""

    pattern: str
    every: str
    time: str | None
    choice: Choice
    view: str
    grid: Grid
    sums: dict[period_names.Key, Sums] = field(default_factory=dict)
    states: dict[period_names.Key, Summary] = field(default_factory=dict)
    shape: tuple[Kind, int | None, str] | None = None
    first: str = ""
    skipped: list[str] = field(default_factory=list)

    def add(self, file: period_names.File) -> None:
        """All rows of a file; one that cannot be read is skipped whole, where that is asked for."""
        key = self._key(file)
        if file.suffix == period_names.CELLS:
            self._add_cells(file.address, key)
            return
        try:
            fresh = self._rows_of(file.address, key)
        except UnreadableError as error:
            if not self.choice.skip_bad_files:
                raise
            self.skipped.append(f"skipped {error}")
            return
        for one, sums in fresh.items():
            _plus(self.sums, one, sums)
        if len(self.sums) > MOST:
            raise UsageError(
                f"{self.pattern}: {self.time or self.every} has more than {MOST:,} values; that "
                "many periods are not monitored"
            )

    def _rows_of(self, address: str, key: period_names.Key | None) -> dict[period_names.Key, Sums]:
        """The sums of a file's rows by period."""
        source = open_source(address, replace(self.choice, skip_bad_files=False))
        if source.roles.weights:
            raise InputError(f"{source.source}: {WEIGHTED}")
        own = view_of(source, self.view)
        self._require_alike(source, own)
        column = None if key is not None else self.time or self.every
        if column:
            source = source.also([column])
        fresh: dict[period_names.Key, Sums] = {}
        row = 0
        for block in source.blocks(MOST_ROWS):
            score, outcome = reduce_rows(_unweighted(block)).view(own)
            if key is not None:
                _plus(fresh, key, _counted(self.grid, score, outcome))
            else:
                assert column
                where = f"{source.source}: {column}"
                keys, index = period_names.keys_of(block.extra[column], self.every, where, row)
                for k, one in enumerate(keys[: MOST + 1]):
                    some = index == k
                    _plus(fresh, one, _counted(self.grid, score[some], outcome[some]))
            row += block.rows
        return fresh

    def _key(self, file: period_names.File) -> period_names.Key | None:
        """The period of a whole file; None where its rows tell."""
        if self.time:
            return None
        if self.every == "file":
            return "/".join(file.parts)
        if self.every in period_names.CALENDAR:
            day = period_names.date_of(file.address, file.parts, self.every)
            return period_names.start_of(day, self.every)
        return period_names.partitions(file.parts).get(self.every)

    def _add_cells(self, path: str, key: period_names.Key | None) -> None:
        if key is None:
            option = f"--time {self.time}" if self.time else f"--every {self.every}"
            raise UsageError(
                f"{path}: holds cells, no rows, which {option} needs; --every file takes each file "
                "for a period, --every day the date in its name"
            )
        state = load_cells(path)
        self._require_alike(state, view_of(state, self.view))
        self.states[key] = self.states[key] + state if key in self.states else state

    def _require_alike(self, source: Source | Summary, view: str) -> None:
        """Whether a file holds what the others hold."""
        shape = (source.kind, source.classes, view)
        if self.shape is None:
            self.shape, self.first = shape, source.source
        elif shape != self.shape:
            raise InputError(
                f"{source.source}: holds {_described(shape)}, but {self.first} holds "
                f"{_described(self.shape)}; periods must be alike"
            )

    def result(self) -> Periods:
        """The periods in order."""
        if self.shape is None or not (self.sums or self.states):
            raise InputError(
                f"{self.pattern}: no file could be read; {'; '.join(self.skipped[:3])}"
            )
        if self.sums and self.states:
            raise InputError(
                f"{self.pattern}: holds files of cells and files of rows; name one kind"
            )
        kind, _, view = self.shape
        keys = _ordered(self.sums or self.states)
        called = dict(zip(keys, _called(keys, self.every), strict=True))
        found = [
            _of_state(self.states[key], view, called[key])
            if self.states
            else Period(called[key], _cells(self.grid, self.sums[key]), kind, view)
            for key in keys
        ]
        notes = (*self.skipped, *_gaps(keys, self.every))
        return Periods(without_secrets(self.pattern), self.every, tuple(found), notes)


def _described(shape: tuple[Kind, int | None, str]) -> str:
    kind, classes, view = shape
    return f"{kind} of {classes} classes, seen as {view}" if classes else kind


def _ordered(sums: Mapping[period_names.Key, object]) -> list[period_names.Key]:
    """By time, by number, or by name; texts that are all numbers are numbers."""
    keys = list(sums)
    texts = [key for key in keys if isinstance(key, str)]
    if len(texts) == len(keys) and all(_is_number(text) for text in texts):
        return sorted(keys, key=lambda key: float(str(key)))
    if len({type(key) for key in keys}) > 1:
        return sorted(keys, key=str)
    return sorted(keys)


def _is_number(text: str) -> bool:
    try:
        return np.isfinite(float(text)).item()
    except ValueError:
        return False


def _called(keys: list[period_names.Key], every: str) -> list[str]:
    """Names of the periods: of files, without what they all have in common."""
    if every != "file":
        return [period_names.name_of(key, every) for key in keys]
    parts = [Path(str(key)).parts for key in keys]
    if len(keys) > 1:  # what differs: a file's name, or the folder of part-0.parquet
        same = [len({own[-k] for own in parts if len(own) >= k}) == 1 for k in (1, 2)]
        cut = 0 if not same[0] or min(map(len, parts)) < 2 else 1 + (same[1] and len(parts[0]) > 2)
        parts = [own[: len(own) - cut] for own in parts]
    short = [Path(own[-1]).stem if "." in own[-1] else own[-1] for own in parts]
    if len(set(short)) == len(short):
        return short
    whole = ["/".join(own) for own in parts]
    return whole if len(set(whole)) == len(whole) else [str(key) for key in keys]


def _gaps(keys: list[period_names.Key], every: str) -> Iterator[str]:
    """Periods of the calendar without rows."""
    if every not in period_names.CALENDAR:
        return
    missing: list[str] = []
    for one, two in itertools.pairwise(key for key in keys if isinstance(key, date)):
        day = _after(one, every)
        while day < two and len(missing) < MOST:
            missing.append(period_names.name_of(day, every))
            day = _after(day, every)
    if missing:
        some = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        yield f"no rows in {len(missing):,} {every}{'s' if len(missing) > 1 else ''}: {some}"


def _after(day: date, every: str) -> date:
    steps = {"day": 1, "week": 7, "month": 31}
    return period_names.start_of(date.fromordinal(day.toordinal() + steps[every]), every)
