"""Paired: several files of predictions on the same rows, as systems that `examine` measures by
the same draws.

Rows are matched by an id column that all files have; without one, by their order, if the labels are
equal row by row. Anything else is refused: a pair of different rows is no pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable, Variant
from calibtool.errors import InputError
from calibtool.types import Array

IDS = ("id", "ids", "row_id", "sample_id", "example_id", "uid")  # names of id columns
_ROW = "calibtool:row"  # where a row of the first file stands in it


@dataclass(frozen=True, eq=False)
class Matched:
    """Files on the same rows.

    Attributes:
        first: the first file's predictions, what `examine` reads.
        systems: one a file, the first included; `apply` gives that file's block of the same rows.
        files: the predictions of each file, in the order of the first's rows.
        by: "id" and the column, or "order".

    `examine(matched.first, metrics, matched.systems)` measures them, any two of them paired.
    """

    first: Predictions
    systems: tuple[Variant, ...]
    files: tuple[Predictions, ...]
    by: str


def match(files: Sequence[Readable], *, id_: str | None = None) -> Matched:
    """Match the rows of files.

    Args:
        files: two or more; predictions in memory, or sources. Further columns that the first
            carries along stay with it.
        id_: the column that names the rows; None for one of `IDS` that all files have, or else
            the order of the rows.

    Raises InputError where rows, labels, classes or weights do not match.

    >>> a = Predictions.from_probs([0.9, 0.2], [1, 0])
    >>> b = Predictions.from_probs([0.7, 0.4], [1, 0])
    >>> matched = match([a, b])
    >>> matched.by, len(matched.systems)
    ('order', 2)
    """
    column = id_ or _common_id(files)
    loaded = [_load(file, column) for file in files]
    first = loaded[0]
    ordered = [first]
    for other in loaded[1:]:
        _require_alike(first, other)
        if column:
            other = other.take(_places(first, other, column))  # noqa: PLW2901
        _require_same_rows(first, other, column)
        ordered.append(replace(other, weights=first.weights))
    numbered = replace(first, extra={**first.extra, _ROW: np.arange(first.rows)})
    systems = tuple(_system(file) for file in ordered)
    return Matched(numbered, systems, tuple(ordered), f"id {column!r}" if column else "order")


def _system(file: Predictions) -> Variant:
    return Variant(lambda block: file.take(_at(block)), file.source)


def _at(block: Predictions) -> Array | slice:
    """The rows of a block; a slice where they follow one another, which shares memory."""
    rows = block.extra[_ROW]
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def _common_id(files: Sequence[Readable]) -> str | None:
    """A column that names the rows in all files."""
    there = [_columns(file) for file in files]
    return next((name for name in IDS if all(name in columns for columns in there)), None)


def _columns(file: Readable) -> set[str]:
    if isinstance(file, Source):
        return set(file.table.columns)
    return set(getattr(file, "extra", {}))


def _load(file: Readable, column: str | None) -> Predictions:
    if column and isinstance(file, Source):
        file = file.also([column])
    found = file.load()
    if column and column not in found.extra:
        raise InputError(f"{found.source}: there is no column {column!r} to match rows by")
    return found


def _require_alike(first: Predictions, other: Predictions) -> None:
    """The same problem: classes, their names and the form."""
    pair = f"{other.source} and {first.source}"
    if other.classes != first.classes:
        counts = " and ".join(str(one.classes or "no") for one in (other, first))
        raise InputError(f"{pair} have {counts} classes; they are not of the same problem")
    if other.one_column != first.one_column:
        raise InputError(
            f"{pair}: one has a column of P(class 1), the other a column a class; give both in "
            "the same form, since calibration errors look at different scores of them"
        )
    if first.class_names and other.class_names and first.class_names != other.class_names:
        names = " and ".join(", ".join(one.class_names or ()) for one in (other, first))
        raise InputError(
            f"{pair}: their classes are {names}; give both files the same classes in the same order"
        )


def _places(first: Predictions, other: Predictions, column: str) -> Array:
    """Where each row of the first file stands in the other."""
    ours, theirs = (np.asarray(one.extra[column]) for one in (first, other))
    for ids, file in ((ours, first), (theirs, other)):
        if ids.ndim != 1:
            raise InputError(f"{file.source}: {column}: expected one id a row, found {ids.shape}")
    if (ours.dtype.kind in "US") != (theirs.dtype.kind in "US"):
        ours, theirs = ours.astype(str), theirs.astype(str)
    for ids, file in ((ours, first), (theirs, other)):
        own, count = np.unique(ids, return_counts=True)
        if len(own) < len(ids):
            twice = own[count > 1]
            raise InputError(
                f"{file.source}: {column}: {len(twice):,} ids stand in several rows, such as "
                f"{twice[0]}; rows can only be matched by ids that name one row each"
            )
    for a, b, x, y in ((ours, theirs, first, other), (theirs, ours, other, first)):
        lost = ~np.isin(a, b)
        if lost.any():
            raise InputError(
                f"{y.source} lacks {int(lost.sum()):,} of the {len(a):,} rows of {x.source}, such "
                f"as {column} {a[lost][0]}; only predictions on the same rows can be paired"
            )
    order = np.argsort(theirs)
    return np.asarray(order[np.searchsorted(theirs, ours, sorter=order)])


def _require_same_rows(first: Predictions, other: Predictions, column: str | None) -> None:
    pair = f"{other.source} and {first.source}"
    how = f"rows matched by {column}" if column else "rows matched by their order"
    if other.rows != first.rows:
        raise InputError(
            f"{pair} have {other.rows:,} and {first.rows:,} rows; only predictions on the same "
            "rows can be paired"
        )
    if first.labels is None and first.correct is not None and not column:
        raise InputError(
            f"{pair}: confidences alone have no labels to tell whether the rows are the same; give "
            f"both files an id column ({', '.join(IDS)})"
        )
    if first.labels is not None and other.labels is not None:
        differ = first.labels != other.labels
        if differ.any():
            row = int(np.argmax(differ))
            advice = "" if column else f"; or give both files an id column ({', '.join(IDS)})"
            raise InputError(
                f"{pair}: labels differ in {int(differ.sum()):,} of {first.rows:,} rows ({how}), "
                f"the first in row {row} (counting from 0): {other.labels[row]} and "
                f"{first.labels[row]}; only predictions on the same rows can be paired{advice}"
            )
    if first.weights is not None and other.weights is not None:
        differ = ~np.isclose(first.weights, other.weights, rtol=1e-6)
        if differ.any():
            row = int(np.argmax(differ))
            raise InputError(
                f"{pair}: weights differ in {int(differ.sum()):,} rows ({how}), the first in row "
                f"{row} (counting from 0); paired rows have one weight"
            )
