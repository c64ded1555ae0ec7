"""Read periods: the rows of files, summed to the cells of each day, week, month or file."""

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
from calibtool.evaluation.request import one_score_view
from calibtool.metrics.cells import Cells
from calibtool.streaming.cells_file import load_cells
from calibtool.streaming.exact import MOST_ROWS, Exact
from calibtool.streaming.grid import NAMED, Grid, Tally, grid, named
from calibtool.streaming.summary import Summary
from calibtool.types import Array

# Most periods: 27 years of days. A column of more values is not a column of periods but of
# identifiers, and each period holds sums of some thousand cells.
MOST = 10_000
Sums: TypeAlias = dict[str, Exact]  # exact sums per cell, by the names that `Tally` gives them
WEIGHTED = (
    "rows are weighted, and evidence from weighted rows is not valid: a row of weight 2 is not "
    "two independent rows; leave the weights out"
)


@dataclass(frozen=True, eq=False)
class Periods:
    """Periods in order of time.

    Attributes:
        source: what was read.
        every: length of a period: day, week, month, file, or a column or folder key.
        periods: cells of each period.
        notes: what the reader should know about the data.
    """

    source: str
    every: str
    periods: tuple[Period, ...]
    notes: tuple[str, ...] = ()


def in_memory(data: Mapping[str, Predictions | Summary], view: str, bins: int) -> Periods:
    """Return the periods of predictions or summaries, by the name of each period.

    Raises InputError for weighted rows or no labels, UsageError for `view` or `bins`.
    """
    periods = []
    for name, rows in data.items():
        if isinstance(rows, Summary):
            periods.append(_of_summary(rows, view, name))
            continue
        resolved, cells = one_score_view(view, rows), _grid(bins)
        tally = Tally(cells)
        for block in rows.blocks(MOST_ROWS):
            tally.add(*reduce_rows(_unweighted(block)).view(resolved))
        periods.append(Period(name, _cells(cells, tally.result()), rows.kind, resolved))
    return Periods("periods", "period", tuple(periods))


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
    """Read the periods of files, block by block.

    Args:
        pattern: a file, a folder or a glob; folders are read with all subfolders.
        every: "day", "week", "month", "file", or the name of a column or of a folder key=value.
        time: column of times, for days, weeks and months; None for the date in each file's path.
        choice: roles of the columns, and other options of reading.
        view: "top", "positive" or "auto".
        bins: number of bins whose edges the cells must end at, besides the usual numbers.
        since: name of the period to begin with; earlier periods are left out.
        progress: called with the name of the step and the share of it that is done.

    Raises:
        InputError: no file can be read, rows are weighted or have no labels, or files differ in
            kind.
        UsageError: an option is out of range, or no period can be told from it.
    """
    if not every:
        raise UsageError("--every is empty; expected day, week, month, file, or a column")
    if time and every not in period_names.CALENDAR:
        raise UsageError(f"--time {time} needs --every day, week or month (got {every!r})")
    files = period_names.files_of(pattern)
    reading = _Reading(pattern, every, time, choice or Choice(), view, _grid(bins))
    for number, file in enumerate(files):
        reading.add(file)
        if progress:
            progress("reading", (number + 1) / len(files))
    return _from(reading.result(), since) if since else reading.result()


def _from(series: Periods, since: str) -> Periods:
    """Return the periods from `since` on. Raises UsageError if there is no such period."""
    names = [period.name for period in series.periods]
    if since not in names:
        raise UsageError(
            f"--since {since}: there is no such period; there are {len(names):,}, from "
            f"{names[0]} to {names[-1]}"
        )
    first = names.index(since)
    notes = (f"{first:,} earlier periods are left out",) if first else ()
    return replace(series, periods=series.periods[first:], notes=(*series.notes, *notes))


def _grid(bins: int) -> Grid:
    """Return the grid of cells that also end where `bins` equal-width bins do."""
    if not 1 <= bins <= 1000:
        raise UsageError(f"--bins must lie between 1 and 1,000, not {bins:,}")
    return grid(tuple(sorted({*named(*NAMED), *named(bins)})))


