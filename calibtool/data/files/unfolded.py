"""A table whose rows hold several predictions each, as a table of one prediction per row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from calibtool.data.files.reader import NUMBERS, Column, Part, Reader, Skipped
from calibtool.data.files.recut import recut
from calibtool.data.files.unfolding import LABELS, Unfolding
from calibtool.data.unit import Unit
from calibtool.data.validation import Origin
from calibtool.types import Array


def unit_of(table: Reader) -> Unit | None:
    """Return the unit of the rows of a table, if it is an unfolded one."""
    return table.unfolding.unit if isinstance(table, UnfoldedTable) else None


class UnfoldedTable:
    """The predictions of another table's rows, one after the other.

    Its columns are the scores, by their role, LABELS, those of `Unit.columns`, and the other
    columns of the table, whose values are repeated.
    """

    def __init__(self, table: Reader, unfolding: Unfolding) -> None:
        self.table = table
        self.unfolding = unfolding
        self.source = table.source
        self.format = table.format
        self.marks_unlabelled = True
        hidden = [name for name in self._made if name in self._beside]
        said = [
            f"the column {name} of the file is not read: the name stands for "
            f"{'the label' if name == unfolding.unit.part else f'the {name}'} of each prediction"
            for name in hidden
            if name in unfolding.unit.columns
        ]
        self.notes: tuple[str, ...] = (*table.notes, *said)
        # a null among targets is none, and is counted
        table.optional |= frozenset(unfolding.labels)

    @property
    def _made(self) -> tuple[str, ...]:
        """The columns that are made."""
        labels = (LABELS,) if self.unfolding.labels else ()
        return (self.unfolding.role, *labels, *self.unfolding.unit.columns)

    @property
    def _beside(self) -> dict[str, Column]:
        """The other columns of the table that have a value for each of its rows."""
        inner = self.unfolding.inner
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
        made = frozenset(self._made)
        unfolded = self.unfolding.inner if names & made else ()
        self.table.optional |= (names - made) | frozenset(unfolded)

    @property
    def skipped(self) -> list[Skipped]:
        return self.table.skipped

    @property
    def rows(self) -> int:
        return self.table.rows * self.unfolding.per

    @property
    def columns(self) -> Mapping[str, Column]:
        unfolding = self.unfolding
        types = {name: self.table.columns[name] for name in unfolding.inner}
        columns = {}
        several = unfolding.classes > 1
        inside = types[unfolding.values[0]].family.rpartition("lists of ")[2]
        columns[unfolding.role] = Column(
            unfolding.role,
            ", ".join(types[name].type for name in unfolding.values[:1]),
            unfolding.classes,
            self.rows,
            nested=several,
            family=f"lists of {inside}" if several else inside,
        )
        if unfolding.labels:
            family = types[unfolding.labels[0]].family.rpartition("lists of ")[2]
            kind = types[unfolding.labels[0]].type
            columns[LABELS] = Column(LABELS, kind, 1, self.rows, family=family)
        unit = unfolding.unit
        columns[unit.column] = Column(unit.column, "int64", 1, self.rows, family="numbers")
        if unit.part:
            columns[unit.part] = Column(unit.part, "text", 1, self.rows, family="text")
        beside = {
            name: replace(column, rows=self.rows)
            for name, column in self._beside.items()
            if name not in columns
        }
        return columns | beside

    def count(self, names: Sequence[str]) -> int:
        return self.table.count(self._inner(names)) * self.unfolding.per

    def path_of(self, part: Part) -> str | None:
        return self.table.path_of(part.content)

    def stamps(self) -> list[tuple[str, int | None, str]]:
        return self.table.stamps()

    def names_of(self, column: str) -> tuple[str, ...] | None:
        labels = self.unfolding.labels
        if column == LABELS and labels and self.unfolding.classes > 1:
            return self.table.names_of(labels[0])
        return self.table.names_of(column) if column in self._beside else None

    def strings(self, column: str) -> tuple[str, ...]:
        return self.table.strings(column)

    def locate(self, row: int) -> str:
        at, inside = divmod(row, self.unfolding.per)
        return f"{self._position(inside)} of {self.table.locate(at)}"

    def place(self, part: Part, row: int) -> str:
        at, inside = divmod(row, self.unfolding.per)
        return f"{self._position(inside)} of {self.table.place(part.content, at)}"

    def _position(self, inside: int) -> str:
        if self.unfolding.names:
            return self.unfolding.names[inside]
        return f"position {', '.join(map(str, np.unravel_index(inside, self.unfolding.shape)))}"

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
        per = self.unfolding.per
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
        return max(1, size // self.unfolding.per)

    def _inner(self, names: Sequence[str]) -> list[str]:
        """Return the columns of the table that are read for these."""
        unfolding = self.unfolding
        made = {unfolding.role: unfolding.values, LABELS: unfolding.labels}
        made |= dict.fromkeys(unfolding.unit.columns, unfolding.values[:1])
        inner = [name for wanted in names for name in made.get(wanted, (wanted,))]
        return list(dict.fromkeys(inner or unfolding.values))

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
        filtered = False

        def pieces() -> Iterator[dict[str, Array]]:
            nonlocal filtered
            row = first
            for block in blocks:
                count = len(next(iter(block.values())))
                filtered = NUMBERS in block
                numbers = block[NUMBERS] if filtered else np.arange(row, row + count)
                yield self._unfold(block, names, numbers, start, file)
                row += count

        made = pieces()
        head = next(made, None)
        if head is None:
            return
        every = [*names, NUMBERS] if filtered else list(names)

        def all_pieces() -> Iterator[dict[str, Array]]:
            yield head
            yield from made

        yield from recut(all_pieces(), every, size, file)

    def _unfold(
        self,
        block: Mapping[str, Array],
        names: Sequence[str],
        numbers: Array,
        start: int,
        file: str,
    ) -> dict[str, Array]:
        unfolding, unit, per = self.unfolding, self.unfolding.unit, self.unfolding.per
        columns: dict[str, Array] = {}
        for name in names:
            if name == unfolding.role:
                columns[name] = unfolding.scores(block)
            elif name == LABELS and unfolding.labels:
                columns[name] = unfolding.targets(block, Origin(source=file))
            elif name == unit.column:
                columns[name] = np.repeat(numbers + start, per)
            elif name == unit.part:
                columns[name] = np.tile(np.array(unfolding.names), len(numbers))
            else:
                columns[name] = np.repeat(block[name], per, axis=0)
        if NUMBERS in block:
            columns[NUMBERS] = (numbers[:, None] * per + np.arange(per)).ravel()
        return columns
