"""Raw text as token ids: hashes of words and pairs of words; torch-free.

Nothing is learned from the rows: no vocabulary has to be saved with the model, and nothing about
validation or test rows leaks into it.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np

from calibtool.types import Array

WORD = re.compile(r"\w+|[^\w\s]")
PADDING = 0
Encode: TypeAlias = Callable[[Sequence[str]], Array]


def tokens(text: str) -> list[int]:
    """Return ids in [1, 2^31) of the words and adjacent pairs of words, in lower case.

    >>> len(tokens("A pan, a pen.")), tokens("Pen") == tokens("pen")
    (11, True)
    """
    words = WORD.findall(text.lower())
    pairs = [f"{a} {b}" for a, b in itertools.pairwise(words)]
    # crc32, since Python's own hash of a text differs from one process to the next; 0 is padding
    return [zlib.crc32(word.encode()) % (2**31 - 1) + 1 for word in (*words, *pairs)]


class Texts:
    """Texts as inputs: token ids, padded with 0 to the longest row of each batch."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    @cached_property
    def hashed(self) -> tuple[Array, Array]:
        """All token ids, and where those of each text start; models of transformers need none."""
        rows = [tokens(text) for text in self.texts]
        flat = [token for row in rows for token in row]
        return np.array(flat, np.int64), np.concatenate([[0], np.cumsum([*map(len, rows)])])

    def __len__(self) -> int:
        return len(self.texts)

    def keys(self) -> Sequence[str]:
        return self.texts

    def take(self, index: Array) -> Array:
        """Return (n, longest) int64 token ids."""
        flat, starts = self.hashed
        lengths = starts[index + 1] - starts[index]
        padded = np.full((len(index), max(1, int(lengths.max(initial=0)))), PADDING, np.int64)
        for row, (start, length) in enumerate(zip(starts[index], lengths, strict=True)):
            padded[row, :length] = flat[start : start + length]
        return padded


class Encoded(Texts):
    """Texts as token ids of the model's own tokenizer, encoded batch by batch."""

    def __init__(self, texts: Sequence[str], encode: Encode) -> None:
        super().__init__(texts)
        self.encode = encode

    def take(self, index: Array) -> Array:
        """Return (n, longest) int64 token ids."""
        return self.encode([self.texts[i] for i in index.tolist()])
