"""Read periods: the rows of files, summed to the cells of each day, week, month or file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from calibtool.analysis.monitoring import period_names, slice_rows
from calibtool.analysis.monitoring.period import Period
from calibtool.data.files.roles import Choice
from calibtool.data.files.secrets import without_secrets
from calibtool.data.files.source import Source
from calibtool.data.predictions import Kind, Predictions
from calibtool.data.readable import Readable
from calibtool.data.rows import reduce_rows
from calibtool.errors import InputError, UnreadableError, UsageError
from calibtool.metrics.cells import Cells
from calibtool.metrics.resolve import one_score_view
from calibtool.streaming.cells_file import load_cells
from calibtool.streaming.exact import MOST_ROWS, Exact
from calibtool.streaming.grid import NAMED, Grid, Tally, grid, named
from calibtool.streaming.summary import Summary
from calibtool.types import Array

# Most periods: 27 years of days. A column of more values is not a column of periods but of
# identifiers, and each period holds sums of some thousand cells.
MOST = 10_000
# the slice, "" for all rows, and the period
Place: TypeAlias = tuple[str, period_names.Key]
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
        names: names of the periods of all slices, some of which these may lack.
    """

    source: str
    every: str
    periods: tuple[Period, ...]
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def in_memory(
    data: Mapping[str, Readable], view: str, bins: int, by: Sequence[str] = ()
) -> dict[str, Periods]:
    """Return the periods of every slice of predictions or summaries, by the name of each period.

    Slices are those of `read_slices`. Raises InputError for weighted rows, no labels, or slices of
    a summary; UsageError for `view`, `bins` or a column of `by`.
    """
    grid_ = _grid(bins)
    found: dict[str, list[Period]] = {} if by else {"": []}
    for name, rows in data.items():
        if isinstance(rows, Summary) and not by:
            found[""].append(_of_summary(rows, view, name))
            continue
        resolved, sums = one_score_view(view, rows), dict[Place, Sums]()
        for block in slice_rows.with_columns(rows, by).blocks(MOST_ROWS):
            score, outcome = reduce_rows(_unweighted(block)).view(resolved)
            names, codes = slice_rows.of_rows(block, by, {})
            for k in np.unique(codes).tolist():
                inside = codes == k
                _plus(sums, (names[k], name), _counted(grid_, score[inside], outcome[inside]))
        for (part, _), each in sorted(sums.items()):
            period = Period(name, _cells(grid_, each), rows.kind, resolved)
            found.setdefault(part, []).append(period)
        slice_rows.require_few(found, "periods", by)
    return {
        part: Periods("periods", "period", tuple(periods), names=tuple(data))
        for part, periods in found.items()
    }


def read(pattern: str, every: str, **options: Any) -> Periods:
    """Return the periods of all rows of files; options as for `read_slices`."""
    return read_slices(pattern, every, (), **options)[""]


