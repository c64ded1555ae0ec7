"""The interface of readers: named columns of equal length, and blocks of their rows."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from calibtool.types import Array

NAMED = 3  # files that a warning names; more would hide the rest of the output
# Key of a further column of a block if a filter drops rows: the number of each row before the
# filter. No column of a file can have this name.
NUMBERS = "\0number"
# Before the name of a column: a further column of a block that says where it has no value.
NULLS = "\0null "
TWICE = "two columns are called {!r}; rename one of them"
RECORDS = "records"  # the family of values with parts of their own, which have no order
KEPT = 1 << 25  # bytes of memory in which pyarrow decoded that are not given back
UNKNOWN = "null"  # the family of a column without a value, which can yet be of any type


@dataclass(frozen=True)
class Column:
    """A column or key of a file.

    Attributes:
        name: its name in the file.
        type: what the file calls its type, for people.
        width: values per row: 1, K, or None if only reading tells.
        rows: its length, before any filter.
        nested: whether a row holds several values, even if their number is 1 or unknown.
        mapped: whether its bytes stay in the file and are read when they are needed.
        family: the kind of its values: "numbers", "text", RECORDS, "lists of ...", or the type
            itself; UNKNOWN if only reading tells.
        shape: of an array, with its rows; () for other columns.
    """

    name: str
    type: str
    width: int | None
    rows: int
    nested: bool = False
    mapped: bool = False
    family: str = UNKNOWN
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Part:
    """Some rows of one file, which one worker reads. It can be pickled, like its reader.

    Attributes:
        file: the path or URL, as messages show it.
        number: the number of the file among all files, from 0.
        first_row: the number of the part's first row in its file, before any filter.
        rows: their number before any filter.
        content: what its reader finds it by: the numbers of row groups, or a partition.
        start: the number of the first row among the rows of all files, before any filter.
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
        rows: its length from the files' metadata, before any filter.
        columns: the columns by name.
        skipped: files that were left out so far.
        format: what people call the format.
        notes: sentences on what was read, and on what was left out of it.
        marks_unlabelled: whether a label of -1 stands for none, as in data sets of Hugging Face.
        optional: columns in which a missing value is no error: it is read as NaN, or as "".
    """

    source: str
    format: str
    notes: tuple[str, ...]
    optional: frozenset[str]

    @property
    def marks_unlabelled(self) -> bool: ...

    @property
    def rows(self) -> int: ...

    @property
    def columns(self) -> Mapping[str, Column]: ...

    @property
    def skipped(self) -> list[Skipped]: ...

    def count(self, names: Sequence[str]) -> int:
        """Return how many rows `blocks` yields of these columns: those that the filter keeps, in
        files that can be read. If bad files are skipped, all files are read to find out."""

    def path_of(self, part: Part) -> str | None:
        """Return the path of a part's file on this machine; None for a file of a server."""

    def stamps(self) -> list[tuple[str, int | None, str]]:
        """Return each file, its size in bytes and when it was written. Files with equal stamps are
        taken to have equal content."""

    def names_of(self, column: str) -> tuple[str, ...] | None:
        """Return the class names that the file holds for a column of labels, in the order of their
        ids; None if there are none."""

    def strings(self, column: str) -> tuple[str, ...]:
        """Return a short column of names, whole."""

    def locate(self, row: int) -> str:
        """Return what to call a row, by its number among all rows before any filter."""

    def place(self, part: Part, row: int) -> str:
        """Return what to call a row of a part's file, by its number in it before any filter."""

    def first(self, name: str) -> Array | None:
        """Return a column's first row, (1,) or (1, width), whatever the filter; None if there are
        no rows."""

    def blocks(self, names: Sequence[str], size: int) -> Iterator[dict[str, Array]]:
        """Yield the named columns in blocks of `size` rows, the last one shorter."""

    def parts(self, names: Sequence[str] = ()) -> list[Part]:
        """Return all rows in parts of one file each, in the order of the files' names. Files that
        lack one of the named columns are an error, or are skipped, here."""

    def part_blocks(
        self, part: Part, names: Sequence[str], size: int
    ) -> Iterator[dict[str, Array]]:
        """Yield the named columns of a part in blocks of `size` rows, the last one shorter.

        Parts may be read by several threads at once. Raises UnreadableError for a damaged file.
        """


def give_back() -> None:
    """Give back the memory that pyarrow decoded in and keeps to read more: a hundred megabytes.
    Up to KEPT stays: to ask for it once more takes as long as decoding in it."""
    pyarrow = sys.modules.get("pyarrow")  # not imported by readers of arrays
    if pyarrow is not None and pyarrow.default_memory_pool().max_memory() > KEPT:
        pyarrow.default_memory_pool().release_unused()


def side_by_side(block: Mapping[str, Array], names: Sequence[str]) -> Array:
    """Return one column of a block, or several as one of more values per row."""
    if len(names) == 1:
        return block[names[0]]
    return np.stack([block[name] for name in names], axis=1)


def repeated(names: Sequence[str]) -> str | None:
    """Return the first name in the alphabet that occurs more than once, or None."""
    return min((name for name in names if names.count(name) > 1), default=None)


def left_out(skipped: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield a sentence on files that could not be read, naming the first few; nothing without any.

    >>> list(left_out([("b.parquet", "the file is empty")]))
    ['1 file could not be read and was left out: b.parquet (the file is empty)']
    """
    if skipped:
        which = f"{len(skipped):,} files could not be read and were"
        if len(skipped) == 1:
            which = "1 file could not be read and was"
        named = ", ".join(f"{file} ({reason})" for file, reason in skipped[:NAMED])
        more = f", and {len(skipped) - NAMED:,} more" if len(skipped) > NAMED else ""
        yield f"{which} left out: {named}{more}"
