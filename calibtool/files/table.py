"""What every reader gives: named columns of equal length, and an iterator over blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from calibtool.checks import Array


@dataclass(frozen=True)
class Column:
    """A column or key of a file.

    Attributes:
        name: its name in the file.
        type: how the file calls its type, for people.
        width: values a row: 1, K, or None where only reading tells.
        rows: its length.
        nested: whether a row holds several values, even if their number is 1 or unknown.
        mapped: whether its bytes stay in the file and are read as they are needed.
    """

    name: str
    type: str
    width: int | None
    rows: int
    nested: bool = False
    mapped: bool = False


@dataclass(frozen=True)
class Part:
    """Some rows of one file, that one worker reads; it can be pickled, as can its table.

    Attributes:
        file: the path or URL, as messages show it.
        number: of the file among the files, from 0.
        first_row: number, in its file, of the part's first row, before any filter.
        rows: at most so many rows; fewer where a filter drops some.
        what: what the table needs to read it.
        start: number of the first row among the rows of all files, before any filter.
    """

    file: str
    number: int
    first_row: int
    rows: int
    what: Any = None
    start: int = 0


class Table(Protocol):
    """A file, open for reading."""

    source: str

    @property
    def rows(self) -> int: ...

    @property
    def columns(self) -> Mapping[str, Column]: ...

    def names_of(self, column: str) -> tuple[str, ...] | None:
        """Class names that the file keeps beside a column of labels, in the order of their ids."""

    def strings(self, column: str) -> tuple[str, ...]:
        """A short column of names, whole."""

    def blocks(self, names: Sequence[str], size: int) -> Iterator[dict[str, Array]]:
        """The named columns in blocks of `size` rows, the last one shorter."""

    def parts(self) -> list[Part]:
        """All rows in parts of one file each, in the order of the files' names."""

    def part_blocks(
        self, part: Part, names: Sequence[str], size: int
    ) -> Iterator[dict[str, Array]]:
        """The named columns of a part in blocks of `size` rows, the last one shorter. Parts may be
        read by several threads at once."""
