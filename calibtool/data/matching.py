"""Match the rows of several files, so that differences between them are paired.

Rows are matched by an id column that all files have; without one, by their order, if the labels are
equal row by row. Files that cannot be matched are refused: differences between files of different
rows would not be paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibtool.data.files.soft_labels import ROW
from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable, Variant
from calibtool.data.unit import Unit, unit_of
from calibtool.data.validation import texts
from calibtool.errors import InputError, row_name
from calibtool.types import Array

IDS = ("id", "ids", "row_id", "sample_id", "example_id", "uid")  # names of id columns
LISTED = 5  # most names in a message
_KEY = "row and part"  # of one prediction of a row that has several, in messages too
_ROW = "calibtool:row"  # column of row numbers; no file has a column of this name
_WEIGHT_TOLERANCE = 1e-6  # relative: weights that were saved as float32 in one file agree to 6e-8


@dataclass(frozen=True, eq=False)
class Matched:
    """Files on the same rows.

    `evaluate_rows(matched.first, metrics, matched.systems)` measures all files with the same draws,
    so that the difference of any two is paired.

    Attributes:
        first: predictions of the first file, with the number of each row in `extra`.
        systems: one variant per file, the first included. It maps a block of `first` to the same
            rows of that file.
        files: predictions of each file, in the order of the first file's rows and with its weights.
        by: how the rows were matched: "id" and the name of the column, or "order".
    """

    first: Predictions
    systems: tuple[Variant, ...]
    files: tuple[Predictions, ...]
    by: str


def match(files: Sequence[Readable], *, id_: str | None = None) -> Matched:
    """Match the rows of files.

    Args:
        files: two or more predictions in memory, or sources. Columns that the first carries along
            stay with it.
        id_: column of row ids; None for the first of `IDS` that all files have or, without any, for
            the order of the rows.

    Weights are those of the first file: the others have the same weights, or none. Raises
    InputError if rows, labels, classes or weights do not match.

    >>> a = Predictions.from_probs([0.9, 0.2], [1, 0])
    >>> b = Predictions.from_probs([0.7, 0.4], [1, 0])
    >>> matched = match([a, b])
    >>> matched.by, len(matched.systems)
    ('order', 2)
    """
    units = [unit_of(file) for file in files]
    parts = _parts(units[0])
    if not all(isinstance(file, Source) or {*parts} <= _columns(file) for file in files):
        parts = ()  # predictions in memory that were loaded without them
    # positions of an image have no name, by which they could be found in another order
    column = id_ or (None if units[0] and not parts else _common_id(files))
    _require_one_unit(files, units, id_ if not parts else None)
    loaded = [_keyed(_load(file, column, parts), column, parts) for file in files]
    first = loaded[0]
    ordered = [first]
    for other in loaded[1:]:
        _require_alike(first, other)
        if parts:
            if len(parts) > 1:
                _require_same_parts(first, other, parts[1])
            other = other.take(_places(first, other, _KEY))  # noqa: PLW2901
        elif column:
            other = other.take(_places(first, other, column))  # noqa: PLW2901
        _require_same_rows(first, other, column)
        ordered.append(replace(other, weights=first.weights))
    numbered = replace(first, extra={**first.extra, _ROW: np.arange(first.rows)})
    variants = tuple(_variant(file) for file in ordered)
    return Matched(numbered, variants, tuple(ordered), f"id {column!r}" if column else "order")


def _parts(unit: Unit | None) -> tuple[str, ...]:
    """Return the columns that tell the predictions of a row of the file apart, the one that numbers
    the rows first; () for files of one prediction per row, and for positions, which have no names.

    The outcomes of a soft label are told apart by their labels.
    """
    if unit is None or not (unit.part or unit.column == ROW):
        return ()
    return unit.columns


def _require_one_unit(
    files: Sequence[Readable], units: Sequence[Unit | None], id_: str | None
) -> None:
    """Check that all files hold as many predictions per row, and no id of rows is asked for whose
    predictions have no names."""
    first = units[0]
    for file, unit in zip(files, units, strict=True):
        if (unit and unit.column) != (first and first.column):
            texts_ = " and ".join(one.text if one else "one per row" for one in (unit, first))
            raise InputError(
                f"{file.source} and {files[0].source} hold predictions of different kinds: {texts_}"
            )
    if first and id_:
        raise InputError(
            f"{files[0].source}: {first.text} are matched by their order, not by {id_!r}: leave "
            "out --id"
        )


def _keyed(predictions: Predictions, column: str | None, parts: Sequence[str]) -> Predictions:
    """Return the predictions with one id for each in `extra`, of an id of its row and the name of
    its part, where rows have several."""
    if not parts:
        return predictions
    rows = np.asarray(predictions.extra[column or parts[0]]).astype(str)
    told = predictions.extra[parts[1]] if len(parts) > 1 else predictions.labels
    names = np.asarray(told).astype(str)
    keys = np.char.add(np.char.add(rows, ", "), names)
    return replace(predictions, extra={**predictions.extra, _KEY: keys})


def _require_same_parts(first: Predictions, other: Predictions, part: str) -> None:
    """Check that rows have predictions of the same names, in whatever order."""
    ours, theirs = ({*np.unique(file.extra[part]).tolist()} for file in (first, other))
    if ours == theirs:
        return
    lists = (
        f"only {file.source} has {', '.join(sorted(names)[:LISTED])}"
        for file, names in ((first, ours - theirs), (other, theirs - ours))
        if names
    )
    raise InputError(
        f"{other.source} and {first.source} have other {part}s: {'; '.join(lists)}; only "
        f"predictions of the same {part}s can be paired"
    )


def _variant(file: Predictions) -> Variant:
    """Return the variant that replaces a block of the first file by the same rows of `file`."""
    return Variant(lambda block: file.take(_at(block)), file.source)


def _at(block: Predictions) -> Array | slice:
    """Return the row numbers of a block.

    Consecutive rows are a slice, which `take` answers with a view instead of a copy.
    """
    rows = block.extra[_ROW]
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def _common_id(files: Sequence[Readable]) -> str | None:
    """Return the first of `IDS` that all files have, or None."""
    columns = [_columns(file) for file in files]
    return next((name for name in IDS if all(name in names for names in columns)), None)


def _columns(file: Readable) -> set[str]:
    """Return the names of the columns of a file; of predictions in memory, those in `extra`."""
    if isinstance(file, Source):
        return set(file.table.columns)
    return set(getattr(file, "extra", {}))


def _load(file: Readable, column: str | None, parts: Sequence[str]) -> Predictions:
    """Return all rows in memory, with the id column. Raises InputError if it is not there."""
    if isinstance(file, Source):
        file = file.also([*([column] if column else []), *parts])
    predictions = file.load()
    if column and column not in predictions.extra:
        raise InputError(f"{predictions.source}: there is no column {column!r} to match rows by")
    return predictions


def _require_alike(first: Predictions, other: Predictions) -> None:
    """Check that two files have the same classes and class names. Two classes may be given as one
    column or as two: what is measured of both is decided by the first."""
    pair = f"{other.source} and {first.source}"
    if other.classes != first.classes:
        counts = " and ".join(str(file.classes or "no") for file in (other, first))
        raise InputError(f"{pair} have {counts} classes; they are not of the same problem")
    if first.class_names and other.class_names and first.class_names != other.class_names:
        names = " and ".join(", ".join(file.class_names or ()) for file in (other, first))
        raise InputError(
            f"{pair}: their classes are {names}; give both files the same classes in the same order"
        )


def _places(first: Predictions, other: Predictions, column: str) -> Array:
    """Return, for each row of the first file, the number of the same row in the other, (N,).

    Raises InputError unless every id occurs once in each file.
    """
    ours, theirs = (np.asarray(file.extra[column]) for file in (first, other))
    for ids, file in ((ours, first), (theirs, other)):
        if ids.ndim != 1:
            raise InputError(f"{file.source}: {column}: expected one id per row, found {ids.shape}")
    # numbers in one file, texts in the other: csv and npz files of the same ids
    kinds = ["n" if ids.dtype.kind in "iufb" else ids.dtype.kind for ids in (ours, theirs)]
    if kinds[0] != kinds[1] or kinds[0] == "O":
        ours = texts(ours, f"{first.source}: {column}")
        theirs = texts(theirs, f"{other.source}: {column}")
    for ids, file in ((ours, first), (theirs, other)):
        distinct, count = np.unique(ids, return_counts=True)
        if len(distinct) < len(ids):
            twice = distinct[count > 1]
            raise InputError(
                f"{file.source}: {column}: {len(twice):,} ids occur in several rows, such as "
                f"{twice[0]}; to match rows, every id must occur once"
            )
    for ids, others, file, lacking in (
        (ours, theirs, first, other),
        (theirs, ours, other, first),
    ):
        lost = ~np.isin(ids, others)
        if lost.any():
            raise InputError(
                f"{lacking.source} lacks {int(lost.sum()):,} of the {len(ids):,} rows of "
                f"{file.source}, such as {column} {ids[lost][0]}; only predictions on the same "
                "rows can be paired"
            )
    order = np.argsort(theirs)
    return np.asarray(order[np.searchsorted(theirs, ours, sorter=order)])


def _require_same_rows(first: Predictions, other: Predictions, column: str | None) -> None:
    """Check that rows that were matched have the same labels and weights.

    Labels are compared if both files have them. A file without weights takes those of the first;
    weights that only another file has are refused rather than dropped silently.
    """
    pair = f"{other.source} and {first.source}"
    matched = f"rows matched by {column or 'their order'}"
    if other.rows != first.rows:
        what = "predictions" if first.unit else "rows"
        raise InputError(
            f"{pair} have {other.rows:,} and {first.rows:,} {what}; only predictions on the same "
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
            ids = f"give both files an id column ({', '.join(IDS)})"
            advice = "" if column else f"; for the same rows in another order, {ids}"
            raise InputError(
                f"{pair}: labels differ in {int(differ.sum()):,} of {first.rows:,} rows "
                f"({matched}), the first in {row_name(row)}: {other.labels[row]} and "
                f"{first.labels[row]}; only predictions on the same rows can be paired{advice}"
            )
    if other.weights is None:
        return
    if first.weights is None:
        raise InputError(
            f"{pair}: {other.source} has weights, {first.source} has none; paired rows must have "
            f"the same weight: add the weights to {first.source}, or drop them from {other.source}"
        )
    differ = ~np.isclose(first.weights, other.weights, rtol=_WEIGHT_TOLERANCE)
    if differ.any():
        row = int(np.argmax(differ))
        if first.unit and _parts(first.unit) == (ROW,):
            raise InputError(
                f"{pair}: their soft labels differ; only predictions on the same rows can be "
                f"paired, which an id column tells ({', '.join(IDS)})"
            )
        raise InputError(
            f"{pair}: weights differ in {int(differ.sum()):,} rows ({matched}), the first in "
            f"{row_name(row)}; paired rows must have the same weight"
        )
