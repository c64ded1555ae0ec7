"""Raw text as token ids: hashes of words and of pairs of words; torch-free.

Nothing is learned from the rows, so nothing has to be kept beside the model, and nothing leaks.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Sequence

import numpy as np

from calibtool.types import Array

WORD = re.compile(r"\w+|[^\w\s]")
PADDING = 0


def tokens(text: str) -> list[int]:
    """Ids in [1, 2^31) of the words and pairs of words of a text, in lower case.

    >>> len(tokens("A pan, a pen.")), tokens("Pen") == tokens("pen")
    (11, True)
    """
    words = WORD.findall(text.lower())
    pairs = [f"{a} {b}" for a, b in itertools.pairwise(words)]
    return [zlib.crc32(word.encode()) % (2**31 - 1) + 1 for word in (*words, *pairs)]


class Texts:
    """Texts as inputs: token ids, padded with 0 to the longest row of a batch."""

    def __init__(self, texts: Sequence[str]) -> None:
        rows = [tokens(text) for text in texts]
        self.texts = texts
        self.starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        flat = [one for row in rows for one in row]
        self.flat = np.array(flat, np.int64)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, index: Array) -> Array:
        """(n, longest) int64."""
        lengths = self.starts[index + 1] - self.starts[index]
        found = np.full((len(index), max(1, int(lengths.max(initial=0)))), PADDING, np.int64)
        for row, (start, length) in enumerate(zip(self.starts[index], lengths, strict=True)):
            found[row, :length] = self.flat[start : start + length]
        return found
