"""Blocks of whole lines, and what is known of their lines without parsing them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibtool.types import Array

OPENED = 1000  # lists and objects in a line up to which pyarrow parses it: it stands about 10,000
_BOM = b"\xef\xbb\xbf"
_NEWLINE, _OPEN, _CLOSE = b"\n{}"
_BLANK = np.frombuffer(b" \t\r", dtype=np.uint8)
_AFTER = 2  # blanks after an object that are looked past: the "\r" of Windows, and one more


def blocks(file: Any, size: int) -> Iterator[Array]:
    """Yield the bytes of a binary file, whole lines of about `size` bytes at a time.

    A line that is longer is whole too. A byte order mark is left out, and where the last line has
    no newline, it gets one.
    """
    rest, ended = bytearray(file.read(len(_BOM)).removeprefix(_BOM)), False
    while not ended:
        buffer = bytearray(max(size, 2 * len(rest)))  # larger for the line that did not fit
        buffer[: len(rest)] = rest
        with memoryview(buffer) as view:  # read in place: a copy would take longer than the reading
            filled = len(rest) + file.readinto(view[len(rest) :])
        ended = filled < len(buffer)
        if ended:
            del buffer[filled:]
            if buffer and not buffer.endswith(b"\n"):
                buffer += b"\n"
        whole = buffer.rfind(b"\n") + 1
        if whole:
            yield np.frombuffer(buffer, dtype=np.uint8, count=whole)
        rest = buffer[whole:]


@dataclass(frozen=True)
class Lines:
    """Whole lines of JSON.

    Attributes:
        data: their bytes, each line with the newline that ends it.
        ends: the positions of the newlines.
    """

    data: Array
    ends: Array

    @staticmethod
    def of(data: Array) -> Lines:
        """Find the lines."""
        return Lines(data, np.flatnonzero(data == _NEWLINE))

    @property
    def count(self) -> int:
        """The number of lines."""
        return len(self.ends)

    @property
    def records(self) -> int:
        """The number of lines that are not blank."""
        if self._opened():
            return self.count
        return sum(bool(text.strip()) for text in self.texts())

    @property
    def plain(self) -> bool:
        """Whether pyarrow can be trusted with the lines, if it finds as many objects in them.

        It dies of a block that begins with `null`, takes null for an object, overflows its stack
        where values stand in one another too deep, and takes newlines for blanks. Where each line
        begins with `{` and ends with `}`, no object goes on in the next line: it would have to be
        cut between `:`, `,` or `[` and a value, or in a text, where a newline is an error.
        """
        return self._opened() and self._closed() and not self._deep()

    def _opened(self) -> bool:
        """Return whether each line begins as an object does."""
        first = self.data[np.append(0, self.ends[:-1] + 1)]
        return bool((first == _OPEN).all())

    def _closed(self) -> bool:
        """Return whether each line ends as an object does."""
        last = self.ends - 1
        for _ in range(_AFTER):
            blank = np.isin(self.data[last], _BLANK)
            if not blank.any():
                break
            last = last - blank
        return bool((self.data[last] == _CLOSE).all())

    def _deep(self) -> bool:
        """Return whether a line opens so many lists and objects that they may stand in one another
        too deep for pyarrow, whose parser then runs off the end of its stack."""
        if np.diff(self.ends, prepend=-1).max() <= OPENED:  # none has the room
            return False
        opened = np.flatnonzero((self.data | 0x20) == _OPEN)  # 0x20 is all in which "[" differs
        if len(opened) <= OPENED:
            return False
        line = np.searchsorted(self.ends, opened)
        return bool((line[OPENED:] == line[:-OPENED]).any())

    def first(self, size: int) -> Lines:
        """Return the first lines, those of about `size` bytes together."""
        count = int(np.searchsorted(self.ends, size)) + 1
        ends = self.ends[:count]
        return Lines(self.data[: ends[-1] + 1], ends)

    def texts(self) -> list[bytes]:
        """Return the lines, without their newlines."""
        return self.data[:-1].tobytes().split(b"\n")
