"""Inputs, rows with labels, and the data of a run; torch-free.

`split` decides which rows are trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from calibtool.types import Array

PARTS = ("train", "val", "test")
# what sources call them
PART_NAMES = {**{name: name for name in PARTS}, "validation": "val", "valid": "val"}


class Inputs(Protocol):
    """N inputs, read when they are needed.

    `keys`, if there is one, returns N hashable values, equal for equal inputs, or None if telling
    would take too long; `workers` is the number of processes that should read ahead; `draws` is
    true if reading draws random numbers.
    """

    def __len__(self) -> int: ...

    def take(self, index: Array) -> Array:
        """Return the inputs at an index array, (n, ...); images are NCHW, uint8 or float."""


@dataclass(frozen=True, eq=False)
class Arrays:
    """Inputs in memory, or mapped from a file: (N, ...)."""

    values: Array

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: Array) -> Array:
        """Return the inputs in native byte order and at most 64 bits, as torch requires."""
        values = np.ascontiguousarray(self.values[index])
        if values.dtype.isnative and values.itemsize <= 8:
            return values
        return values.astype(np.dtype(f"{values.dtype.kind}{min(values.itemsize, 8)}"))

    def keys(self) -> list[int]:
        return [hash(row.tobytes()) for row in self.values]  # of 64 bits: chance matches are rare


@dataclass(frozen=True, eq=False)
class Taken:
    """The inputs of others at an index array."""

    inputs: Inputs
    index: Array

    def __len__(self) -> int:
        return len(self.index)

    def take(self, index: Array) -> Array:
        return self.inputs.take(self.index[index])

    def keys(self) -> Sequence[Hashable] | None:
        known = keys_of(self.inputs)
        return known and [known[i] for i in self.index.tolist()]


@dataclass(frozen=True, eq=False)
class Rows:
    """Inputs, (N,) int64 labels in [0, K), and (N,) ids that identify each row in its source.

    Rows of one of the (N,) `groups` are related, such as those of one patient.
    """

    inputs: Inputs
    labels: Array
    ids: Array
    groups: Array | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Array) -> Rows:
        groups = None if self.groups is None else self.groups[index]
        return Rows(Taken(self.inputs, index), self.labels[index], self.ids[index], groups)

    def keys(self) -> Sequence[Hashable] | None:
        """Return a value per row that is equal for equal inputs; None if that takes too long."""
        return keys_of(self.inputs)


def source_of(inputs: Inputs) -> Inputs:
    """Return the inputs that others are taken from."""
    while isinstance(inputs, Taken):
        inputs = inputs.inputs
    return inputs


def keys_of(inputs: Inputs) -> Sequence[Hashable] | None:
    """Return what `keys` of the inputs returns, or None without it."""
    keys = getattr(inputs, "keys", None)
    return None if keys is None else keys()


def parts_of(split: Array) -> Array:
    """Return the part that each word names, in any case; words that name none stay as they are."""
    words = np.char.lower(split.astype(str))
    return np.where(
        np.isin(words, [n for n, part in PART_NAMES.items() if part == "val"]), "val", words
    )


class RawPart(NamedTuple):
    """The N rows of a part as its source holds them, before the labels become class ids.

    Attributes:
        inputs, labels, ids: N each.
        kind: of the inputs; see `Data.kind`.
        split: (N,) words train, val and test, if the source has such a column.
        groups: (N,) values of --group, if it is given.
    """

    inputs: Inputs
    labels: Array
    ids: Array
    kind: str
    split: Array | None = None
    groups: Array | None = None


@dataclass(frozen=True, eq=False)
class Data:
    """The data of a run, as read.

    Attributes:
        source: its name in messages.
        parts: rows by part; if there is only "train", these are all rows, to be split.
        classes: K.
        class_names: K names, if known.
        shape: shape of one input, without the row; () for text.
        kind: "features" (N, d), "images" NCHW, "tokens" (N, d) whole numbers wider than a byte, or
            "text"; "other" is for the user's own models.
        notes: sentences for the reader of the report.
        columns: names of the columns that the inputs were read from, if there are several.
    """

    source: str
    parts: Mapping[str, Rows]
    classes: int
    shape: tuple[int, ...]
    kind: str = "features"
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None

    @property
    def named_classes(self) -> tuple[str, ...]:
        """The classes by name; "0", "1", ... where they are numbers."""
        return self.class_names or tuple(map(str, range(self.classes)))

    @property
    def images(self) -> bool:
        """Whether inputs are NCHW images."""
        return self.kind == "images"


def fingerprint(data: Data) -> str:
    """Return a hash that tells whether a resumed run sees the same data.

    It covers all labels and ids, and 16 inputs per part: hashing every input would mean decoding
    every image before a run can begin.
    """
    digest = hashlib.sha256()
    for name, rows in sorted(data.parts.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(rows.labels).tobytes())
        digest.update("\n".join(map(str, rows.ids.tolist())).encode())
        index = np.unique(np.linspace(0, len(rows) - 1, 16).astype(int))
        digest.update(np.ascontiguousarray(rows.inputs.take(index)).tobytes())
    return digest.hexdigest()[:16]
