"""One parquet file: its columns, its rows, the pieces in which it is read.

pyarrow.dataset knows which row groups a condition rules out, and is imported for that alone: it
imports pandas where that is installed, which takes longer than all of pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
from pyarrow import fs, parquet

from calibtool.data.files import store
from calibtool.data.files.arrow_batches import errors, validated, with_keys, without_columns
from calibtool.data.files.find import FileSet, absolute
from calibtool.data.files.partitions import Keys
from calibtool.data.files.reader import TWICE, repeated
from calibtool.data.files.streams import Stream
from calibtool.data.files.table_file import Whole
from calibtool.data.files.values import column_of
from calibtool.errors import UnreadableError

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
# Lists are decoded in this many shares of a block. What pyarrow works in, five times the values,
# then stays in the cache, and pays for the copy that joins the shares.
LIST_SHARES = 8


def parquet_files(files: FileSet, keys: Keys, *, filtered: bool) -> list[ParquetFile]:
    """Return the files, none of which is opened yet.

    Args:
        files: where they are.
        keys: the columns in their paths.
        filtered: whether there is a condition on the rows.
    """
    return [
        ParquetFile(
            Stream(files.show(path), absolute(files, path), files.filesystem),
            number,
            keys.schema,
            keys.values.get(path, {}),
            keys.expression(path) if filtered else None,
            filtered,
        )
        for number, path in enumerate(files.paths)
    ]


@dataclass(eq=False)
class ParquetFile(Whole):
    """One file, of one or several that are read as one table.

    Attributes:
        key_expression: what is true of all rows by the path of the file; None without keys.
        filtered: whether there is a condition on the rows.
    """

    key_expression: Any = None
    filtered: bool = False

    @property
    def near(self) -> bool:
        """Whether it is on this machine."""
        return self.stream.filesystem is None

    @property
    def _filesystem(self) -> Any:
        return self.stream.filesystem or fs.LocalFileSystem()

    def open(self) -> None:
        """Read the footer.

        Raises UnreadableError, InputError.
        """
        if self.near:
            store.open_checked(self.stream.path, self.shown).close()
        twice = repeated(self.schema.names)
        if twice is not None:
            raise UnreadableError(self.shown, TWICE.format(twice))

    @cached_property
    def _fragment(self) -> Any:
        """Pyarrow's handle, which compares a condition with the statistics of row groups."""
        import pyarrow.dataset as pads

        return pads.ParquetFileFormat().make_fragment(
            self.stream.path,
            filesystem=self._filesystem,
            partition_expression=self.key_expression,
        )

    @cached_property
    def metadata(self) -> parquet.FileMetaData:
        """The footer, which is read once, by whoever needs it."""
        with errors(self.shown, near=self.near):
            if self.filtered:
                return self._fragment.metadata
            with self._filesystem.open_input_file(self.stream.path) as stream:
                return parquet.read_metadata(stream)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns in the file itself."""
        with errors(self.shown, near=self.near):
            schema = self.metadata.schema.to_arrow_schema()
            schema.names  # noqa: B018 - raises here if a name is not UTF-8
            return schema

    @property
    def rows(self) -> int:
        """The number of rows, from the file's metadata."""
        return int(self.metadata.num_rows)

    def pieces(self, condition: Any, schema: pa.Schema) -> Iterator[tuple[Any, int, int]]:
        """Yield what to read at a time: numbers of row groups, the first row, the number of rows.

        Row groups that `condition` rules out by the path or by their statistics are left out.
        """
        wanted = self._groups(condition, schema)
        piece: list[int] = []
        first = rows = size = at = 0
        for number in range(self.metadata.num_row_groups):
            group = self.metadata.row_group(number)
            full = rows + group.num_rows > PIECE_ROWS or size + group.total_byte_size > PIECE_BYTES
            if piece and (full or number not in wanted):
                yield tuple(piece), first, rows
                piece = []
            if number in wanted:
                if not piece:
                    first, rows, size = at, 0, 0
                piece.append(number)
                rows, size = rows + group.num_rows, size + group.total_byte_size
            at += group.num_rows
        if piece:
            yield tuple(piece), first, rows

    def _groups(self, condition: Any, schema: pa.Schema) -> set[int]:
        """Return the row groups in which, by the path and by their statistics, a row may meet the
        condition."""
        if condition is None:
            return set(range(self.metadata.num_row_groups))
        with errors(self.shown, near=self.near):
            matching = self._fragment.subset(filter=condition.expression, schema=schema)
            return {group.id for group in matching.row_groups}

    def batches(
        self, names: Sequence[str], size: int, piece: Any = None, *, threads: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Yield the named columns of a piece, or of the whole file, at most `size` rows at a time.

        They are read by parquet's own reader: a scan of a dataset would decode a row group whole.
        Raises UnreadableError, InputError.
        """
        numbers = list(range(self.metadata.num_row_groups) if piece is None else piece)
        groups = [self.metadata.row_group(number) for number in numbers]
        promised = sum(group.num_rows for group in groups)
        inside = [name for name in dict.fromkeys(names) if name not in self.keys]
        at_once = not self.near and sum(group.total_byte_size for group in groups) <= PIECE_BYTES
        with (
            errors(self.shown, near=self.near),
            self._filesystem.open_input_file(self.stream.path) as stream,
        ):
            whole = at_once or stream.size() <= UNBUFFERED
            file = parquet.ParquetFile(
                stream,
                metadata=self.metadata,
                pre_buffer=at_once,
                buffer_size=0 if whole else NEAR_BUFFER if self.near else FAR_BUFFER,
                page_checksum_verification=True,
            )
            if not inside:  # all columns are in the path
                for group in groups:
                    batch = without_columns(group.num_rows)
                    yield with_keys(batch, names, self.keys, self.key_schema)
                return
            lists = any(column_of(self.schema.field(name), self.rows).nested for name in inside)
            at_a_time = max(size // LIST_SHARES, 1) if lists else size
            read = 0
            for batch in file.iter_batches(at_a_time, numbers, inside, use_threads=threads):
                yield with_keys(validated(batch), names, self.keys, self.key_schema)
                read += batch.num_rows
        if read != promised:
            raise UnreadableError(
                self.shown, f"holds {read:,} rows where its metadata promise {promised:,}"
            )
