"""One file of Arrow's formats: its columns, its rows, the pieces in which it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
from pyarrow import csv, fs, parquet

from calibtool.data.files import store
from calibtool.data.files.arrow_batches import errors, with_keys, without_columns
from calibtool.data.files.find import FileSet
from calibtool.data.files.reader import TWICE, repeated
from calibtool.errors import UnreadableError, row_name

# Most bytes of a csv file that are parsed at once. The first block decides the types of columns, so
# the block is the file, unless that would take too much memory (pyarrow's own limit is 2 GB).
CSV_BLOCK = 1 << 30
# Neighbouring row groups are read together up to this many rows and bytes: a small one holds less
# work than a part costs. A larger row group is read through buffers, never whole.
PIECE_ROWS = 1 << 20
PIECE_BYTES = 1 << 28
# Bytes of a column that are read at a time from a disk, and from a server if the piece is too large
# to be fetched at once: a request to a server takes longer, so that it asks for more.
NEAR_BUFFER = 1 << 16
FAR_BUFFER = 1 << 20
# Most bytes of a parquet file whose columns are read without such a buffer, each row group's whole.
# A buffer grows to the size that the header of a page declares, 2 GB if that is damaged, before
# pyarrow looks where the column ends; here that is at most 128 times the file.
UNBUFFERED = 1 << 24
# How each message of a stream begins, and how the stream ends: with a message of no bytes.
# https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
_CONTINUATION = b"\xff\xff\xff\xff"
_STREAM_END = _CONTINUATION + bytes(4)


def files_of(files: FileSet, kind: str, keys: Any, texts: Sequence[str] = ()) -> list[File]:
    """Return the files, none of which is opened yet.

    `keys` are the columns in their paths, `texts` the columns of csv files that are texts whatever
    they look like.
    """
    format_: Any = {"parquet": pads.ParquetFileFormat, "ipc": pads.IpcFileFormat}.get(kind)
    filesystem = files.filesystem or fs.LocalFileSystem(use_mmap=kind == "ipc")
    shared = format_() if format_ else None

    def class_of(path: str) -> type[File]:
        streamed = kind == "ipc" and files.filesystem is None and is_stream(path)
        return StreamFile if streamed else File

    return [
        class_of(path)(
            files.show(path),
            number,
            (shared or _csv(kind, files, path, filesystem, texts)).make_fragment(
                _absolute(files, path),
                filesystem=filesystem,
                partition_expression=keys.expression(path),
            ),
            kind,
            keys.schema,
            near=files.filesystem is None,
        )
        for number, path in enumerate(files.paths)
    ]


def _absolute(files: FileSet, path: str) -> str:
    """Return a local path as an absolute one: pyarrow takes a relative path with a colon for an
    address. A path on a server stays as it is."""
    return path if files.filesystem else str(Path(path).absolute())


def _csv(
    kind: str, files: FileSet, path: str, filesystem: Any, texts: Sequence[str]
) -> pads.CsvFileFormat:
    """Return the format of a csv file, which is read as one block, so that a column may begin with
    integers and continue with fractions."""
    size = 0
    with suppress(OSError, pa.ArrowException):  # opening the file will report it
        size = filesystem.get_file_info(_absolute(files, path)).size or 0
    return pads.CsvFileFormat(
        parse_options=csv.ParseOptions(delimiter="\t" if kind == "tsv" else ","),
        read_options=csv.ReadOptions(block_size=min(size + 1, CSV_BLOCK)),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(texts, pa.string())),
    )


@dataclass(eq=False)
class File:
    """One file of Arrow's formats, of one or several that are read as one table.

    Attributes:
        shown: what messages call it.
        number: its position among the files.
        fragment: pyarrow's handle.
        kind: "parquet", "ipc", "csv" or "tsv".
        key_schema: the columns in its path.
        near: whether it is on this machine.
    """

    shown: str
    number: int
    fragment: pads.Fragment
    kind: str
    key_schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    near: bool = True

    @cached_property
    def keys(self) -> dict[str, Any]:
        """The columns in the path, with their value."""
        known = pads.get_partition_keys(self.fragment.partition_expression)
        return {name: known.get(name) for name in self.key_schema.names}

    @property
    def path(self) -> str | None:
        """Its path on this machine; None for a file of a server."""
        return str(self.fragment.path) if self.near else None

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing: no row is left out."""
        return ()

    def place(self, row: int) -> str:
        """Return what to call a row."""
        return row_name(row)

    def open(self) -> None:
        """Read the footer, if there is one.

        Raises UnreadableError, InputError.
        """
        with errors(self.shown, near=self.near):
            if self.near:
                store.open_checked(self.fragment.path, self.shown).close()
            if self.kind == "parquet":
                self.fragment.ensure_complete_metadata()
            if self.kind in ("parquet", "ipc"):
                twice = repeated(self.schema.names)
                if twice is not None:
                    raise UnreadableError(self.shown, TWICE.format(twice))

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns in the file itself."""
        with errors(self.shown, near=self.near):
            schema = self.fragment.physical_schema
            schema.names  # noqa: B018 - raises here if a name is not UTF-8
            return schema

    @cached_property
    def rows(self) -> int:
        """The number of rows, from the file's metadata."""
        with errors(self.shown, near=self.near):
            return int(self.fragment.count_rows())

    def stamp(self) -> tuple[str, int | None, str]:
        """Return its name, its size in bytes, and when it was written."""
        with errors(self.shown):
            info = self.fragment.filesystem.get_file_info(self.fragment.path)
            return self.shown, info.size, str(info.mtime_ns)

    def pieces(self, condition: Any, schema: pa.Schema) -> Iterator[tuple[Any, int, int]]:
        """Yield what to read at a time: numbers of row groups (None for the whole file), the
        first row, the number of rows.

        Row groups that `condition` rules out by the path or by their statistics are left out.
        """
        if condition is not None and not self._may_hold(condition, schema):
            return
        if self.kind != "parquet":
            yield None, 0, self.rows
            return
        wanted = self._groups(condition, schema)
        piece: list[int] = []
        first = rows = size = at = 0
        for group in self.fragment.row_groups:
            full = rows + group.num_rows > PIECE_ROWS or size + group.total_byte_size > PIECE_BYTES
            if piece and (full or group.id not in wanted):
                yield tuple(piece), first, rows
                piece = []
            if group.id in wanted:
                if not piece:
                    first, rows, size = at, 0, 0
                piece.append(group.id)
                rows, size = rows + group.num_rows, size + group.total_byte_size
            at += group.num_rows
        if piece:
            yield tuple(piece), first, rows

    def _may_hold(self, condition: Any, schema: pa.Schema) -> bool:
        """Return whether the path allows that a row meets the condition."""
        if not self.keys:
            return True
        known = pads.FileSystemDataset(
            [self.fragment], schema, self.fragment.format, self.fragment.filesystem
        )
        return any(True for _ in known.get_fragments(condition.expression))

    def _groups(self, condition: Any, schema: pa.Schema) -> set[int]:
        """Return the row groups in which, by their statistics, a row may meet the condition."""
        with errors(self.shown, near=self.near):
            if condition is None:
                return {group.id for group in self.fragment.row_groups}
            matching = self.fragment.subset(filter=condition.expression, schema=schema)
            return {group.id for group in matching.row_groups}

    def batches(
        self, names: Sequence[str], size: int, row_groups: Any = None, *, threads: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Yield the named columns of a piece, or of the whole file, at most `size` rows at a time.

        Raises UnreadableError, InputError.
        """
        in_file = [name for name in dict.fromkeys(names) if name not in self.keys]
        with errors(self.shown, near=self.near):
            read = {"parquet": self._parquet, "ipc": self._ipc}.get(self.kind, self._text)
            for batch in read(in_file, size, row_groups, threads=threads):
                yield with_keys(batch, names, self.keys, self.key_schema)

    def _parquet(
        self, names: list[str], size: int, row_groups: Any, *, threads: bool
    ) -> Iterator[pa.RecordBatch]:
        """Read by parquet's own reader: a scan of a dataset would decode a row group whole."""
        chosen = self.fragment.row_groups
        chosen = chosen if row_groups is None else [g for g in chosen if g.id in set(row_groups)]
        at_once = not self.near and sum(group.total_byte_size for group in chosen) <= PIECE_BYTES
        with self.fragment.filesystem.open_input_file(self.fragment.path) as stream:
            whole = at_once or stream.size() <= UNBUFFERED
            file = parquet.ParquetFile(
                stream,
                metadata=self.fragment.metadata,
                pre_buffer=at_once,
                buffer_size=0 if whole else NEAR_BUFFER if self.near else FAR_BUFFER,
                page_checksum_verification=True,
            )
            if not names:  # all columns are in the path
                for group in chosen:
                    yield without_columns(group.num_rows)
                return
            numbers = [group.id for group in chosen]
            read = 0
            for batch in file.iter_batches(size, numbers, names, use_threads=threads):
                yield validated(batch)
                read += batch.num_rows
        promised = sum(group.num_rows for group in chosen)
        if read != promised:
            raise UnreadableError(
                self.shown, f"holds {read:,} rows where its metadata promise {promised:,}"
            )

    def _ipc(
        self, names: list[str], size: int, row_groups: Any, *, threads: bool
    ) -> Iterator[pa.RecordBatch]:
        """Read batches as they were written, so that each is validated once, before it is cut: a
        part of a list or of a dictionary column would bring all its values along every time."""
        if not names:  # all columns are in the path
            yield without_columns(self.rows)
            return
        options = pa.ipc.IpcReadOptions(
            included_fields=[self.schema.get_field_index(name) for name in names],
            use_threads=threads,
        )
        with self.fragment.filesystem.open_input_file(self.fragment.path) as stream:
            file = pa.ipc.open_file(stream, options=options)
            for number in range(file.num_record_batches):
                batch = validated(file.get_batch(number))
                for start in range(0, batch.num_rows, size):
                    yield batch.slice(start, size)

    def _text(
        self, names: list[str], size: int, row_groups: Any, *, threads: bool
    ) -> Iterator[pa.RecordBatch]:
        yield from self.fragment.to_batches(
            schema=self.schema, columns=names, batch_size=size, use_threads=threads
        )


class StreamFile(File):
    """A file in Arrow's format of streams, which has no footer: its batches are read in turn.

    Its kind is "ipc". It must be on this machine, where it is mapped.
    """

    @cached_property
    def schema(self) -> pa.Schema:
        with self._stream() as stream:
            schema = stream.schema
            schema.names  # noqa: B018 - raises here if a name is not UTF-8
            return schema

    @cached_property
    def rows(self) -> int:
        """The number of rows, by the headers of its batches."""
        with self._stream([0] if len(self.schema) else None) as stream:
            return sum(batch.num_rows for batch in stream)

    def _ipc(
        self, names: list[str], size: int, row_groups: Any, *, threads: bool
    ) -> Iterator[pa.RecordBatch]:
        if not names:  # all columns are in the path
            yield without_columns(self.rows)
            return
        fields = [self.schema.get_field_index(name) for name in names]
        with self._stream(fields, threads=threads) as stream:
            for read in stream:
                batch = validated(read)
                for start in range(0, batch.num_rows, size):
                    yield batch.slice(start, size)

    @contextmanager
    def _stream(
        self, fields: list[int] | None = None, *, threads: bool = True
    ) -> Iterator[pa.RecordBatchReader]:
        """Open its batches, with the fields of these numbers alone.

        Raises UnreadableError if it does not end as a whole stream does: pyarrow takes one that
        was cut between two batches for a shorter one.
        """
        options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=threads)
        with (
            errors(self.shown, near=self.near),
            self.fragment.filesystem.open_input_file(self.fragment.path) as file,
        ):
            file.seek(max(file.size() - len(_STREAM_END), 0))
            if file.read() != _STREAM_END:
                raise UnreadableError(self.shown, "ends before the end of its stream; it was cut")
            file.seek(0)
            with pa.ipc.open_stream(file, options=options) as stream:
                yield stream


def is_stream(path: str | Path) -> bool:
    """Return whether a file of this machine begins as a stream of Arrow does; False if it cannot be
    opened."""
    try:
        with store.open_checked(path, str(path)) as file:
            return file.read(len(_CONTINUATION)) == _CONTINUATION
    except (UnreadableError, OSError):
        return False


def validated(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch of a file after checking its offsets, dictionary codes and texts, which
    pyarrow trusts: a damaged one would be read beyond its end.

    Raises pyarrow.ArrowInvalid.
    """
    batch.validate(full=True)
    return batch
