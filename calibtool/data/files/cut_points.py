"""Levels as statements: each row of K levels becomes K - 1 predictions, "at most level k"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from calibtool.data.files.reader import Column, Part, Skipped
from calibtool.data.files.recut import recut
from calibtool.data.files.roles import Choice, Roles
from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions, names_of_classes
from calibtool.data.rows import to_probs
from calibtool.data.unit import Unit
from calibtool.errors import UsageError
from calibtool.types import Array

PROBS, LABELS, ROW, CUT = "probs", "labels", "row", "cut"


class CutPointTable:
    """The statements of a source's rows, one after the other: P(label at most level k), and whether
    it is, for every level but the highest.

    Its columns are PROBS, LABELS, ROW (the number of the row), CUT (the statement) and the further
    columns of the source, whose values are repeated.
    """

    def __init__(self, source: Source) -> None:
        if source.classes is None or source.classes < 3:
            shape = "two classes" if source.classes else "confidences alone"
            raise UsageError(
                f"{source.source}: --cut-points needs the probabilities of three levels or more, "
                f"found {shape}"
            )
        self.inner = source
        names = names_of_classes(source)
        self.cuts = tuple(f"at most {name}" for name in names[:-1])
        count = len(self.cuts)
        self.unit = Unit(ROW, CUT, f"{count} cut points per row", "rows without a label", count)
        self.source = source.source
        self.format = source.table.format
        self.notes: tuple[str, ...] = ()
        self.optional: frozenset[str] = frozenset()
        self.marks_unlabelled = False

    @property
    def unfolding(self) -> tuple[Choice, Roles]:
        """What the statements are made from."""
        return self.inner.choice, self.inner.roles

    @property
    def skipped(self) -> list[Skipped]:
        return self.inner.table.skipped

    @property
    def rows(self) -> int:
        return self.inner.rows * len(self.cuts)

    @property
    def columns(self) -> Mapping[str, Column]:
        rows, roles = self.rows, self.inner.roles.columns()
        columns = {name: Column(name, "double", 1, rows, family="numbers") for name in (PROBS, ROW)}
        columns[LABELS] = Column(LABELS, "int64", 1, rows, family="numbers")
        columns[CUT] = Column(CUT, "text", 1, rows, family="text")
        beside = {
            name: replace(column, rows=rows)
            for name, column in self.inner.table.columns.items()
            if name not in roles and name not in columns
        }
        return columns | beside

    def count(self, names: Sequence[str]) -> int:
        return self.rows

    def path_of(self, part: Part) -> str | None:
        return self.inner.table.path_of(part)

    def stamps(self) -> list[tuple[str, int | None, str]]:
        return self.inner.table.stamps()

    def names_of(self, column: str) -> tuple[str, ...] | None:
        return None

    def strings(self, column: str) -> tuple[str, ...]:
        return self.inner.table.strings(column)

    def locate(self, row: int) -> str:
        return self.inner.table.locate(row // len(self.cuts))

    def place(self, part: Part, row: int) -> str:
        return self.locate(row)

    def first(self, name: str) -> Array | None:
        return next((block[name] for block in self.blocks([name], 1)), None)

    def blocks(self, names: Sequence[str], size: int) -> Iterator[dict[str, Array]]:
        further = [name for name in names if name not in (PROBS, LABELS, ROW, CUT)]
        rows = self.inner.also(further).blocks(max(1, size // len(self.cuts)))
        return recut(self._unfolded(rows, names), names, size, self.source)

    def parts(self, names: Sequence[str] = ()) -> list[Part]:
        """Return all rows as one part: what they are numbered by is only known in order."""
        return [Part(self.source, 0, 0, self.rows)]

    def part_blocks(
        self, part: Part, names: Sequence[str], size: int
    ) -> Iterator[dict[str, Array]]:
        return self.blocks(names, size)

    def _unfolded(
        self, blocks: Iterable[Predictions], names: Sequence[str]
    ) -> Iterator[dict[str, Array]]:
        count, row = len(self.cuts), 0
        for block in blocks:
            columns: dict[str, Array] = {}
            for name in names:
                if name == PROBS:
                    below = np.cumsum(to_probs(block).values, axis=1, dtype=np.float64)
                    columns[name] = np.minimum(below[:, :-1], 1).ravel()
                elif name == LABELS:
                    columns[name] = _at_most(block, count).ravel()
                elif name == ROW:
                    columns[name] = np.repeat(np.arange(row, row + block.rows), count)
                elif name == CUT:
                    columns[name] = np.tile(np.array(self.cuts), block.rows)
                else:
                    columns[name] = np.repeat(block.extra[name], count, axis=0)
            yield columns
            row += block.rows


def _at_most(block: Predictions, count: int) -> Array:
    """Return whether each label is at most each level but the highest, (n, count) int64."""
    if block.labels is None:
        raise UsageError(f"{block.source}: --cut-points needs labels")
    return (block.labels[:, None] <= np.arange(count)).astype(np.int64)
