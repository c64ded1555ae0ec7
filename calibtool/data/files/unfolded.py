"""A table whose rows hold several predictions each, as a table of one prediction per row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from calibtool.data.files.reader import NUMBERS, Column, Part, Reader, Skipped
from calibtool.data.files.recut import recut
from calibtool.data.unit import Unit
from calibtool.types import Array


class UnfoldedTable:
    """The predictions of another table's rows, one after the other.

    Its columns are those that are made, by `_sources`, and the other columns of the table, whose
    values are repeated. Subclasses say which columns are made, and from which.

    Attributes:
        table: the table that is unfolded.
        unit: the rows of that table.
        per: the predictions in each of them.
    """

    unit: Unit
    per: int

    def __init__(self, table: Reader) -> None:
        self.table = table
        self.source = table.source
        self.format = table.format
        self.marks_unlabelled = True
        self.notes: tuple[str, ...] = table.notes

    @property
    def _sources(self) -> Mapping[str, tuple[str, ...]]:
        """What is made, and of which columns of the table."""
        raise NotImplementedError

    def _columns(self) -> Iterable[Column]:
        """Yield what readers say of the columns that are made."""
        raise NotImplementedError

    def _made(
        self, names: Sequence[str], block: Mapping[str, Array], numbers: Array, file: str
    ) -> dict[str, Array]:
        """Return columns that are made, of a block of the table; `numbers` are those of its rows
        among all."""
        raise NotImplementedError

    def _position(self, inside: int) -> str:
        """Return what to call a prediction in its row; "" if the row says enough."""
        return ""

    @property
    def _beside(self) -> dict[str, Column]:
        """The other columns of the table that have a value for each of its rows."""
        inner = {name for names in self._sources.values() for name in names}
        return {
            name: column
            for name, column in self.table.columns.items()
            if name not in inner and column.rows == self.table.rows
        }

    @property
    def optional(self) -> frozenset[str]:
        return self.table.optional

    @optional.setter
    def optional(self, names: frozenset[str]) -> None:
        sources = self._sources
        inner = {column for name in names for column in sources.get(name, (name,))}
        self.table.optional |= inner

    @property
    def skipped(self) -> list[Skipped]:
        return self.table.skipped

    @property
    def rows(self) -> int:
        return self.table.rows * self.per

    @property
    def columns(self) -> Mapping[str, Column]:
        made = {column.name: column for column in self._columns()}
        beside = {
            name: replace(column, rows=self.rows)
            for name, column in self._beside.items()
            if name not in made
        }
        return made | beside

    def count(self, names: Sequence[str]) -> int:
        return self.table.count(self._inner(names)) * self.per

    def path_of(self, part: Part) -> str | None:
        return self.table.path_of(part.content)

    def stamps(self) -> list[tuple[str, int | None, str]]:
        return self.table.stamps()

    def names_of(self, column: str) -> tuple[str, ...] | None:
        return self.table.names_of(column) if column in self._beside else None

    def strings(self, column: str) -> tuple[str, ...]:
        return self.table.strings(column)

    def locate(self, row: int) -> str:
        at, inside = divmod(row, self.per)
        return self._called(inside, self.table.locate(at))

    def place(self, part: Part, row: int) -> str:
        at, inside = divmod(row, self.per)
        return self._called(inside, self.table.place(part.content, at))

    def _called(self, inside: int, row: str) -> str:
        position = self._position(inside)
        return f"{position} of {row}" if position else row

    def first(self, name: str) -> Array | None:
        firsts = {inner: self.table.first(inner) for inner in self._inner([name])}
        block = {inner: first for inner, first in firsts.items() if first is not None}
        if len(block) < len(firsts):
            return None
        return self._unfold(block, [name], np.zeros(1, np.int64), 0, self.source)[name][:1]

    def blocks(self, names: Sequence[str], size: int) -> Iterator[dict[str, Array]]:
        blocks = self.table.blocks(self._inner(names), self._size(size))
        return self._recut(blocks, names, size, 0, self.source)

    def parts(self, names: Sequence[str] = ()) -> list[Part]:
        per = self.per
        return [
            replace(
                part,
                first_row=part.first_row * per,
                rows=part.rows * per,
                start=part.start * per,
                content=part,
            )
            for part in self.table.parts(self._inner(names))
        ]

    def part_blocks(
        self, part: Part, names: Sequence[str], size: int
    ) -> Iterator[dict[str, Array]]:
        inner: Part = part.content
        blocks = self.table.part_blocks(inner, self._inner(names), self._size(size))
        start = inner.start - inner.first_row  # rows are numbered through all files
        return self._recut(blocks, names, size, inner.first_row, part.file, start)

    def _size(self, size: int) -> int:
        return max(1, size // self.per)

    def _inner(self, names: Sequence[str]) -> list[str]:
        """Return the columns of the table that are read for these."""
        sources = self._sources
        inner = [column for name in names for column in sources.get(name, (name,))]
        return list(dict.fromkeys(inner)) or list(next(iter(sources.values())))

    def _recut(
        self,
        blocks: Iterable[dict[str, Array]],
        names: Sequence[str],
        size: int,
        first: int,
        file: str,
        start: int = 0,
    ) -> Iterator[dict[str, Array]]:
        """Yield unfolded blocks of `size`, the last one shorter; `first` is the number of the first
        row, and `start` what is added to make it one among the rows of all files."""

        def pieces() -> Iterator[dict[str, Array]]:
            row = first
            for block in blocks:
                count = len(next(iter(block.values())))
                numbers = block.get(NUMBERS, np.arange(row, row + count))
                yield self._unfold(block, names, numbers, start, file)
                row += count

        made = pieces()
        head = next(made, None)
        if head is None:
            return
        every = [*names, NUMBERS] if NUMBERS in head else list(names)
        yield from recut(_chained(head, made), every, size, file)

    def _unfold(
        self,
        block: Mapping[str, Array],
        names: Sequence[str],
        numbers: Array,
        start: int,
        file: str,
    ) -> dict[str, Array]:
        sources = self._sources
        made = [name for name in names if name in sources]
        columns = self._made(made, block, numbers + start, file)
        for name in names:
            if name not in sources:
                columns[name] = np.repeat(block[name], self.per, axis=0)
        if NUMBERS in block:
            columns[NUMBERS] = (numbers[:, None] * self.per + np.arange(self.per)).ravel()
        return columns


def _chained(first: Any, others: Iterable[Any]) -> Iterator[Any]:
    yield first
    yield from others
