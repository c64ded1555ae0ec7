"""A Dask data frame as a table: partitions that workers hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from calibtool.data.files.reader import TWICE, UNKNOWN, Column, Part, Skipped, repeated
from calibtool.errors import InputError, row_name
from calibtool.types import Array

# Rows that a partition is assumed to have, since counting them would compute it. Used for the
# progress of a pass, and wherever the number of rows is needed before they are read.
PARTITION = 1 << 20


@dataclass(eq=False)
class FrameTable:
    """A Dask data frame; `content` of a part is its partition, once it is computed.

    Attributes:
        source: what to call it in messages.
        schema: pyarrow's, of its columns.
        partitions: their number.
        frame: the data frame; None on a worker.
        skipped: always empty.
    """

    source: str
    schema: Any
    partitions: int
    frame: Any = None
    skipped: list[Skipped] = field(default_factory=list)
    format: str = "a data frame"
    notes: tuple[str, ...] = ()
    optional: frozenset[str] = frozenset()
    marks_unlabelled: bool = False

    @staticmethod
    def of(frame: Any, source: str) -> FrameTable:
        """Wrap a dask.dataframe.DataFrame.

        Raises InputError for anything else, and for columns that cannot be read.
        """
        import pyarrow as pa

        if not hasattr(frame, "columns") or not hasattr(frame, "to_delayed"):
            raise InputError(f"{type(frame).__name__}: expected a dask.dataframe.DataFrame")
        twice = repeated([str(name) for name in frame.columns])
        if twice is not None:
            raise InputError(f"{source}: {TWICE.format(twice)}")
        try:
            schema = pa.Schema.from_pandas(frame._meta, preserve_index=False)  # noqa: SLF001
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise InputError(f"{source}: cannot be read: {error}") from error
        return FrameTable(source, schema, frame.npartitions, frame)

    def bare(self) -> FrameTable:
        """Return the table without the frame, to be sent to workers."""
        return replace(self, frame=None)

    @property
    def rows(self) -> int:
        """PARTITION rows for each partition: the actual number is not known yet."""
        return self.partitions * PARTITION

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """The columns by name."""
        from calibtool.data.files.values import column_of

        return {field.name: column_of(field, self.rows) for field in self.schema}

    def count(self, names: Sequence[str]) -> int:
        """Return the number of rows, by computing the partitions."""
        return int(self.frame[list(names)].map_partitions(len).compute().sum())

    def path_of(self, part: Part) -> str | None:
        """Return None: partitions are in memory."""
        return None

    def stamps(self) -> list[tuple[str, int | None, str]]:
        """Return []: there are no files."""
        return []

    def names_of(self, column: str) -> tuple[str, ...] | None:
        """Return the categories of a column of texts, if they are known."""
        import pyarrow as pa

        from calibtool.data.files.values import in_order

        kind = self.schema.field(column).type
        if not pa.types.is_dictionary(kind):
            return None
        categories = self.frame._meta[column].cat.categories  # noqa: SLF001
        known = getattr(self.frame[column].cat, "known", False)
        names = tuple(categories)
        return in_order(names) if known and names and isinstance(names[0], str) else None

    def strings(self, column: str) -> tuple[str, ...]:
        """Return a short column of names, whole."""
        return tuple(str(value) for value in self.frame[column].compute())

    def locate(self, row: int) -> str:
        """Return what to call a row."""
        return row_name(row)

    def place(self, part: Part, row: int) -> str:
        """Return what to call a row of a partition."""
        return self.locate(row)

    def first(self, name: str) -> Array | None:
        """Return a column's first row, from the first partition that has one."""
        head = self.frame[[name]].head(1, npartitions=-1)
        for block in self.part_blocks(Part(self.source, 0, 0, 1, head), [name], 1):
            return block[name]
        return None

    def blocks(self, names: Sequence[str], size: int) -> Iterator[dict[str, Array]]:
        """Yield blocks of one partition after the other, each computed by itself."""
        for part in self.parts(names):
            yield from self.part_blocks(replace(part, content=part.content.compute()), names, size)

    def parts(self, names: Sequence[str] = ()) -> list[Part]:
        """Return one part per partition; its `content` is a delayed object of Dask's."""
        wanted = self.frame[list(names)] if names else self.frame
        return [
            Part(f"{self.source}, partition {number}", number, 0, PARTITION, promise)
            for number, promise in enumerate(wanted.to_delayed())
        ]

    def part_blocks(
        self, part: Part, names: Sequence[str], size: int
    ) -> Iterator[dict[str, Array]]:
        """Yield the named columns of a computed partition."""
        import pyarrow as pa

        from calibtool.data.files.recut import recut
        from calibtool.data.files.values import Where, family, to_numpy

        try:
            table = pa.Table.from_pandas(part.content[list(names)], preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError, KeyError) as error:
            raise InputError(f"{part.file}: cannot be read: {error}") from error
        for name in names:
            found, told = (s.field(name).type for s in (table.schema, self.schema))
            # pandas does not tell the type of objects until there are some
            if UNKNOWN not in {family(found), family(told)} and family(found) != family(told):
                raise InputError(
                    f"{part.file}: column {name!r} is {found} here and {told} in the data frame"
                )

        def pieces() -> Iterator[dict[str, Array]]:
            row = 0
            for batch in table.to_batches(max_chunksize=size):
                yield {
                    name: to_numpy(
                        batch.column(name),
                        Where(f"{part.file}: {name}", row),
                        optional=name in self.optional,
                    )
                    for name in names
                }
                row += batch.num_rows

        return recut(pieces(), names, size, part.file)
