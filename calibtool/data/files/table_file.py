"""The files of a table, as the table sees them, and those that are read as streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from calibtool.data.files.arrow_batches import errors, with_keys
from calibtool.data.files.streams import Stream
from calibtool.data.files.values import family
from calibtool.errors import row_name


class TableFile(Protocol):
    """One file of a table, of one or several that are read as one.

    Attributes:
        shown: what messages call it.
        number: its position among the files.
        keys: the columns in its path, with their value.
        notes: sentences on what was left out of it, once its rows are counted.
    """

    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def shown(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def keys(self) -> dict[str, Any]: ...
    @property
    def schema(self) -> pa.Schema:
        """The columns in the file itself."""

    @property
    def rows(self) -> int:
        """The number of rows, before any filter."""

    @property
    def path(self) -> str | None:
        """Its path on this machine; None for a file of a server."""

    def open(self) -> None:
        """Check that the file is there and can be read. Raises UnreadableError, InputError."""

    def stamp(self) -> tuple[str, int | None, str]:
        """Return its name, its size in bytes, and when it was written."""

    def place(self, row: int) -> str:
        """Return what to call a row."""

    def pieces(self, condition: Any, schema: pa.Schema) -> Iterator[tuple[Any, int, int]]:
        """Yield what to read at a time: something that tells it, first row, number of rows."""

    def batches(
        self, names: Sequence[str], size: int, piece: Any = None, *, threads: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Yield the named columns of a piece, or of the whole file, at most `size` rows each."""


class OnePiece:
    """What files that are read in one piece have in common."""

    @property
    def rows(self) -> int:
        """The number of rows."""
        raise NotImplementedError

    def place(self, row: int) -> str:
        return row_name(row)

    def pieces(self, condition: Any, schema: pa.Schema) -> Iterator[tuple[Any, int, int]]:
        yield None, 0, self.rows


@dataclass(eq=False)
class Whole(OnePiece):
    """A file that is read from front to back, in one piece; formats say how."""

    stream: Stream
    number: int
    key_schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    keys: dict[str, Any] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    @property
    def shown(self) -> str:
        return self.stream.shown

    @property
    def path(self) -> str | None:
        return self.stream.path if self.stream.filesystem is None else None

    def open(self) -> None:
        self.stream().close()

    def stamp(self) -> tuple[str, int | None, str]:
        from pyarrow import fs

        with errors(self.shown, near=self.path is not None):
            filesystem = self.stream.filesystem or fs.LocalFileSystem()
            info = filesystem.get_file_info(self.stream.path)
            return self.shown, info.size, str(info.mtime_ns)

    def batches(
        self, names: Sequence[str], size: int, piece: Any = None, *, threads: bool = False
    ) -> Iterator[pa.RecordBatch]:
        inside = [name for name in dict.fromkeys(names) if name not in self.keys]
        for whole in self._read(inside):
            for start in range(0, whole.num_rows, size):
                yield with_keys(whole.slice(start, size), names, self.keys, self.key_schema)

    def _read(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, in order."""
        raise NotImplementedError


@dataclass(eq=False)
class Memory(OnePiece):
    """Rows in memory: those of a log, or of a data frame."""

    shown: str
    table: pa.Table
    file: str | None = None
    number: int = 0
    keys: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        return self.table.schema

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)

    @property
    def path(self) -> str | None:
        return self.file

    def open(self) -> None:
        """Do nothing: the rows are there."""

    def stamp(self) -> tuple[str, int | None, str]:
        from pathlib import Path

        if self.file is None or not Path(self.file).exists():
            return self.shown, int(self.table.nbytes), ""
        status = Path(self.file).stat()
        return self.shown, status.st_size, str(status.st_mtime_ns)

    def batches(
        self, names: Sequence[str], size: int, piece: Any = None, *, threads: bool = False
    ) -> Iterator[pa.RecordBatch]:
        with errors(self.shown):
            yield from self.table.select(list(dict.fromkeys(names))).to_batches(max_chunksize=size)


def common(files: Sequence[TableFile]) -> tuple[dict[str, str], list[pa.Field]]:
    """Return the name of a file that stands for each column, and the columns of all files.

    Files can disagree on the kind of values of a column. It then has the kind that it has in most
    files, and one of those files stands for it.
    """
    # files with different columns, and the number of files with the columns of each
    distinct: list[tuple[TableFile, int]] = []
    for file in files:
        at = next((k for k, (like, _) in enumerate(distinct) if like.schema == file.schema), None)
        if at is None:
            distinct.append((file, 1))
        else:
            distinct[at] = (distinct[at][0], distinct[at][1] + 1)
    votes: dict[str, dict[str, list[Any]]] = {}  # name -> family -> [count, field, file]
    for file, count in distinct:
        for column in file.schema:
            families = votes.setdefault(column.name, {})
            families.setdefault(family(column.type), [0, column, file])[0] += count
    winners = {
        name: max(families.values(), key=lambda vote: vote[0]) for name, families in votes.items()
    }
    like = {name: file.shown for name, (_, _, file) in winners.items()}
    return like, [column for _, column, _ in winners.values()]