def read_slices(
    pattern: str,
    every: str,
    by: Sequence[str],
    *,
    time: str | None = None,
    choice: Choice | None = None,
    view: str = "auto",
    bins: int = 15,
    since: str | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> dict[str, Periods]:
    """Read the periods of every slice of files, block by block.

    Args:
        pattern: a file, a folder or a glob; folders are read with all subfolders.
        every: "day", "week", "month", "file", or the name of a column or of a folder key=value.
        by: columns, or keys of folders key=value, whose values together name the slices; none for
            one slice, "", of all rows.
        time: column of times, for days, weeks and months; None for the date in each file's path.
        choice: roles of the columns, and other options of reading.
        view: "top", "positive" or "auto".
        bins: number of bins whose edges the cells must end at, besides the usual numbers.
        since: name of the period to begin with; earlier periods are left out.
        progress: called with the name of the step and the share of it that is done.

    Returns the slices in order of their first period, and by name within one. A slice has the
    periods in which it has rows.

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
    reading = _Reading(pattern, every, tuple(by), time, choice or Choice(), view, _grid(bins))
    for number, file in enumerate(files):
        reading.add(file)
        if progress:
            progress("reading", (number + 1) / len(files))
    return reading.result(since)


def _from(series: Periods, since: str) -> Periods:
    """Return the periods from `since` on. Raises UsageError if there is no such period."""
    names = series.names
    if since not in names:
        raise UsageError(
            f"--since {since}: there is no such period; there are {len(names):,}, from "
            f"{names[0]} to {names[-1]}"
        )
    first = names.index(since)
    notes = (f"{first:,} earlier periods are left out",) if first else ()
    later = set(names[first:])
    periods = tuple(period for period in series.periods if period.name in later)
    return replace(series, periods=periods, notes=(*series.notes, *notes), names=names[first:])


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


def _plus(sums: dict[Place, Sums], key: Place, more: Sums) -> None:
    """Add to the sums of a period of a slice.

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
        pattern, every, by, time, choice, view: as of `read_slices`.
        grid: cells that rows are summed in.
        sums: exact sums of the rows of each period of each slice.
        summaries: summary of each period of each slice, from .cells files.
        shape: kind, classes and view of the first file, which all others must share.
        first: the first file.
        skipped: files that could not be read, and why.
    """

    pattern: str
    every: str
    by: tuple[str, ...]
    time: str | None
    choice: Choice
    view: str
    grid: Grid
    sums: dict[Place, Sums] = field(default_factory=dict)
    summaries: dict[Place, Summary] = field(default_factory=dict)
    shape: tuple[Kind, int | None, str] | None = None
    first: str = ""
    skipped: list[str] = field(default_factory=list)

    def add(self, file: period_names.File) -> None:
        """Add all rows of a file.

        With `skip_bad_files`, a file that cannot be read is left out as a whole.
        """
        key = self._key(file)
        if file.suffix == period_names.CELLS:
            self._add_cells(file, key)
            return
        try:
            fresh = self._rows_of(file, key)
        except UnreadableError as error:
            if not self.choice.skip_bad_files:
                raise
            self.skipped.append(f"skipped {error}")
            return
        for place, sums in fresh.items():
            _plus(self.sums, place, sums)
        self._require_few(self.sums)

    def _require_few(self, places: Collection[Place]) -> None:
        """Check that there are not too many slices and periods. Raises UsageError."""
        slices = {name for name, _ in places}
        slice_rows.require_few(slices, self.pattern, self.by)
        if len(places) > MOST:
            of = f" of {len(slices):,} slices together" if self.by else ""
            raise UsageError(
                f"{self.pattern}: {self.time or self.every} has more than {MOST:,} values; at most "
                f"{MOST:,} periods{of} can be monitored"
            )

    def _rows_of(self, file: period_names.File, key: period_names.Key | None) -> dict[Place, Sums]:
        """Return the sums of a file's rows by slice and period.

        They are added to the others only after the whole file was read: of a file that turns out
        to be damaged, no row is used.
        """
        from calibtool.data.files.open import open_source  # cells are read without all readers

        source = open_source(file.address, replace(self.choice, skip_bad_files=False))
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
        folders = period_names.partitions(file.parts)
        further = [*([column] if column else []), *(x for x in self.by if x not in folders)]
        if further:
            source = source.also(further)
        fresh: dict[Place, Sums] = {}
        row = 0
        for block in source.blocks(MOST_ROWS):
            score, outcome = reduce_rows(_unweighted(block)).view(view)
            where = f"{source.source}: {column}"
            keys, period = (
                ([key], np.zeros(block.rows, np.intp))
                if key is not None
                else period_names.keys_of(block.extra[str(column)], self.every, where, row)
            )
            names, part = slice_rows.of_rows(block, self.by, folders)
            cells = part * len(keys) + period
            places = {
                code: (names[code // len(keys)], keys[code % len(keys)])
                for code in np.unique(cells).tolist()
            }
            self._require_few({*fresh, *places.values()})
            for code, place in places.items():
                inside = cells == code
                _plus(fresh, place, _counted(self.grid, score[inside], outcome[inside]))
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

    def _add_cells(self, file: period_names.File, key: period_names.Key | None) -> None:
        """Add a .cells file. Raises UsageError if its period or slice is not that of a whole
        file."""
        path = file.address
        if key is None:
            option = f"--time {self.time}" if self.time else f"--every {self.every}"
            raise UsageError(
                f"{path}: holds cells, but {option} needs rows; --every file makes each file a "
                "period, --every day uses the date in its name"
            )
        name = slice_rows.of_file(self.by, period_names.partitions(file.parts))
        if name is None:
            folders = "/".join(f"{column}=..." for column in self.by)
            raise UsageError(
                f"{path}: holds cells, but --by {','.join(self.by)} needs rows, or cells of one "
                f"slice in folders {folders}"
            )
        summary = load_cells(path, lambda header: (one_score_view(self.view, header),))
        self._require_alike(summary, one_score_view(self.view, summary))
        place = name, key
        before = self.summaries.get(place)
        self.summaries[place] = summary if before is None else before + summary

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

    def result(self, since: str | None = None) -> dict[str, Periods]:
        """Return the periods of each slice in order, from `since` on.

        Raises InputError if no file could be read, UsageError if there is no period `since`.
        """
        if self.shape is None or not (self.sums or self.summaries):
            raise InputError(
                f"{self.pattern}: no file could be read; {'; '.join(self.skipped[:3])}"
            )
        if self.sums and self.summaries:
            raise InputError(
                f"{self.pattern}: holds files of cells and files of rows; give a pattern that "
                "matches only one kind"
            )
        places = self.sums or self.summaries
        keys = period_names.ordered({key for _, key in places})
        names = period_names.names_of(keys, self.every)
        notes = (*self.skipped, *period_names.gaps(keys, self.every, MOST))
        found = {}
        for part in sorted({part for part, _ in places}):
            periods = [
                self._period((part, key), name)
                for key, name in zip(keys, names, strict=True)
                if (part, key) in places
            ]
            series = Periods(
                without_secrets(self.pattern), self.every, tuple(periods), notes, tuple(names)
            )
            series = _from(series, since) if since else series
            if series.periods:
                found[part] = series
        place = {name: k for k, name in enumerate(names)}
        order = sorted(found, key=lambda part: (place[found[part].periods[0].name], part))
        return {part: found[part] for part in order}

    def _period(self, place: Place, name: str) -> Period:
        """Return a period of a slice."""
        assert self.shape is not None
        kind, _, view = self.shape
        if self.summaries:
            return _of_summary(self.summaries[place], view, name)
        return Period(name, _cells(self.grid, self.sums[place]), kind, view)


def _described(shape: tuple[Kind, int | None, str]) -> str:
    """Return kind, classes and view in words."""
    kind, classes, view = shape
    return f"{kind} of {classes} classes, seen as {view}" if classes else kind
