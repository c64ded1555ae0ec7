"""Rows to predict: inputs, and labels if there are any; torch-free.

Classes, shape and columns are those of a run, not of the rows.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np

from calibtool.errors import InputError
from calibtool.train.data.dataset import PARTS, Data, Inputs, Taken, parts_of
from calibtool.train.data.text import Texts
from calibtool.train.data.validation import settle_labels
from calibtool.types import Array


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is known of rows to predict before they are read.

    Attributes:
        data: the data of the run, without rows: its classes, the shape and kind of an input, and
            its columns.
        part: "train", "val" or "test" of a source that is split, or "".
        labels: whether labels are read if there are any.
        required: options that name what has to be there: "inputs", "labels", "ids".
    """

    data: Data
    part: str = ""
    labels: bool = True
    required: frozenset[str] = frozenset()

    def require_part(self, source: str, parts: Container[str]) -> None:
        """Check that a part is chosen if a source is split, and only then; raise InputError."""
        known = [name for name in PARTS if name in parts]
        if known and self.part not in known:
            raise InputError(
                f"{source}: is split into {', '.join(known)}; choose one with --part "
                f"{'|'.join(known)}"
            )
        if not known and self.part:
            raise InputError(f"{source}: is not split; drop --part {self.part}")


@dataclass(frozen=True, eq=False)
class RawRows:
    """N rows as their source holds them.

    Attributes:
        inputs: N.
        labels: (N,) or None without labels.
        ids: (N,) ids that identify each row in its source.
        kind: see `Data.kind`.
        names: the classes that numbers in `labels` stand for, if the source itself stores them.
    """

    inputs: Inputs
    labels: Array | None
    ids: Array
    kind: str
    names: tuple[str, ...] | None = None

    def of_part(self, split: Array, part: str, where: str) -> RawRows:
        """Return the rows whose word in `split` is `part`; raise InputError if there are none."""
        index = np.flatnonzero(parts_of(split) == part)
        if not len(index):
            raise InputError(f"{where}: no row has the value {part}")
        labels = None if self.labels is None else self.labels[index]
        inputs: Inputs = Taken(self.inputs, index)
        if isinstance(self.inputs, Texts):
            inputs = Texts([self.inputs.texts[i] for i in index.tolist()])
        return RawRows(inputs, labels, self.ids[index], self.kind, self.names)

    def class_ids(self, classes: tuple[str, ...], where: str) -> Array | None:
        """Return labels as ids of the classes of a run, or None without labels.

        Numbers are ids of the classes that the source stores; without those, names of classes that
        are numbers, and otherwise ids of the classes of the run. Raises InputError for missing
        labels and for those of other classes.
        """
        labels = self.labels
        if labels is None:
            return None
        if self.names is not None:
            codes, _ = settle_labels(labels, self.names, where)
            labels = np.array(self.names)[codes]
        elif all(name.lstrip("-").isdigit() for name in classes) and _are_whole(labels):
            labels = labels.astype(np.int64).astype(str)
        return settle_labels(labels, classes, where)[0]


def _are_whole(labels: Array) -> bool:
    if labels.dtype.kind == "f":
        return bool((np.isfinite(labels) & (labels == np.round(labels))).all())
    return labels.dtype.kind in "iub"