def _unweighted(block: Predictions) -> Predictions:
    """Return a block. Raises InputError if its rows are weighted or have no labels."""
    if block.weights is not None:
        raise InputError(f"{block.source}: {WEIGHTED}")
    if block.kind != "confidence" and block.labels is None:
        raise InputError(f"{block.source}: there are no labels to measure against")
    return block


def _of_summary(summary: Summary, view: str, name: str) -> Period:
    """Return the period of a summary. Raises InputError if it is weighted or lacks the view."""
    resolved = one_score_view(view, summary)
    if not summary.has(resolved):
        raise InputError(f"{summary.source}: holds no cells of the view {resolved}")
    if summary.weighted:
        raise InputError(f"{summary.source}: {WEIGHTED}")
    return Period(name, summary.cells(resolved), summary.kind, resolved)


def _counted(cells: Grid, score: Array, outcome: Array) -> Sums:
    """Return the sums of rows by cell."""
    tally = Tally(cells)
    tally.add(score, outcome)
    return tally.result()


def _plus(sums: dict[period_names.Key, Sums], key: period_names.Key, more: Sums) -> None:
    """Add to the sums of a period.

    The sums are exact, so that the order of rows and files does not change a bit of the result.
    """
    before = sums.get(key)
    sums[key] = {name: before[name] + more[name] for name in more} if before else more


def _cells(cells: Grid, sums: Sums) -> Cells:
    """Return the cells of exact sums, rounded to float64."""
    return Cells(cells.at, *(sums[name].high for name in "npy"))


