"""Parquet, Arrow IPC (Feather) and csv, one file, a folder or a glob, through pyarrow."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from calibtool.data.files import filter as filters
from calibtool.data.files.arrow_file import File, errors, opened
from calibtool.data.files.find import Found
from calibtool.data.files.partitions import keys_of
from calibtool.data.files.reader import NUMBERS, Column, Part, Skipped
from calibtool.data.files.values import family, is_list, recut, to_numpy, width
from calibtool.errors import InputError, UnreadableError
from calibtool.types import Array

LOG = logging.getLogger("calibtool")  # on standard error, if nobody says otherwise
FOOTERS_AT_ONCE = 16  # each waits for a disk or a server
SCANS_AT_ONCE = 2


class ArrowTable:
    """Files of one format as one table, in the order of their names."""

    def __init__(
        self, found: Found, kind: str, condition: str | None = None, *, skip_bad: bool = False
    ) -> None:
        self.source = found.text
        self.skipped: list[Skipped] = []
        self._skip_bad = skip_bad
        self._mapped = kind == "ipc" and found.filesystem is None
        keys = keys_of(found)
        self._files = list(self._kept(opened(found, kind, keys), lambda file: file.open()))
        known = [self._first_with_schema()] if kind in ("csv", "tsv") else self._files
        self._like, fields = _common(known or [self._first_with_schema()])
        own = [field for field in fields if field.name not in keys.schema.names]
        self.schema = pa.schema([*own, *keys.schema])
        self._filter = None if condition is None else filters.parse(condition, self.schema)
        self._settled: dict[tuple[str, ...], int] = {}

    # ------------------------------------------------------------------ what it holds

    @cached_property
    def rows(self) -> int:
        """By the files' own records, before any filter."""
        return sum(self._rows)

    @cached_property
    def _rows(self) -> list[int]:
        self._files = list(self._kept(self._files, lambda file: file.rows))
        return [file.rows for file in self._files]

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """By name; those of partitions last."""
        return {
            field.name: Column(
                field.name,
                str(field.type),
                width(field.type),
                self.rows,
                nested=is_list(field.type),
                mapped=self._mapped,
            )
            for field in self.schema
        }

    def count(self, names: Sequence[str]) -> int:
        """The rows that the filter keeps; where bad files are skipped, those of the files whose
        every page of these columns could be read."""
        needed = tuple(dict.fromkeys(names))
        if needed not in self._settled:
            self._require(needed)
            if self._skip_bad:
                counts = self._kept(self._files, lambda file: self._count(file, needed), pairs=True)
                kept = list(counts)
                if len(kept) < len(self._files):
                    self._drop([file for file, _ in kept])
                self._settled[needed] = sum(count for _, count in kept)
            elif self._filter is not None:
                counted = self._kept(self._files, lambda file: self._count(file, ()), pairs=True)
                self._settled[needed] = sum(count for _, count in counted)
            else:
                self._settled[needed] = self.rows
        return self._settled[needed]

    def path_of(self, part: Part) -> str | None:
        """Where a part's file lies on this machine; None for those of servers."""
        file = self._by_number[part.number]
        return str(file.fragment.path) if file.near else None

    def stamps(self) -> list[tuple[str, int | None, str]]:
        """Each file, its size in bytes and when it was written, as its file system tells."""
        return [file.stamp() for file in self._files]

    def names_of(self, column: str) -> tuple[str, ...] | None:
        """The dictionary of a dictionary column: class names in the order of their codes."""
        if not pa.types.is_dictionary(self.schema.field(column).type):
            return None
        batch = self._first_batch(column)
        if batch is None:
            return None
        with errors(self.source):
            names = batch.column(0).dictionary.to_pylist()
        return tuple(names) if names and isinstance(names[0], str) else None

    def strings(self, column: str) -> tuple[str, ...]:
        """A short column of names, whole."""
        found: list[str] = []
        for file in self._files:
            for batch in file.batches([column], 1 << 16):
                with errors(file.shown):
                    found += [str(value) for value in batch.column(0).to_pylist()]
        return tuple(found)

    def first(self, name: str) -> Array | None:
        """A column's first row, whatever the filter."""
        batch = self._first_batch(name)
        with errors(self.source):
            return None if batch is None else to_numpy(batch.column(0), f"{self.source}: {name}", 0)

    def locate(self, row: int) -> str:
        """A row by its number among all, for messages: which file, and where in it."""
        if len(self._files) == 1:
            return f"row {row} (counting from 0)"
        ends = np.cumsum(self._rows)
        at = min(int(np.searchsorted(ends, row, side="right")), len(ends) - 1)
        inside = row - int(ends[at]) + self._rows[at]
        return f"row {inside} (counting from 0) of {self._files[at].shown}"

    # ------------------------------------------------------------------ reading

    def blocks(self, names: Sequence[str], size: int) -> Iterator[dict[str, Array]]:
        """Blocks are cut by row number alone, whatever the files' own row groups are."""
        if self._skip_bad:
            self.count(names)  # leaves only files that can be read whole
        every = [*names, NUMBERS] if self._filter is not None else list(names)

        def pieces() -> Iterator[dict[str, Array]]:
            for part in self.parts(names):
                for piece in self._arrays(part, names, size, threads=True):
                    if NUMBERS in piece:
                        piece[NUMBERS] = piece[NUMBERS] + (part.start - part.first_row)
                    yield piece

        return recut(pieces(), every, size, self.source)

    def parts(self, names: Sequence[str] = ()) -> list[Part]:
        """Row groups of parquet, neighbours together where they are small; else whole files."""
        self._require(names)
        found: list[Part] = []
        start = 0
        for file, rows in zip(self._files, self._rows, strict=True):
            for what, first, count in file.pieces(self._filter, self.schema):
                found.append(Part(file.shown, file.number, first, count, what, start + first))
            start += rows
        return found

    def part_blocks(
        self, part: Part, names: Sequence[str], size: int
    ) -> Iterator[dict[str, Array]]:
        """The named columns of a part, and the rows' numbers where a filter drops some."""
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
                    name: to_numpy(batch.column(name), f"{file.shown}: {name}", numbers)
                    for name in names
                }
            if not isinstance(numbers, int):
                piece[NUMBERS] = numbers
            yield piece

    def _filtered(
        self,
        file: File,
        what: Any,
        names: Sequence[str],
        size: int,
        row: int = 0,
        *,
        threads: bool = False,
    ) -> Iterator[tuple[pa.RecordBatch, Array | int]]:
        """Batches that are not empty, with their rows' numbers, or that of the first."""
        condition = self._filter
        wanted = list(dict.fromkeys([*names, *(condition.columns if condition else ())]))
        self._check(file, wanted)
        for batch in file.batches(wanted, size, what, threads=threads):
            count = batch.num_rows
            if condition is None:
                if count:
                    yield batch, row
            else:
                numbered = batch.append_column(NUMBERS, pa.array(np.arange(row, row + count)))
                kept = numbered.filter(condition.expression)
                if kept.num_rows:
                    yield kept, kept.column(NUMBERS).to_numpy()
            row += count

    @cached_property
    def _by_number(self) -> dict[int, File]:
        return {file.number: file for file in self._files}

    def _count(self, file: File, names: Sequence[str]) -> int:
        """The rows of a file that the filter keeps, by reading these columns too."""
        pieces = file.pieces(self._filter, self.schema)
        batches = (
            batch
            for what, _, _ in pieces
            for batch, _ in self._filtered(file, what, names, 1 << 16)
        )
        return sum(batch.num_rows for batch in batches)

    # ------------------------------------------------------------------ bad files

    def _kept(self, files: Sequence[File], look: Any, *, pairs: bool = False) -> Iterator[Any]:
        """Files that `look` does not fail on, in their order, with what it says if `pairs`; the
        others are skipped or, where that is not asked for, the error is raised."""
        files = list(files)

        def guarded(file: File) -> Any:
            try:
                return look(file)
            except UnreadableError as error:
                return error

        with ThreadPoolExecutor(SCANS_AT_ONCE if pairs else FOOTERS_AT_ONCE) as pool:
            for file, said in zip(files, pool.map(guarded, files), strict=True):
                if not isinstance(said, UnreadableError):
                    yield (file, said) if pairs else file
                elif self._skip_bad:
                    self.skipped.append(Skipped(said.file, said.reason))
                    LOG.warning("Left out %s", said)
                else:
                    pool.shutdown(wait=True, cancel_futures=True)
                    raise said

    def _first_with_schema(self) -> File:
        """The first file whose columns are known: it tells those of all."""
        while self._files:
            first = self._files[0]
            if list(self._kept([first], lambda file: file.schema)):
                return first
            self._files = self._files[1:]
        reasons = "; ".join(f"{s.file}: {s.reason}" for s in self.skipped[:3])
        more = ", ..." if len(self.skipped) > 3 else ""
        raise InputError(f"{self.source}: none of the files can be read ({reasons}{more})")

    def _require(self, names: Sequence[str]) -> None:
        """Leave the files that have these columns."""
        kept = list(self._kept(self._files, lambda file: self._check(file, names)))
        if len(kept) < len(self._files):
            self._drop(kept)

    def _drop(self, kept: list[File]) -> None:
        """Only these files are left."""
        self._files = kept
        for name in ("rows", "_rows", "columns", "_by_number"):
            self.__dict__.pop(name, None)
        if not kept:
            reasons = "; ".join(f"{s.file}: {s.reason}" for s in self.skipped[:3])
            raise InputError(f"{self.source}: none of the files can be read ({reasons})")

    def _check(self, file: File, names: Sequence[str]) -> None:
        """Whether a file has these columns, with values of the same sort as the first file's."""
        for name in names:
            if name in file.keys:
                continue
            at = file.schema.get_field_index(name)
            if at < 0:
                there = ", ".join(file.schema.names[:12])
                raise UnreadableError(
                    file.shown, f"there is no column {name!r} in this file, it has {there}"
                )
            own, first = file.schema.field(at).type, self.schema.field(name).type
            if family(own) != family(first):
                raise UnreadableError(
                    file.shown,
                    f"column {name!r} is {own} in this file and {first} in {self._like[name]}",
                )

    def _first_batch(self, name: str) -> pa.RecordBatch | None:
        for file in self._files:
            try:
                batch = next((b for b in file.batches([name], 1) if b.num_rows), None)
            except UnreadableError:
                if not self._skip_bad:
                    raise
                continue  # it is skipped when it is read
            if batch is not None:
                return batch
        return None


def _common(files: Sequence[File]) -> tuple[dict[str, str], list[pa.Field]]:
    """The columns of all files, each of the sort that it has in most of them; and a file that has
    it so."""
    distinct: list[tuple[File, int]] = []  # files whose columns differ, and how many are like each
    for file in files:
        at = next((k for k, (one, _) in enumerate(distinct) if one.schema == file.schema), None)
        if at is None:
            distinct.append((file, 1))
        else:
            distinct[at] = (distinct[at][0], distinct[at][1] + 1)
    votes: dict[str, dict[str, list[Any]]] = {}  # name -> sort -> [count, field, file]
    for file, count in distinct:
        for field in file.schema:
            sorts = votes.setdefault(field.name, {})
            sorts.setdefault(family(field.type), [0, field, file])[0] += count
    most = {name: max(sorts.values(), key=lambda one: one[0]) for name, sorts in votes.items()}
    like = {name: file.shown for name, (_, _, file) in most.items()}
    return like, [field for _, field, _ in most.values()]
