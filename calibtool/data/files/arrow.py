"""Parquet, Arrow IPC (Feather) and csv through pyarrow: one file, a folder or a glob."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from calibtool.data.files import hugging_face, reader
from calibtool.data.files.arrow_batches import errors
from calibtool.data.files.reader import NAMED, NULLS, NUMBERS, TWICE, Column, Part, Skipped
from calibtool.data.files.recut import recut
from calibtool.data.files.table_file import TableFile, common
from calibtool.data.files.values import Where, column_of, family, in_order, to_numpy
from calibtool.errors import InputError, UnreadableError
from calibtool.types import Array

LOG = logging.getLogger("calibtool")  # written to standard error unless it is configured
# Files that are read in parallel. Reading a footer is mostly waiting, for a disk or a server, so
# many more threads than cores pay off; scans decode pages with threads of their own.
FOOTERS_AT_ONCE = 16
SCANS_AT_ONCE = 2
# Rows per batch where rows are only counted: a few megabytes, whatever the columns.
_SCAN_ROWS = 1 << 16


class ArrowTable:
    """Files of one format as one table, in the order of their names."""

    def __init__(
        self,
        source: str,
        files: Sequence[TableFile],
        condition: str | None = None,
        *,
        keys: pa.Schema | None = None,
        skip_bad: bool = False,
        mapped: bool = False,
        alike: bool = False,
        class_names: Mapping[str, tuple[str, ...]] | None = None,
        marks_unlabelled: bool = False,
        notes: Sequence[str] = (),
    ) -> None:
        """Open the files.

        Args:
            source: what to call the table in messages.
            files: in their order.
            condition: which rows to read, in the grammar of `calibtool.data.files.filter`.
            keys: the columns in the files' paths.
            skip_bad: whether files that cannot be read are left out.
            mapped: whether values stay in the files until they are needed.
            alike: whether the first file stands for the columns of all: those of text files are
                only known by parsing them.
            class_names: the names of the classes of a column of labels, by column.
            marks_unlabelled: whether a label of -1 stands for none, although no file says so.
            notes: sentences on what was read, for the user.
        """
        self.source = source
        self.skipped: list[Skipped] = []
        self.format = "a table"
        self.notes = tuple(notes)
        self.optional: frozenset[str] = frozenset()
        self.gaps: frozenset[str] = frozenset()  # optional ones of which NULLS is read as well
        self._marks_unlabelled = marks_unlabelled
        self._skip_bad = skip_bad
        self._mapped = mapped
        self._class_names = dict(class_names or {})
        keys = keys or pa.schema([])
        self._files = list(self._readable(files, lambda file: file.open()))
        known = [self._first_with_schema()] if alike else self._files
        self._like, fields = common(known or [self._first_with_schema()])
        in_files = [field for field in fields if field.name not in keys.names]
        self.schema = pa.schema([*in_files, *keys])
        self._filter = None
        if condition is not None:
            from calibtool.data.files.filter import parse

            self._filter = parse(condition, self.schema, source)
        self._counts: dict[tuple[str, ...], int] = {}  # rows by the columns that were read for it

    # ------------------------------------------------------------------ contents

    @cached_property
    def rows(self) -> int:
        """The number of rows, from the files' metadata, before any filter."""
        return sum(self._rows)

    @cached_property
    def _rows(self) -> list[int]:
        self._files = list(self._readable(self._files, lambda file: file.rows))
        for note in [note for file in self._files for note in file.notes]:
            self.notes = (*self.notes, note)
            LOG.warning("%s", note)
        return [file.rows for file in self._files]

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """The columns by name, those in paths last."""
        return {
            field.name: column_of(field, self.rows, mapped=self._mapped) for field in self.schema
        }

    def count(self, names: Sequence[str]) -> int:
        """Return the number of rows that the filter keeps. If bad files are skipped, only the rows
        of files whose pages of these columns can all be read are counted."""
        needed = tuple(dict.fromkeys(names))
        if needed not in self._counts:
            self._require(needed)
            if self._skip_bad:
                counts = self._readable(
                    self._files, lambda file: self._count(file, needed), pairs=True
                )
                readable = list(counts)
                if len(readable) < len(self._files):
                    self._replace_files([file for file, _ in readable])
                self._counts[needed] = sum(count for _, count in readable)
            elif self._filter is not None:
                counted = self._readable(
                    self._files, lambda file: self._count(file, ()), pairs=True
                )
                self._counts[needed] = sum(count for _, count in counted)
            else:
                self._counts[needed] = self.rows
        return self._counts[needed]

    def path_of(self, part: Part) -> str | None:
        """Return the path of a part's file on this machine; None for a file of a server."""
        return self._by_number[part.number].path

    def stamps(self) -> list[tuple[str, int | None, str]]:
        """Return each file, its size in bytes and when it was written, by its file system."""
        return [file.stamp() for file in self._files]

    @cached_property
    def _of_datasets(self) -> Mapping[str, tuple[str, ...]]:
        """The names of classes, by column, that data sets of Hugging Face keep in the files."""
        metadata = self._first_with_schema().schema.metadata or {}
        return hugging_face.class_names(metadata.get(hugging_face.METADATA))

    @property
    def marks_unlabelled(self) -> bool:
        """Whether a label of -1 stands for none, as in data sets of Hugging Face."""
        return self._marks_unlabelled or bool(self._of_datasets)

    def names_of(self, column: str) -> tuple[str, ...] | None:
        """Return the names of the classes of a column of labels, in the order of their codes: those
        that were given, those that the files keep, or the dictionary of a dictionary column."""
        for known in (self._class_names, self._of_datasets):
            if column in known:
                return known[column]
        if column not in self.schema.names:
            return None
        kind = self.schema.field(column).type
        if not pa.types.is_dictionary(kind) or family(kind) != "text":
            return None
        batch = self._first_batch(column)
        if batch is None:
            return None
        with errors(self.source):
            names = batch.column(0).dictionary.to_pylist()
        return None if not names or None in names else in_order(names)

    def strings(self, column: str) -> tuple[str, ...]:
        """Return a short column of names, whole."""
        names: list[str] = []
        for file in self._files:
            for batch in file.batches([column], _SCAN_ROWS):
                with errors(file.shown):
                    names += [str(value) for value in batch.column(0).to_pylist()]
        return tuple(names)

    def first(self, name: str) -> Array | None:
        """Return a column's first row, whatever the filter; None if there are no rows."""
        batch = self._first_batch(name)
        with errors(self.source):
            if batch is None:
                return None
            where = Where(f"{self.source}: {name}")
            return to_numpy(batch.column(0), where, optional=name in self.optional)

    def locate(self, row: int) -> str:
        """Return what to call a row, by its number among all: its file, and its number there."""
        if len(self._files) == 1:
            return self._files[0].place(row)
        ends = np.cumsum(self._rows)
        at = min(int(np.searchsorted(ends, row, side="right")), len(ends) - 1)
        inside = row - int(ends[at]) + self._rows[at]
        return f"{self._files[at].place(inside)} of {self._files[at].shown}"

    def place(self, part: Part, row: int) -> str:
        """Return what to call a row of a part's file, by its number in it."""
        return self._by_number[part.number].place(row)

    # ------------------------------------------------------------------ reading

    def blocks(self, names: Sequence[str], size: int) -> Iterator[dict[str, Array]]:
        """Yield blocks, cut by row number alone, whatever the row groups of the files are."""
        if self._skip_bad:
            self.count(names)  # leaves only files that can be read whole
        every = [*names, NUMBERS] if self._filter is not None else list(names)

        def pieces() -> Iterator[dict[str, Array]]:
            try:
                for part in self.parts(names):
                    for piece in self._arrays(part, names, size, threads=True):
                        if NUMBERS in piece:
                            piece[NUMBERS] = piece[NUMBERS] + (part.start - part.first_row)
                        yield piece
            finally:
                reader.give_back()

        return recut(pieces(), every, size, self.source)

    def parts(self, names: Sequence[str] = ()) -> list[Part]:
        """Return parts: row groups of parquet, small neighbours together; else whole files."""
        self._require(names)
        parts: list[Part] = []
        start = 0
        for file, rows in zip(self._files, self._rows, strict=True):
            for groups, first, count in file.pieces(self._filter, self.schema):
                parts.append(Part(file.shown, file.number, first, count, groups, start + first))
            start += rows
        return parts

    def part_blocks(
        self, part: Part, names: Sequence[str], size: int
    ) -> Iterator[dict[str, Array]]:
        """Yield the named columns of a part, and the rows' numbers if a filter drops some."""
        every = [*names, NUMBERS] if self._filter is not None else list(names)
        return recut(self._arrays(part, names, size), every, size, part.file)

    def _arrays(
        self, part: Part, names: Sequence[str], size: int, *, threads: bool = False
    ) -> Iterator[dict[str, Array]]:
        file = self._by_number[part.number]
        row = part.first_row
        for batch, numbers in self._filtered(file, part.content, names, size, row, threads=threads):
            with errors(file.shown):
                piece = {
                    name: to_numpy(
                        batch.column(name.removeprefix(NULLS)).is_null()
                        if name.startswith(NULLS)
                        else batch.column(name),
                        Where(f"{file.shown}: {name}", numbers, file.place),
                        optional=name in self.optional,
                        keep=name in self.gaps,
                    )
                    for name in names
                }
            if not isinstance(numbers, int):
                piece[NUMBERS] = numbers
            yield piece

    def _filtered(
        self,
        file: TableFile,
        row_groups: Any,
        names: Sequence[str],
        size: int,
        row: int = 0,
        *,
        threads: bool = False,
    ) -> Iterator[tuple[pa.RecordBatch, Array | int]]:
        """Yield batches that are not empty, with the number of each row or, if no filter drops any,
        that of the first row."""
        condition = self._filter
        held = (name.removeprefix(NULLS) for name in names)
        wanted = list(dict.fromkeys([*held, *(condition.columns if condition else ())]))
        self._check(file, wanted)
        for batch in file.batches(wanted, size, row_groups, threads=threads):
            count = batch.num_rows
            if condition is None:
                if count:
                    yield batch, row
            else:
                with errors(file.shown):
                    numbered = batch.append_column(NUMBERS, pa.array(np.arange(row, row + count)))
                    filtered = condition.kept(numbered, file.shown)
                if filtered.num_rows:
                    yield filtered, filtered.column(NUMBERS).to_numpy()
            row += count

    @cached_property
    def _by_number(self) -> dict[int, TableFile]:
        return {file.number: file for file in self._files}

    def _count(self, file: TableFile, names: Sequence[str]) -> int:
        """Return the number of rows of a file that the filter keeps, reading these columns too."""
        pieces = file.pieces(self._filter, self.schema)
        batches = (
            batch
            for groups, _, _ in pieces
            for batch, _ in self._filtered(file, groups, names, _SCAN_ROWS)
        )
        return sum(batch.num_rows for batch in batches)

    # ------------------------------------------------------------------ bad files

    def _readable(
        self, files: Sequence[TableFile], look: Any, *, pairs: bool = False
    ) -> Iterator[Any]:
        """Yield the files for which `look` succeeds, in order; with its results if `pairs`.

        The others are skipped if the user allows it. Raises UnreadableError otherwise.
        """

        def guarded(file: TableFile) -> Any:
            try:
                return look(file)
            except UnreadableError as error:
                return error

        with ThreadPoolExecutor(SCANS_AT_ONCE if pairs else FOOTERS_AT_ONCE) as pool:
            mapped = pool.map if len(files) > 1 else map  # a thread takes longer to begin
            for file, result in zip(files, mapped(guarded, files), strict=True):
                if not isinstance(result, UnreadableError):
                    yield (file, result) if pairs else file
                elif self._skip_bad:
                    self.skipped.append(Skipped(result.file, result.reason))
                    LOG.warning("Left out %s", result)
                else:
                    pool.shutdown(wait=True, cancel_futures=True)
                    raise result

    def _first_with_schema(self) -> TableFile:
        """Return the first file whose columns can be read.

        Raises InputError if there is none.
        """
        while self._files:
            first = self._files[0]
            if list(self._readable([first], lambda file: file.schema)):
                return first
            self._files = self._files[1:]
        raise self._none_readable()

    def _require(self, names: Sequence[str]) -> None:
        """Check that the files have these columns; skip those that do not, if that is allowed."""
        readable = list(self._readable(self._files, lambda file: self._check(file, names)))
        if len(readable) < len(self._files):
            self._replace_files(readable)

    def _replace_files(self, files: list[TableFile]) -> None:
        """Go on with fewer files, and forget what was computed from the others."""
        self._files = files
        for name in ("rows", "_rows", "columns", "_by_number"):
            self.__dict__.pop(name, None)
        if not files:
            raise self._none_readable()

    def _none_readable(self) -> InputError:
        reasons = "; ".join(f"{s.file}: {s.reason}" for s in self.skipped[:NAMED])
        more = ", ..." if len(self.skipped) > NAMED else ""
        return InputError(f"{self.source}: none of the files can be read ({reasons}{more})")

    def _check(self, file: TableFile, names: Sequence[str]) -> None:
        """Check that a file has these columns, with the same kind of values as other files.

        Raises UnreadableError.
        """
        for name in dict.fromkeys(name.removeprefix(NULLS) for name in names):
            if name in file.keys:
                continue
            at = file.schema.get_field_index(name)
            if at < 0:
                listed = ", ".join(file.schema.names[:12])
                if name in file.schema.names:  # a csv file, whose columns are only known now
                    raise UnreadableError(file.shown, TWICE.format(name))
                raise UnreadableError(
                    file.shown, f"there is no column {name!r} in this file, it has {listed}"
                )
            stored, common = file.schema.field(at).type, self.schema.field(name).type
            if family(stored) != family(common):
                raise UnreadableError(
                    file.shown,
                    f"column {name!r} is {stored} in this file and {common} in {self._like[name]}",
                )

    def _tells(self, batch: pa.RecordBatch, name: str) -> bool:
        """Return whether there is a row, and a value in it where values may be missing."""
        missing = batch.column(0).null_count if name in self.optional else 0
        return bool(batch.num_rows > missing)

    def _first_batch(self, name: str) -> pa.RecordBatch | None:
        for file in self._files:
            try:
                batch = next((b for b in file.batches([name], 1) if self._tells(b, name)), None)
            except UnreadableError:
                if not self._skip_bad:
                    raise
                continue  # it is skipped when it is read
            if batch is not None:
                return batch
        return None
