"""Rows of several labels, or of positions of images and texts, as rows of one prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from calibtool.data.files.reader import Column, Reader
from calibtool.data.files.unfolded import UnfoldedTable
from calibtool.data.files.unfolding import LABELS, Unfolding
from calibtool.data.validation import Origin
from calibtool.types import Array


class SeveralTable(UnfoldedTable):
    """A table whose rows are unfolded: scores, by their role, LABELS, and `Unit.columns`."""

    def __init__(self, table: Reader, unfolding: Unfolding) -> None:
        super().__init__(table)
        self.unfolding = unfolding
        self.unit = unfolding.unit
        self.per = unfolding.per
        hidden = [name for name in self.unit.columns if name in self._beside]
        self.notes = (*table.notes, *(self._hidden(name) for name in hidden))
        # a null among targets is none, and is counted
        table.optional |= frozenset(unfolding.labels)

    def _hidden(self, name: str) -> str:
        """Return a sentence on a column whose name stands for another."""
        what = "the label" if name == self.unit.part else f"the {name}"
        return f"the column {name} of the file is not read: it stands for {what} of a prediction"

    @property
    def _sources(self) -> dict[str, tuple[str, ...]]:
        unfolding = self.unfolding
        sources = {unfolding.role: unfolding.values}
        if unfolding.labels:
            sources[LABELS] = unfolding.labels
        return sources | dict.fromkeys(self.unit.columns, unfolding.values[:1])

    def _columns(self) -> Iterable[Column]:
        unfolding, rows = self.unfolding, self.rows
        several = unfolding.classes > 1
        scores = self.table.columns[unfolding.values[0]]
        inside = _inside(scores)
        yield Column(
            unfolding.role,
            scores.type,
            unfolding.classes,
            rows,
            nested=several,
            family=f"lists of {inside}" if several else inside,
        )
        if unfolding.labels:
            labels = self.table.columns[unfolding.labels[0]]
            yield Column(LABELS, labels.type, 1, rows, family=_inside(labels))
        yield Column(self.unit.column, "int64", 1, rows, family="numbers")
        if self.unit.part:
            yield Column(self.unit.part, "text", 1, rows, family="text")

    def _made(
        self, names: Sequence[str], block: Mapping[str, Array], numbers: Array, file: str
    ) -> dict[str, Array]:
        return {name: self._column(name, block, numbers, file) for name in names}

    def _column(self, name: str, block: Mapping[str, Array], numbers: Array, file: str) -> Array:
        if name == self.unfolding.role:
            return self.unfolding.scores(block)
        if name == LABELS:
            return self.unfolding.targets(block, Origin(source=file))
        if name == self.unit.column:
            return np.repeat(numbers, self.per)
        return np.tile(np.array(self.unfolding.names), len(numbers))

    def _position(self, inside: int) -> str:
        if self.unfolding.names:
            return self.unfolding.names[inside]
        return f"position {', '.join(map(str, np.unravel_index(inside, self.unfolding.shape)))}"

    def names_of(self, column: str) -> tuple[str, ...] | None:
        labels = self.unfolding.labels
        if column == LABELS and labels and self.unfolding.classes > 1:
            return self.table.names_of(labels[0])
        return super().names_of(column)


def _inside(column: Column) -> str:
    """Return the family of the values of a column, in lists or not."""
    return column.family.rpartition("lists of ")[2]