@dataclass(eq=False)
class _Reading:
    """Files that are read one after the other into the sums of their periods.

    Attributes:
        pattern, every, time, choice, view: as of `read`.
        grid: cells that rows are summed in.
        sums: exact sums of the rows of each period.
        summaries: summary of each period, from .cells files.
        shape: kind, classes and view of the first file, which all others must share.
        first: the first file.
        skipped: files that could not be read, and why.
    """

    pattern: str
    every: str
    time: str | None
    choice: Choice
    view: str
    grid: Grid
    sums: dict[period_names.Key, Sums] = field(default_factory=dict)
    summaries: dict[period_names.Key, Summary] = field(default_factory=dict)
    shape: tuple[Kind, int | None, str] | None = None
    first: str = ""
    skipped: list[str] = field(default_factory=list)

    def add(self, file: period_names.File) -> None:
        """Add all rows of a file.

        With `skip_bad_files`, a file that cannot be read is left out as a whole.
        """
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
        for period, sums in fresh.items():
            _plus(self.sums, period, sums)
        if len(self.sums) > MOST:
            raise UsageError(
                f"{self.pattern}: {self.time or self.every} has more than {MOST:,} values; at most "
                f"{MOST:,} periods can be monitored"
            )

    def _rows_of(self, address: str, key: period_names.Key | None) -> dict[period_names.Key, Sums]:
        """Return the sums of a file's rows by period.

        They are added to the others only after the whole file was read: of a file that turns out
        to be damaged, no row is used.
        """
        source = open_source(address, replace(self.choice, skip_bad_files=False))
        if source.unit:
            raise InputError(
                f"{source.source}: {source.unit.text}: the test takes predictions to be "
                f"independent, and those of one {source.unit.column} are not"
            )
        if source.roles.weights:
            raise InputError(f"{source.source}: {WEIGHTED}")
        view = one_score_view(self.view, source)
        self._require_alike(source, view)
        column = None if key is not None else self.time or self.every
        if column:
            source = source.also([column])
        fresh: dict[period_names.Key, Sums] = {}
        row = 0
        for block in source.blocks(MOST_ROWS):
            score, outcome = reduce_rows(_unweighted(block)).view(view)
            if key is not None:
                _plus(fresh, key, _counted(self.grid, score, outcome))
            else:
                assert column
                where = f"{source.source}: {column}"
                keys, index = period_names.keys_of(block.extra[column], self.every, where, row)
                for k, period in enumerate(keys[: MOST + 1]):  # one more shows that it is too many
                    inside = index == k
                    _plus(fresh, period, _counted(self.grid, score[inside], outcome[inside]))
            row += block.rows
        return fresh

    def _key(self, file: period_names.File) -> period_names.Key | None:
        """Return the period of a whole file; None where a column gives that of each row."""
        if self.time:
            return None
        if self.every == "file":
            return "/".join(file.parts)
        if self.every in period_names.CALENDAR:
            day = period_names.date_of(file.address, file.parts, self.every)
            return period_names.start_of(day, self.every)
        return period_names.partitions(file.parts).get(self.every)

    def _add_cells(self, path: str, key: period_names.Key | None) -> None:
        """Add a .cells file. Raises UsageError if its period is not that of a whole file."""
        if key is None:
            option = f"--time {self.time}" if self.time else f"--every {self.every}"
            raise UsageError(
                f"{path}: holds cells, but {option} needs rows; --every file makes each file a "
                "period, --every day uses the date in its name"
            )
        summary = load_cells(path)
        self._require_alike(summary, one_score_view(self.view, summary))
        self.summaries[key] = self.summaries[key] + summary if key in self.summaries else summary

    def _require_alike(self, source: Source | Summary, view: str) -> None:
        """Check that a file has the kind, classes and view of the first."""
        shape = (source.kind, source.classes, view)
        if self.shape is None:
            self.shape, self.first = shape, source.source
        elif shape != self.shape:
            raise InputError(
                f"{source.source}: holds {_described(shape)}, but {self.first} holds "
                f"{_described(self.shape)}; periods must be alike"
            )

    def result(self) -> Periods:
        """Return the periods in order. Raises InputError if no file could be read."""
        if self.shape is None or not (self.sums or self.summaries):
            raise InputError(
                f"{self.pattern}: no file could be read; {'; '.join(self.skipped[:3])}"
            )
        if self.sums and self.summaries:
            raise InputError(
                f"{self.pattern}: holds files of cells and files of rows; give a pattern that "
                "matches only one kind"
            )
        kind, _, view = self.shape
        keys = _ordered(self.sums or self.summaries)
        names = dict(zip(keys, _names(keys, self.every), strict=True))
        periods = [
            _of_summary(self.summaries[key], view, names[key])
            if self.summaries
            else Period(names[key], _cells(self.grid, self.sums[key]), kind, view)
            for key in keys
        ]
        notes = (*self.skipped, *_gaps(keys, self.every))
        return Periods(without_secrets(self.pattern), self.every, tuple(periods), notes)


def _described(shape: tuple[Kind, int | None, str]) -> str:
    """Return kind, classes and view in words."""
    kind, classes, view = shape
    return f"{kind} of {classes} classes, seen as {view}" if classes else kind


def _ordered(sums: Mapping[period_names.Key, object]) -> list[period_names.Key]:
    """Return keys in order of time, number or name; texts that are all numbers are numbers."""
    keys = list(sums)
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


def _names(keys: list[period_names.Key], every: str) -> list[str]:
    """Return the names of the periods; those of files without what all paths have in common."""
    if every != "file":
        return [period_names.name_of(key, every) for key in keys]
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


def _gaps(keys: list[period_names.Key], every: str) -> Iterator[str]:
    """Yield a note that names the days, weeks or months without rows, if there are any."""
    if every not in period_names.CALENDAR:
        return
    missing: list[str] = []
    for start, end in itertools.pairwise(key for key in keys if isinstance(key, date)):
        day = _after(start, every)
        while day < end and len(missing) < MOST:
            missing.append(period_names.name_of(day, every))
            day = _after(day, every)
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        yield f"no rows in {len(missing):,} {every}{'s' if len(missing) > 1 else ''}: {shown}"


def _after(day: date, every: str) -> date:
    """Return the first day of the next period; 31 days after the first of a month is the next."""
    steps = {"day": 1, "week": 7, "month": 31}
    return period_names.start_of(date.fromordinal(day.toordinal() + steps[every]), every)
