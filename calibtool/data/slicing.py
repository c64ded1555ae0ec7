"""Slices: rows grouped by the values of columns.

A column of texts or of few distinct numbers has one slice per value. A column of many numbers has
one slice per quantile group. Besides the columns of a file there are the pseudo-columns PSEUDO,
which are computed from the predictions.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calibtool.data.cuts import Cuts, is_cut, octiles, tenths
from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions, names_of_classes
from calibtool.data.readable import Readable
from calibtool.data.rows import reduce_rows
from calibtool.data.validation import texts
from calibtool.errors import InputError, UsageError
from calibtool.types import Array

# Fewest rows, of weight above 0, with which a slice is measured; smaller slices are set apart. With
# fewer, the interval of an accuracy of 90 % is wider than 20 percentage points.
FEW = 30
# Most values of a text column that have a slice each; the rarer values are joined. A table of more
# could hardly be read, and a column of identifiers would mean thousands of evaluations.
MOST = 200
QUARTERS = 4  # quantile groups of a column of numbers whose groups are drawn side by side
LISTED = 5  # slices that the sentence about those set apart names; more would make it a table
PSEUDO = {
    "predicted": "the predicted class",
    "confidence": "tenths of the rows, by the confidence of the predicted class",
}


@dataclass(frozen=True, eq=False)
class Partition:
    """A division of rows into slices: each row is in exactly one.

    Attributes:
        by: columns that define the slices, such as "country" or "country,age".
        names: name of each slice.
        codes: (N,) int64 number of each row's slice.
        rows: (len(names),) int64 number of rows of weight above 0 in each slice.
        note: which values were joined or are missing, or "".
        few: slices of fewer rows than this are set apart.
    """

    by: str
    names: tuple[str, ...]
    codes: Array
    rows: Array
    note: str = ""
    few: int = FEW

    @property
    def large(self) -> list[int]:
        """Numbers of the slices with enough rows to be measured."""
        return np.flatnonzero(self.rows >= self.few).tolist()

    @property
    def small(self) -> tuple[tuple[str, int], ...]:
        """Name and number of rows of the slices that are set apart; slices without rows are not."""
        return tuple(
            (name, int(rows))
            for name, rows in zip(self.names, self.rows, strict=True)
            if 0 < rows < self.few
        )

    @property
    def apart(self) -> str:
        """Sentence that says which slices are set apart, and why; "" if none are."""
        return set_apart(self.small, self.few)

    def largest(self, count: int) -> list[int]:
        """Return the numbers of the `count` slices with the most rows, in their order."""
        order = np.argsort(-self.rows, kind="stable")[:count]
        return [k for k in np.sort(order).tolist() if self.rows[k]]

    def index(self, k: int) -> Array:
        """Return the positions of the rows of slice `k`."""
        return np.flatnonzero(self.codes == k)

    def take(self, predictions: Predictions, k: int) -> Predictions:
        """Return the rows of slice `k` of the predictions that were partitioned."""
        return predictions.take(self.index(k))


def set_apart(small: Sequence[tuple[str, int]], few: int = FEW) -> str:
    """Return the sentence about slices that are too small to be measured, or "".

    Args:
        small: name and number of rows of each.
        few: the fewest rows with which a slice is measured.

    >>> set_apart([("a", 3), ("b", 4)], few=30)
    'Set apart, since fewer than 30 rows say too little: a (3), b (4); 7 rows in all.'
    """
    if not small:
        return ""
    named = ", ".join(f"{name} ({rows})" for name, rows in small[:LISTED])
    more = f" and {len(small) - LISTED:,} more" if len(small) > LISTED else ""
    return (
        f"Set apart, since fewer than {few} rows say too little: {named}{more}; "
        f"{sum(rows for _, rows in small):,} rows in all."
    )


def names_in(by: str, option: str = "--by") -> list[str]:
    """Return the column names in a list separated by commas.

    Raises UsageError, naming `option`, for an empty name and for one that occurs twice.

    >>> names_in("country, age")
    ['country', 'age']
    """
    names = [name.strip() for name in by.split(",")]
    if not all(names):
        raise UsageError(
            f"{option} {by!r}: expected names of columns, such as country or country,age"
        )
    if len(set(names)) < len(names):
        raise UsageError(f"{option} {by!r}: the same column is named twice")
    return names


def columns_of(by: str, known: Collection[str]) -> list[str]:
    """Return the columns that a file has to carry along for `by`.

    These are all but the pseudo-columns. A real column takes precedence over a pseudo-column of
    the same name.

    >>> columns_of("country,confidence", ["country", "p"])
    ['country']
    """
    return [name for name in names_in(by) if name in known or name not in PSEUDO]


def carrying(source: Source, by: Sequence[str]) -> Source:
    """Return the source with the columns that each of `by` needs carried along.

    A column that holds the scores is not a further column: a file whose scores are in "confidence"
    is sliced by the pseudo-column of that name.
    """
    roles = set(source.roles.columns())
    known = [name for name in source.table.columns if name not in roles or name not in PSEUDO]
    return source.also([name for columns in by for name in columns_of(columns, known)])


def load_with(predictions: Readable, by: Sequence[str]) -> Predictions:
    """Return all rows in memory; those of a file with the columns that each of `by` needs.

    Raises InputError for a summary, which holds no rows.
    """
    return (carrying(predictions, by) if isinstance(predictions, Source) else predictions).load()


def partition(predictions: Predictions, by: str, *, most: int = MOST, few: int = FEW) -> Partition:
    """Group the rows by the values of columns.

    Args:
        predictions: rows that carry the columns in `extra`.
        by: a column or a pseudo-column ("predicted", "confidence"), or several, separated by
            commas: a slice then is a combination of values.
        most: number of values of a text column that have a slice each; the rarer ones are joined.
        few: slices of fewer rows are set apart.

    Raises InputError for a column that is not there or holds several values per row.

    >>> p = Predictions.from_confidence([0.9, 0.6, 0.7], [True, False, True])
    >>> parts = partition(with_extra(p, {"place": np.array(["b", "a", "b"])}), "place")
    >>> parts.names, parts.codes.tolist(), parts.large
    (('b', 'a'), [0, 1, 0], [])
    """
    columns = [_coded(predictions, name, most) for name in names_in(by)]
    codes, names, note = columns[0]
    for more_codes, more_names, more_note in columns[1:]:
        codes, names = crossed(codes, names, more_codes, more_names)
        note = " ".join(text for text in (note, more_note) if text)
    counted = codes if predictions.weights is None else codes[predictions.weights > 0]
    rows = np.bincount(counted, minlength=len(names))
    return Partition(by, tuple(names), codes.astype(np.int64, copy=False), rows, note, few)


def panels(predictions: Predictions, by: str, most: int) -> Partition:
    """Group the rows for small diagrams side by side, at most `most` of which are to be drawn.

    Each value of a single column has a group, in the order of the values. A column of more than
    `most` distinct numbers is divided into quarters of the rows: the octiles of `partition` would
    be too many diagrams. Pseudo-columns and combinations of columns are divided as by `partition`.

    Args:
        predictions: rows that carry the columns in `extra`.
        by: a column or a pseudo-column, or several, separated by commas.
        most: number of groups that can be drawn; `Partition.largest` chooses them.

    Raises UsageError for numbers of which some are not finite.

    >>> p = Predictions.from_confidence([0.9, 0.6, 0.7], [True, False, True])
    >>> panels(with_extra(p, {"place": np.array(["b", "a", "b"])}), "place", 12).names
    ('a', 'b')
    """
    if by not in predictions.extra and ("," in by or by in PSEUDO):
        return partition(predictions, by)
    values = predictions.extra[by]
    distinct, codes, rows = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) <= most or values.dtype.kind not in "iuf":
        return Partition(by, tuple(map(str, distinct)), codes, rows)
    if not np.isfinite(values).all():
        raise UsageError(f"{predictions.source}: --by {by}: some values are not finite")
    shares = np.arange(1, QUARTERS) / QUARTERS
    cuts = np.unique(np.quantile(values, shares, method="inverted_cdf"))
    ends = [values.min(), *cuts, values.max()]
    names = tuple(f"{low:.3g} to {high:.3g}" for low, high in itertools.pairwise(ends))
    codes = np.searchsorted(cuts, values)
    return Partition(by, names, codes, np.bincount(codes, minlength=len(names)))


def crossed(
    codes: Array, names: Sequence[str], more_codes: Array, more_names: Sequence[str]
) -> tuple[Array, list[str]]:
    """Return the codes and names of the combinations of two groupings that occur.

    >>> crossed(np.array([0, 1, 1]), ["a", "b"], np.array([0, 1, 1]), ["x", "y"])
    (array([0, 1, 1]), ['a, x', 'b, y'])
    """
    width = len(more_names)
    combined = np.multiply(codes, width, dtype=np.int64)
    combined += more_codes
    if len(names) * width > len(combined):
        occurring, combined = np.unique(combined, return_inverse=True)
    else:  # fewer combinations than rows are counted in less time and memory than rows are sorted
        occurring = np.flatnonzero(np.bincount(combined))
        number = np.zeros(len(names) * width, np.int64)
        number[occurring] = np.arange(len(occurring))
        combined = number[combined]
    return combined, [f"{names[k // width]}, {more_names[k % width]}" for k in occurring]


def join_rare(
    names: Sequence[str], rows: Sequence[int] | Array, most: int
) -> tuple[list[str], Array, str]:
    """Join the rarest groups where there are more than `most`.

    Args:
        names: name of each group.
        rows: number of rows of each group; groups of equal size rank in the order given.
        most: number of groups that keep their name.

    Returns the names after joining; the new number of each group, (len(names),) int64; and a note
    that says how many were joined, or "".

    >>> join_rare(["a", "b", "c"], [1, 5, 2], most=1)
    (['b', '2 other values'], array([1, 0, 1]), 'The 2 rarest of 3 values are joined.')
    """
    if len(names) <= most:
        return list(names), np.arange(len(names)), ""
    order = np.argsort(-np.asarray(rows), kind="stable")
    number = np.empty(len(names), np.int64)
    number[order] = np.minimum(np.arange(len(names)), most)
    joined = len(names) - most
    note = f"The {joined:,} rarest of {len(names):,} values are joined."
    return [*(names[k] for k in order[:most]), f"{joined:,} other values"], number, note


def with_extra(predictions: Predictions, columns: Mapping[str, Array]) -> Predictions:
    """Return the predictions with further columns of N values each.

    Raises InputError for a column of another length.
    """
    for name, column in columns.items():
        if len(column) != predictions.rows:
            raise InputError(
                f"{predictions.source}: {name} has {len(column):,} values for "
                f"{predictions.rows:,} rows"
            )
    return replace(predictions, extra={**predictions.extra, **columns})


def _coded(predictions: Predictions, name: str, most: int) -> tuple[Array, list[str], str]:
    """Return codes, names and note of one column or pseudo-column, as `coded` does."""
    place = f"{predictions.source}: {name}"
    if name in predictions.extra:
        return coded(predictions.extra[name], place, most=most)
    if name == "confidence":
        return _grouped(tenths(values := confidence(predictions)), values)
    if name == "predicted":
        return _classes(predictions, most)
    raise missing(predictions, name)


def missing(predictions: Any, name: str, pseudo: Collection[str] = PSEUDO) -> InputError:
    """Return the error for a column that is not carried along, beside others that are known."""
    known = ", ".join([*getattr(predictions, "extra", ()), *pseudo]) or "none"
    return InputError(
        f"{predictions.source}: there is no further column {name!r}, there are {known}; "
        f"load(path, extra=[{name!r}]) carries it along"
    )


def confidence(predictions: Predictions) -> Array:
    """Return (N,) float64 confidences of the predicted class."""
    return np.asarray(reduce_rows(labelled(predictions), lean=True).confidence, np.float64)


def _classes(predictions: Predictions, most: int) -> tuple[Array, list[str], str]:
    """Return codes, names and note of the predicted classes, as `coded` does of their names.

    Raises InputError for confidences alone.
    """
    if predictions.kind == "confidence":
        raise InputError(
            f"{predictions.source}: holds confidences alone, so the predicted class is not known"
        )
    predicted = reduce_rows(labelled(predictions), want=["predicted"], lean=True).predicted
    assert predicted is not None
    rows = np.bincount(predicted)
    occurring = np.flatnonzero(rows)
    named = np.array(names_of_classes(predictions), dtype=object)[occurring].astype(str)
    values, at = np.unique(named, return_inverse=True)
    counts = np.bincount(at, rows[occurring]).astype(np.int64)
    codes, names, note = _joined(values, counts, np.argsort(-counts, kind="stable"), most)
    number = np.zeros(len(rows), np.int64)
    number[occurring] = codes[at]
    return number[predicted], names, note


def labelled(predictions: Predictions) -> Predictions:
    """Return the predictions with labels of 0 where there are none.

    `reduce_rows` needs labels, but confidence and predicted class do not depend on them.
    """
    if predictions.kind == "confidence" or predictions.labels is not None:
        return predictions
    return replace(predictions, labels=np.zeros(predictions.rows, np.int64))


def coded(column: Array, place: str, *, most: int = MOST) -> tuple[Array, list[str], str]:
    """Return the group of each value of a column.

    Texts are ordered by their number of rows, numbers by value.

    Args:
        column: (N,) values.
        place: file and column, for messages.
        most: number of values that have a group each; the rarer ones are joined.

    Returns (N,) numbers of groups, the names of the groups, and a note about joined or missing
    values, or "". Raises InputError for several values per row, or no finite number.

    >>> coded(np.array(["b", "a", "b"]), "file: column")[:2]
    (array([0, 1, 0]), ['b', 'a'])
    """
    if column.ndim != 1:
        raise InputError(f"{place}: holds several values per row; slices need one value per row")
    if is_cut(column):
        values = column.astype(np.float64)
        return _grouped(octiles(values, place), values)
    values, codes, counts = np.unique(texts(column, place), return_inverse=True, return_counts=True)
    if column.dtype.kind in "iu":
        order = np.argsort(column[np.unique(codes, return_index=True)[1]], kind="stable")
    else:
        order = np.argsort(-counts, kind="stable")
    number, names, note = _joined(values, counts, order, most)
    return number[codes], names, note


def _joined(values: Array, counts: Array, order: Array, most: int) -> tuple[Array, list[str], str]:
    """Return the group of each distinct value, the names of the groups, and a note, as `coded`.

    Args:
        values: (V,) texts.
        counts: (V,) number of rows of each.
        order: (V,) numbers of the values, in the order of the groups.
        most: number of values that have a group each.
    """
    rank = np.empty(len(values), np.int64)
    rank[order] = np.arange(len(values))
    names, number, note = join_rare(
        [str(values[k]) or "(empty)" for k in order], counts[order], most
    )
    return number[rank], names, note


def _grouped(cuts: Cuts, values: Array) -> tuple[Array, list[str], str]:
    """Return codes, names and note of numbers by their cuts, as `coded` does."""
    codes = cuts.codes(values)
    lacking = int(np.count_nonzero(codes == len(cuts.edges)))
    if not lacking:
        return codes, list(cuts.names[:-1]), ""
    return codes, list(cuts.names), no_number(lacking)


def no_number(rows: int) -> str:
    """Return the note about rows whose value is no finite number."""
    return f"{rows:,} rows hold no finite number."
