"""One file of Arrow's formats: its columns, its rows, the pieces it is read in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
from pyarrow import csv, fs, parquet

from calibtool.data.files import secrets, store
from calibtool.data.files.find import Found
from calibtool.errors import InputError, UnreadableError

CSV_BLOCK = 1 << 30  # bytes
PIECE_ROWS = 1 << 20  # neighbouring row groups are read together up to so many rows
PIECE_BYTES = 1 << 28  # and bytes; a row group beyond is read through buffers, never whole
NEAR_BUFFER = 1 << 16  # bytes of a column read at a time from a disk
FAR_BUFFER = 1 << 20  # and from a server, if the piece is too large to be fetched at once


def opened(found: Found, kind: str, keys: Any) -> list[File]:
    """The files, not looked at yet."""
    format_: Any = {"parquet": pads.ParquetFileFormat, "ipc": pads.IpcFileFormat}.get(kind)
    filesystem = found.filesystem or fs.LocalFileSystem(use_mmap=kind == "ipc")
    shared = format_() if format_ else None

    def whole(path: str) -> str:  # pyarrow takes a relative path with a colon for an address
        return path if found.filesystem else str(Path(path).absolute())

    return [
        File(
            found.show(path),
            number,
            (shared or _csv(kind, found, path, filesystem)).make_fragment(
                whole(path), filesystem=filesystem, partition_expression=keys.expression(path)
            ),
            keys.schema,
            near=found.filesystem is None,
        )
        for number, path in enumerate(found.paths)
    ]


def _csv(kind: str, found: Found, path: str, filesystem: Any) -> pads.CsvFileFormat:
    # types are settled by the first block: make it the file, so that a column of whole numbers
    # may turn to fractions further down
    with suppressed(found.show(path)):
        at = path if found.filesystem else str(Path(path).absolute())
        size = filesystem.get_file_info(at).size or 0
    return pads.CsvFileFormat(
        parse_options=csv.ParseOptions(delimiter="\t" if kind == "tsv" else ","),
        read_options=csv.ReadOptions(block_size=min(size + 1, CSV_BLOCK)),
    )


@contextmanager
def suppressed(shown: str) -> Iterator[None]:
    """A file that cannot be asked for its size is found out when it is opened."""
    try:
        yield
    except (OSError, pa.ArrowException):
        return


@dataclass(eq=False)
class File:
    """A file of several.

    Attributes:
        shown: what messages call it.
        number: its place among the files.
        fragment: pyarrow's handle.
        key_schema: the columns that its path tells.
        near: whether it lies on this machine.
    """

    shown: str
    number: int
    fragment: pads.Fragment
    key_schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    near: bool = True

    @cached_property
    def keys(self) -> dict[str, Any]:
        """Columns that the path tells, with their value."""
        known = pads.get_partition_keys(self.fragment.partition_expression)
        return {name: known.get(name) for name in self.key_schema.names}

    def open(self) -> None:
        """Read the footer where there is one."""
        with errors(self.shown, near=self.near):
            if self.near:
                store.require_content(self.fragment.path, self.shown)
            if self._is_parquet:
                self.fragment.ensure_complete_metadata()
            if not isinstance(self.fragment.format, pads.CsvFileFormat):
                names = self.schema.names
                twice = sorted({name for name in names if names.count(name) > 1})
                if twice:
                    raise UnreadableError(
                        self.shown, f"two columns are called {twice[0]!r}; rename one of them"
                    )

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns that it holds."""
        with errors(self.shown, near=self.near):
            found = self.fragment.physical_schema
            found.names  # noqa: B018 - which must be UTF-8
            return found

    @cached_property
    def rows(self) -> int:
        """By its own record."""
        with errors(self.shown, near=self.near):
            return int(self.fragment.count_rows())

    def stamp(self) -> tuple[str, int | None, str]:
        """Its size in bytes, and when it was written."""
        with errors(self.shown):
            found = self.fragment.filesystem.get_file_info(self.fragment.path)
            return self.shown, found.size, str(found.mtime_ns)

    @property
    def _is_parquet(self) -> bool:
        return isinstance(self.fragment, pads.ParquetFileFragment)

    def pieces(self, condition: Any, schema: pa.Schema) -> Iterator[tuple[Any, int, int]]:
        """What to read at a time (numbers of row groups), its first row, its rows; what the
        path or the row groups' statistics rule out is left out."""
        if condition is not None and not self._may_hold(condition, schema):
            return
        if not self._is_parquet:
            yield None, 0, self.rows
            return
        kept = self._groups(condition, schema)
        held: list[int] = []
        first = rows = size = at = 0
        for group in self.fragment.row_groups:
            full = rows + group.num_rows > PIECE_ROWS or size + group.total_byte_size > PIECE_BYTES
            if held and (full or group.id not in kept):
                yield tuple(held), first, rows
                held = []
            if group.id in kept:
                if not held:
                    first, rows, size = at, 0, 0
                held.append(group.id)
                rows, size = rows + group.num_rows, size + group.total_byte_size
            at += group.num_rows
        if held:
            yield tuple(held), first, rows

    def _may_hold(self, condition: Any, schema: pa.Schema) -> bool:
        """Whether the path leaves it open that a row meets the condition."""
        if not self.keys:
            return True
        known = pads.FileSystemDataset(
            [self.fragment], schema, self.fragment.format, self.fragment.filesystem
        )
        return any(True for _ in known.get_fragments(condition.expression))

    def _groups(self, condition: Any, schema: pa.Schema) -> set[int]:
        with errors(self.shown, near=self.near):
            if condition is None:
                return {group.id for group in self.fragment.row_groups}
            left = self.fragment.subset(filter=condition.expression, schema=schema)
            return {group.id for group in left.row_groups}

    def batches(
        self, names: Sequence[str], size: int, what: Any = None, *, threads: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """The named columns of a piece, or of all, `size` rows at a time or fewer."""
        own = [name for name in dict.fromkeys(names) if name not in self.keys]
        with errors(self.shown, near=self.near):
            read = self._parquet if self._is_parquet else self._others
            for batch in read(own, size, what, threads=threads):
                whole = batch
                for name in names:
                    if name in self.keys:
                        kind = self.key_schema.field(name).type
                        value = pa.repeat(pa.scalar(self.keys[name], kind), batch.num_rows)
                        whole = whole.append_column(name, value)
                yield whole

    def _parquet(
        self, names: list[str], size: int, what: Any, *, threads: bool
    ) -> Iterator[pa.RecordBatch]:
        """By parquet's own reader, for a scan of a dataset decodes a row group whole."""
        chosen = self.fragment.row_groups
        chosen = chosen if what is None else [g for g in chosen if g.id in set(what)]
        whole = not self.near and sum(group.total_byte_size for group in chosen) <= PIECE_BYTES
        with self.fragment.filesystem.open_input_file(self.fragment.path) as stream:
            file = parquet.ParquetFile(
                stream,
                metadata=self.fragment.metadata,
                pre_buffer=whole,
                buffer_size=0 if whole else NEAR_BUFFER if self.near else FAR_BUFFER,
                page_checksum_verification=True,
            )
            if not names:  # the path alone tells
                for group in chosen:
                    yield _without_columns(group.num_rows)
                return
            numbers = [group.id for group in chosen]
            yield from file.iter_batches(size, numbers, names, use_threads=threads)

    def _others(
        self, names: list[str], size: int, what: Any, *, threads: bool
    ) -> Iterator[pa.RecordBatch]:
        yield from self.fragment.to_batches(
            schema=self.schema, columns=names, batch_size=size, use_threads=threads
        )


def _without_columns(rows: int) -> pa.RecordBatch:
    """A batch that has rows and nothing else."""
    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))


@contextmanager
def errors(shown: str, *, near: bool = True) -> Iterator[None]:
    """Arrow's own errors as ours: of one file, or of the machine or the server."""
    try:
        yield
    except MemoryError as error:
        raise InputError(f"{shown}: does not fit in memory ({secrets.clean(error)})") from error
    except FileNotFoundError as error:
        raise UnreadableError(shown, "no such file; has it vanished?") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        said = secrets.clean(error)
        if not near and store.of_server(error):
            raise InputError(f"{shown}: cannot be read: {said}") from error
        raise UnreadableError(shown, f"cannot be read: {said}") from error
