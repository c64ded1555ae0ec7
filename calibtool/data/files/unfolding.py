"""Unfolding: how rows that hold several predictions become rows of one.

There are two kinds. A multi-label row holds a probability and a target, 0 or 1, for each of its
labels. A dense one, such as an image or a sequence of tokens, holds the scores of all classes and a
label at each of its positions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calibtool.data import written
from calibtool.data.files.reader import side_by_side
from calibtool.data.unit import MULTILABEL, Unit
from calibtool.data.validation import Origin
from calibtool.errors import UsageError
from calibtool.types import Array

LABELS, PART = "labels", "label"  # columns of the unfolded table, beside the scores
UNLABELLED = -1
LAYOUTS = ("channels-first", "channels-last")
# Columns by number of dimensions of a row's positions: tokens of a text, pixels of an image.
_COLUMNS = {1: "sequence"}
_DENSE = "image"


@dataclass(frozen=True)
class Unfolding:
    """How the rows of a table are unfolded.

    Attributes:
        role: what the scores are, "logits" or "probs".
        values: the columns of the scores.
        labels: those of the labels; () where there are none.
        shape: positions of the predictions in a row: (5,) labels, (32, 32) pixels.
        axis: that of the classes among the dimensions of `values`; None for one score per
            prediction.
        classes: K, the scores of a prediction; 1 for one score.
        names: of the labels of a multi-label row; () for a dense one.
        ignore: labels of predictions that are not to be measured.
    """

    role: str
    values: tuple[str, ...]
    labels: tuple[str, ...]
    shape: tuple[int, ...]
    axis: int | None = None
    classes: int = 1
    names: tuple[str, ...] = ()
    ignore: tuple[int, ...] = ()

    @property
    def per(self) -> int:
        """The number of predictions in a row."""
        return math.prod(self.shape)

    @property
    def unit(self) -> Unit:
        """The rows of the table, each of several predictions."""
        if self.names:
            return Unit("row", PART, f"{self.per:,} {MULTILABEL}", "missing targets", self.per)
        column = _COLUMNS.get(len(self.shape), _DENSE)
        size = " x ".join(f"{n:,}" for n in self.shape)
        return Unit(column, "", f"{column}s of {size}", "ignored positions", self.per)

    def scores(self, columns: Mapping[str, Array]) -> Array:
        """Return the scores of n rows, (n * per,) or (n * per, K)."""
        values = side_by_side(columns, self.values)
        if self.axis is None:
            return values.reshape(len(values) * self.per)
        moved = np.moveaxis(values, self.axis, -1)
        return np.ascontiguousarray(moved).reshape(len(values) * self.per, self.classes)

    def folded(self, scores: Array) -> Array:
        """Return unfolded scores in the shape in which a row holds them: (n, *shape), with the axis
        of the classes at its place."""
        rows = len(scores) // self.per
        if self.axis is None:
            return scores.reshape(rows, *self.shape)
        return np.moveaxis(scores.reshape(rows, *self.shape, -1), -1, self.axis)

    def targets(self, columns: Mapping[str, Array], place: Origin) -> Array:
        """Return the labels of n rows, (n * per,); UNLABELLED for those that are not measured.

        Raises InputError for texts that are neither yes nor no, where there is one score.
        """
        labels = side_by_side(columns, self.labels)
        flat = labels.reshape(len(labels) * self.per)
        absent = written.missing(flat)
        if flat.dtype.kind == "U" and self.axis is None:
            known = written.outcomes(flat[~absent])
            if known is None:
                raise place.error(
                    self.labels[0],
                    "expected targets of 0 and 1, or of yes and no, found other words",
                )
            numbers = np.full(len(flat), UNLABELLED, dtype=np.int64)
            numbers[~absent] = known
            return numbers
        ignored = absent
        for label in self.ignore:
            ignored = ignored | (flat == label)
        if not ignored.any():
            return flat
        kind = np.int64 if flat.dtype.kind in "uib" else flat.dtype
        return np.where(ignored, UNLABELLED, flat.astype(kind))


def dense(
    role: str,
    values: tuple[str, tuple[int, ...]],
    labels: tuple[str, tuple[int, ...]] | None,
    *,
    source: str,
    layout: str | None,
    ignore: tuple[int, ...],
) -> Unfolding:
    """Return how arrays are unfolded that have the classes on one axis and positions on others.

    Args:
        role: what the values are.
        values, labels: name and shape of an array; labels may be unknown.
        source: what messages call the file.
        layout: one of LAYOUTS, where the shapes do not tell.
        ignore: labels that are not measured.

    Raises UsageError where the shapes do not fit, or fit twice.
    """
    name, shape = values
    first, last = (shape[0], *shape[2:]), shape[:-1]
    fits = {"channels-first": first, "channels-last": last}
    if labels is not None:
        fits = {key: size for key, size in fits.items() if size == labels[1]}
    if layout is not None and layout in fits:
        fits = {layout: fits[layout]}
    if len(fits) != 1 or (layout is not None and layout not in fits):
        raise UsageError(f"{source}: {name}: {_misfit(shape, labels, layout, fits)}")
    axis = 1 if "channels-first" in fits else len(shape) - 1
    return Unfolding(
        role,
        (name,),
        () if labels is None else (labels[0],),
        next(iter(fits.values()))[1:],
        axis,
        shape[axis],
        ignore=ignore,
    )


def _misfit(
    shape: tuple[int, ...],
    labels: tuple[str, tuple[int, ...]] | None,
    layout: str | None,
    fits: Mapping[str, tuple[int, ...]],
) -> str:
    size = " x ".join(map(str, shape))
    if fits and layout is None:
        return (
            f"which axis of {size} holds the classes cannot be told from the shapes; say "
            "--layout channels-first or channels-last"
        )
    beside = "" if labels is None else f" beside {labels[0]} {' x '.join(map(str, labels[1]))}"
    return (
        f"{size}{beside}: expected scores N x K x ... or N x ... x K, and one label for each "
        "position, N x ..."
    )
