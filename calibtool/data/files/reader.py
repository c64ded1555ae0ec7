"""What every reader gives: named columns of equal length, and an iterator over blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from calibtool.types import Array

NAMED = 3  # files that a warning names
# beside the named columns of a block where a filter drops rows: each row's number before it
NUMBERS = "\0number"


@dataclass(frozen=True)
class Column:
    """A column or key of a file.

    Attributes:
        name: its name in the file.
        type: how the file calls its type, for people.
        width: values a row: 1, K, or None where only reading tells.
        rows: its length, before any filter.
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
        content: what its reader needs to find it: numbers of row groups, or a partition.
        start: number of the first row among the rows of all files, before any filter.
    """

    file: str
    number: int
    first_row: int
    rows: int
    content: Any = None
    start: int = 0


@dataclass(frozen=True)
class Skipped:
    """A file that could not be read and was left out, as --skip-bad-files asks."""

    file: str
    reason: str


class Reader(Protocol):
    """A file, or several as one, open for reading.

    Attributes:
        source: what to call it in messages.
        rows: its length by the files' own records, before any filter.
        columns: what it holds, by name.
        skipped: files that were left out so far.
    """

    source: str

    @property
    def rows(self) -> int: ...

    @property
    def columns(self) -> Mapping[str, Column]: ...

    @property
    def skipped(self) -> list[Skipped]: ...

    def count(self, names: Sequence[str]) -> int:
        """How many rows `blocks` gives of these columns: those that the filter keeps, of files
        that can be read; where bad files are skipped, all are read to tell."""

    def path_of(self, part: Part) -> str | None:
        """Where a part's file lies on this machine; None for those of servers."""

    def stamps(self) -> list[tuple[str, int | None, str]]:
        """Each file, its size in bytes and when it was written: whether it is still the same."""

    def names_of(self, column: str) -> tuple[str, ...] | None:
        """Class names that the file keeps beside a column of labels, in the order of their ids."""

    def strings(self, column: str) -> tuple[str, ...]:
        """A short column of names, whole."""

    def locate(self, row: int) -> str:
        """A row by its number among all rows before any filter, for messages."""

    def first(self, name: str) -> Array | None:
        """A column's first row, (1,) or (1, width), whatever the filter; None where there is no
        row."""

    def blocks(self, names: Sequence[str], size: int) -> Iterator[dict[str, Array]]:
        """The named columns in blocks of `size` rows, the last one shorter."""

    def parts(self, names: Sequence[str] = ()) -> list[Part]:
        """All rows in parts of one file each, in the order of the files' names. Files that lack
        one of the named columns are refused, or skipped, here."""

    def part_blocks(
        self, part: Part, names: Sequence[str], size: int
    ) -> Iterator[dict[str, Array]]:
        """The named columns of a part in blocks of `size` rows, the last one shorter. Parts may be
        read by several threads at once. UnreadableError where the file is damaged."""


def left_out(skipped: Sequence[tuple[str, str]]) -> Iterator[str]:
    """A sentence on files that could not be read, naming the first few; none without any.

    >>> list(left_out([("b.parquet", "the file is empty")]))
    ['1 file could not be read and was left out: b.parquet (the file is empty)']
    """
    if skipped:
        which = "1 file could not be read and was" if len(skipped) == 1 else ""
        which = which or f"{len(skipped):,} files could not be read and were"
        named = ", ".join(f"{file} ({reason})" for file, reason in skipped[:NAMED])
        more = f", and {len(skipped) - NAMED:,} more" if len(skipped) > NAMED else ""
        yield f"{which} left out: {named}{more}"
