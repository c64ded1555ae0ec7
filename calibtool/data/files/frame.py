"""A data frame in partitions, each of which some worker holds: columns and parts of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from calibtool.data.files.reader import Column, Part, Skipped
from calibtool.errors import InputError
from calibtool.types import Array

PARTITION = 1 << 20  # rows, as long as nobody has counted


@dataclass(eq=False)
class FrameTable:
    """A Dask data frame; `part.content` of a part is its partition, once it is computed.

    Attributes:
        source: what to call it in messages.
        schema: pyarrow's, of its columns.
        partitions: their number.
        frame: the data frame, where it is not on its way to a worker.
    """

    source: str
    schema: Any
    partitions: int
    frame: Any = None
    skipped: list[Skipped] = field(default_factory=list)

    @staticmethod
    def of(frame: Any, source: str) -> FrameTable:
        """Of dask.dataframe.DataFrame."""
        import pyarrow as pa

        if not hasattr(frame, "columns") or not hasattr(frame, "to_delayed"):
            raise InputError(f"{type(frame).__name__}: expected a dask.dataframe.DataFrame")
        names = [str(name) for name in frame.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{source}: two columns are called {twice[0]!r}; rename one of them")
        try:
            schema = pa.Schema.from_pandas(frame._meta, preserve_index=False)  # noqa: SLF001
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise InputError(f"{source}: cannot be read: {error}") from error
        return FrameTable(source, schema, frame.npartitions, frame)

    def bare(self) -> FrameTable:
        """Without the frame, to be sent to workers."""
        return replace(self, frame=None)

    @property
    def rows(self) -> int:
        """Not known before partitions are computed: PARTITION for each."""
        return self.partitions * PARTITION

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """By name."""
        from calibtool.data.files.values import is_list, width

        return {
            one.name: Column(one.name, str(one.type), width(one.type), self.rows, is_list(one.type))
            for one in self.schema
        }

    def count(self, names: Sequence[str]) -> int:
        """Rows, by computing the partitions."""
        return int(self.frame[list(names)].map_partitions(len).compute().sum())

    def path_of(self, part: Part) -> str | None:
        """Partitions lie nowhere."""
        return None

    def stamps(self) -> list[tuple[str, int | None, str]]:
        """There are no files."""
        return []

    def names_of(self, column: str) -> tuple[str, ...] | None:
        """The categories of a column of texts, where they are known."""
        import pyarrow as pa

        kind = self.schema.field(column).type
        if not pa.types.is_dictionary(kind):
            return None
        categories = self.frame._meta[column].cat.categories  # noqa: SLF001
        known = getattr(self.frame[column].cat, "known", False)
        names = tuple(categories)
        return names if known and names and isinstance(names[0], str) else None

    def strings(self, column: str) -> tuple[str, ...]:
        """A short column of names, whole."""
        return tuple(str(value) for value in self.frame[column].compute())

    def locate(self, row: int) -> str:
        """A row by its number."""
        return f"row {row} (counting from 0)"

    def first(self, name: str) -> Array | None:
        """A column's first row, from the first partition that has any."""
        head = self.frame[[name]].head(1, npartitions=-1)
        for block in self.part_blocks(Part(self.source, 0, 0, 1, head), [name], 1):
            return block[name]
        return None

    def blocks(self, names: Sequence[str], size: int) -> Iterator[dict[str, Array]]:
        """One partition after the other, each computed by itself."""
        for part in self.parts(names):
            yield from self.part_blocks(replace(part, content=part.content.compute()), names, size)

    def parts(self, names: Sequence[str] = ()) -> list[Part]:
        """A part a partition; `content` is Dask's promise of it."""
        wanted = self.frame[list(names)] if names else self.frame
        return [
            Part(f"{self.source}, partition {number}", number, 0, PARTITION, promise)
            for number, promise in enumerate(wanted.to_delayed())
        ]

    def part_blocks(
        self, part: Part, names: Sequence[str], size: int
    ) -> Iterator[dict[str, Array]]:
        """The named columns of a computed partition."""
        import pyarrow as pa

        from calibtool.data.files.values import recut, to_numpy

        try:
            table = pa.Table.from_pandas(part.content[list(names)], preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError, KeyError) as error:
            raise InputError(f"{part.file}: cannot be read: {error}") from error

        def pieces() -> Iterator[dict[str, Array]]:
            row = 0
            for batch in table.to_batches(max_chunksize=size):
                yield {
                    name: to_numpy(batch.column(name), f"{part.file}: {name}", row)
                    for name in names
                }
                row += batch.num_rows

        return recut(pieces(), names, size, part.file)
