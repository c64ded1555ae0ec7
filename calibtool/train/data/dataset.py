"""The nouns of training: rows with labels, and the data that they make up; torch-free.

Nothing here decides which rows are trained on: that is `split`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from calibtool.types import Array

PARTS = ("train", "val", "test")


class Inputs(Protocol):
    """N inputs, read as they are needed."""

    def __len__(self) -> int: ...

    def take(self, index: Array) -> Array:
        """The inputs at an index array, (n, ...): images are NCHW, uint8 or float."""


@dataclass(frozen=True, eq=False)
class Arrays:
    """Inputs in memory, or mapped from a file."""

    values: Array

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: Array) -> Array:
        found = np.ascontiguousarray(self.values[index])
        if found.dtype.isnative and found.itemsize <= 8:
            return found
        return found.astype(np.dtype(f"{found.dtype.kind}{min(found.itemsize, 8)}"))


@dataclass(frozen=True, eq=False)
class Taken:
    """Some of other inputs."""

    inputs: Inputs
    index: Array

    def __len__(self) -> int:
        return len(self.index)

    def take(self, index: Array) -> Array:
        return self.inputs.take(self.index[index])


@dataclass(frozen=True, eq=False)
class Rows:
    """Inputs, (N,) int64 labels in [0, K), and (N,) ids that find a row again in its source."""

    inputs: Inputs
    labels: Array
    ids: Array

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Array) -> Rows:
        return Rows(Taken(self.inputs, index), self.labels[index], self.ids[index])


@dataclass(frozen=True, eq=False)
class Data:
    """What was read.

    Attributes:
        source: what to call it in messages.
        parts: rows by part; "train" alone are all rows, to be split.
        classes: K.
        class_names: K names, if known.
        shape: of one input, without the row; () for text.
        kind: "features" (N, d), "images" NCHW, "tokens" (N, d) whole numbers wider than a byte, or
            "text"; "other" is for models of one's own.
        notes: what the reader of the report should know.
    """

    source: str
    parts: Mapping[str, Rows]
    classes: int
    shape: tuple[int, ...]
    kind: str = "features"
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> bool:
        """Whether inputs are NCHW images."""
        return self.kind == "images"


def fingerprint(data: Data) -> str:
    """Of labels, ids and a few inputs: tells whether a resumed run sees the same data."""
    digest = hashlib.sha256()
    for name, rows in sorted(data.parts.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(rows.labels).tobytes())
        digest.update("\n".join(map(str, rows.ids.tolist())).encode())
        index = np.unique(np.linspace(0, len(rows) - 1, 16).astype(int))
        digest.update(np.ascontiguousarray(rows.inputs.take(index)).tobytes())
    return digest.hexdigest()[:16]
