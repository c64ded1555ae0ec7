"""The nouns of training: rows with labels, and the data that they make up; torch-free.

Nothing here decides which rows are trained on: that is `split`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from calibtool.checks import Array
from calibtool.errors import InputError

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
        return np.ascontiguousarray(self.values[index])


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
        images: whether inputs are NCHW images.
        shape: of one input, without the row.
        notes: what the reader of the report should know.
    """

    source: str
    parts: Mapping[str, Rows]
    classes: int
    shape: tuple[int, ...]
    images: bool = False
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def settle_labels(
    labels: Array, names: tuple[str, ...] | None, where: str
) -> tuple[Array, tuple[str, ...] | None]:
    """Labels as int64 ids in [0, K), with their names where they are not 0 to K-1 already.

    Text and numbers with gaps are classes in sorted order. Raises InputError for labels that are
    missing, and for a single class.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(
            f"{where}: expected one label a row, found shape {labels.shape}; "
            "soft and one-hot labels are not trained on"
        )
    if labels.dtype.kind == "f":
        labels = _whole_numbers(labels, where)
    if labels.dtype.kind not in "iubU":
        raise InputError(f"{where}: expected class ids or names, found {labels.dtype} values")
    empty = labels == "" if labels.dtype.kind == "U" else np.zeros(len(labels), bool)
    if empty.any():
        raise InputError(
            f"{where}: {int(empty.sum()):,} labels are missing, the first in row "
            f"{int(np.argmax(empty))} (counting from 0); drop those rows"
        )
    if names is not None:
        return _by_names(labels, names, where), names
    found, codes = np.unique(labels, return_inverse=True)
    if len(found) < 2:
        raise InputError(
            f"{where}: all {len(labels):,} labels are {found[0] if len(found) else 'missing'}; "
            "training needs two classes or more"
        )
    if labels.dtype.kind in "iub" and found[0] == 0 and found[-1] == len(found) - 1:
        return labels.astype(np.int64), None
    return codes.reshape(-1).astype(np.int64), tuple(str(name) for name in found)


def _whole_numbers(labels: Array, where: str) -> Array:
    bad = ~np.isfinite(labels)
    if bad.any():
        raise InputError(
            f"{where}: {int(bad.sum()):,} labels are missing (NaN), the first in row "
            f"{int(np.argmax(bad))} (counting from 0); drop those rows"
        )
    if (labels != np.round(labels)).any():
        row = int(np.argmax(labels != np.round(labels)))
        raise InputError(
            f"{where}: label {labels[row]:g} in row {row} is no class id; calibtool trains "
            "classifiers"
        )
    return labels.astype(np.int64)


def _by_names(labels: Array, names: tuple[str, ...], where: str) -> Array:
    if labels.dtype.kind in "iub":
        bad = (labels < 0) | (labels >= len(names))
        codes = labels.astype(np.int64)
    else:
        place = {name: k for k, name in enumerate(names)}
        codes = np.array([place.get(str(label), -1) for label in labels.tolist()], np.int64)
        bad = codes < 0
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"{where}: label {labels[row]!s} in row {row} is none of the {len(names)} classes"
        )
    return codes


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
