"""One file of Arrow's IPC format (Feather), csv or tsv: its columns, its rows, its batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
from pyarrow import csv, fs

from calibtool.data.files import store
from calibtool.data.files.arrow_batches import errors, validated, with_keys, without_columns
from calibtool.data.files.find import FileSet, absolute
from calibtool.data.files.reader import TWICE, repeated
from calibtool.errors import UnreadableError, row_name

# Most bytes of a csv file that are parsed at once. The first block decides the types of columns, so
# the block is the file, unless that would take too much memory (pyarrow's own limit is 2 GB).
CSV_BLOCK = 1 << 30
# How each message of a stream begins, and how the stream ends: with a message of no bytes.
# https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
_CONTINUATION = b"\xff\xff\xff\xff"
_STREAM_END = _CONTINUATION + bytes(4)


def files_of(files: FileSet, kind: str, keys: Any, texts: Sequence[str] = ()) -> list[File]:
    """Return the files, none of which is opened yet.

    `keys` are the columns in their paths, `texts` the columns of csv files that are texts whatever
    they look like.
    """
    filesystem = files.filesystem or fs.LocalFileSystem(use_mmap=kind == "ipc")
    shared = pads.IpcFileFormat() if kind == "ipc" else None

    def class_of(path: str) -> type[File]:
        streamed = kind == "ipc" and files.filesystem is None and is_stream(path)
        return StreamFile if streamed else File

    return [
        class_of(path)(
            files.show(path),
            number,
            (shared or _csv(kind, files, path, filesystem, texts)).make_fragment(
                absolute(files, path),
                filesystem=filesystem,
                partition_expression=keys.expression(path),
            ),
            kind,
            keys.schema,
            near=files.filesystem is None,
        )
        for number, path in enumerate(files.paths)
    ]


def _csv(
    kind: str, files: FileSet, path: str, filesystem: Any, texts: Sequence[str]
) -> pads.CsvFileFormat:
    """Return the format of a csv file, which is read as one block, so that a column may begin with
    integers and continue with fractions."""
    size = 0
    with suppress(OSError, pa.ArrowException):  # opening the file will report it
        size = filesystem.get_file_info(absolute(files, path)).size or 0
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
        kind: "ipc", "csv" or "tsv".
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
        """Look whether the file is there and, of Arrow's own, at its columns.

        Raises UnreadableError, InputError.
        """
        with errors(self.shown, near=self.near):
            if self.near:
                store.open_checked(self.fragment.path, self.shown).close()
            if self.kind == "ipc":
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
        """Yield the file as one piece, unless `condition` rules it out by its path."""
        if condition is None or self._may_hold(condition, schema):
            yield None, 0, self.rows

    def _may_hold(self, condition: Any, schema: pa.Schema) -> bool:
        """Return whether the path allows that a row meets the condition."""
        if not self.keys:
            return True
        known = pads.FileSystemDataset(
            [self.fragment], schema, self.fragment.format, self.fragment.filesystem
        )
        return any(True for _ in known.get_fragments(condition.expression))

    def batches(
        self, names: Sequence[str], size: int, piece: Any = None, *, threads: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Yield the named columns of the file, at most `size` rows at a time.

        Raises UnreadableError, InputError.
        """
        in_file = [name for name in dict.fromkeys(names) if name not in self.keys]
        with errors(self.shown, near=self.near):
            read = self._ipc if self.kind == "ipc" else self._text
            for batch in read(in_file, size, threads=threads):
                yield with_keys(batch, names, self.keys, self.key_schema)

    def _ipc(self, names: list[str], size: int, *, threads: bool) -> Iterator[pa.RecordBatch]:
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

    def _text(self, names: list[str], size: int, *, threads: bool) -> Iterator[pa.RecordBatch]:
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

    def _ipc(self, names: list[str], size: int, *, threads: bool) -> Iterator[pa.RecordBatch]:
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
