"""Slices: the rows parted by the values of columns, for report, evaluate, check and the search.

A column of texts or of few numbers has a slice a value, one of many numbers a slice a quantile
group. Besides the columns of a file there are PSEUDO: what the predictions themselves say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.data.rows import reduce_rows
from calibtool.errors import InputError, UsageError
from calibtool.types import Array

FEW = 30  # rows, of weight above 0; slices of fewer are set apart
MOST = 200  # values of a column of texts; the rarer ones are joined
MOST_NUMBERS = 20  # distinct numbers that each have a slice; of more, there are quantile groups
QUANTILES = 8  # groups of a column of numbers
DECILES = 10
PSEUDO = {
    "predicted": "the predicted class",
    "confidence": "tenths of the rows, by the confidence of the predicted class",
}


@dataclass(frozen=True, eq=False)
class Partition:
    """The rows, each in one slice.

    Attributes:
        by: what they are parted by, such as "country" or "country,age".
        names: what each slice is called.
        codes: (N,) int64, the number of each row's slice.
        rows: (len(names),) int64, how many rows of weight above 0 each slice has.
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
        """The numbers of the slices that have rows enough to be measured."""
        return np.flatnonzero(self.rows >= self.few).tolist()

    @property
    def apart(self) -> str:
        """Which slices are set apart, and why; "" if none are."""
        small = [k for k in range(len(self.names)) if 0 < self.rows[k] < self.few]
        if not small:
            return ""
        named = ", ".join(f"{self.names[k]} ({self.rows[k]})" for k in small[:5])
        more = f" and {len(small) - 5:,} more" if len(small) > 5 else ""
        return (
            f"Set apart, since fewer than {self.few} rows say too little: {named}{more}; "
            f"{int(self.rows[small].sum()):,} rows in all."
        )

    def index(self, k: int) -> Array:
        """The places of a slice's rows."""
        return np.flatnonzero(self.codes == k)


def names_in(by: str, option: str = "--by") -> list[str]:
    """The columns that are named.

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
    """The columns that a file has to carry along for `by`: all but the pseudo-columns, which a
    column of the same name comes before.

    >>> columns_of("country,confidence", ["country", "p"])
    ['country']
    """
    return [name for name in names_in(by) if name in known or name not in PSEUDO]


def carrying(source: Source, by: Sequence[str]) -> Source:
    """The file with the columns that `by` needs; what holds its scores is no further column."""
    own = set(source.roles.columns())
    known = [name for name in source.table.columns if name not in own or name not in PSEUDO]
    return source.also([name for one in by for name in columns_of(one, known)])


def partition(predictions: Predictions, by: str, *, most: int = MOST, few: int = FEW) -> Partition:
    """Part the rows by the values of columns.

    Args:
        predictions: rows that carry the columns in `extra`.
        by: a column or a pseudo-column ("predicted", "confidence"), or several, separated by
            commas: a slice then is a combination of values.
        most: values of a column of texts that have a slice each; the rarer ones are joined.
        few: slices of fewer rows are set apart.

    Raises InputError for a column that is not there or holds no single values.

    >>> p = Predictions.from_confidence([0.9, 0.6, 0.7], [True, False, True])
    >>> found = slices(with_extra(p, {"place": np.array(["b", "a", "b"])}), "place")
    >>> found.names, found.codes.tolist(), found.large
    (('b', 'a'), [0, 1, 0], [])
    """
    parts = [_coded(predictions, name, most) for name in names_in(by)]
    codes, names, note = parts[0]
    for other, more, own_note in parts[1:]:
        whole = codes * len(more) + other
        seen, codes = np.unique(whole, return_inverse=True)
        names = [f"{names[k // len(more)]}, {more[k % len(more)]}" for k in seen]
        note = " ".join(text for text in (note, own_note) if text)
    counted = codes if predictions.weights is None else codes[predictions.weights > 0]
    rows = np.bincount(counted, minlength=len(names))
    return Partition(by, tuple(names), codes.astype(np.int64), rows, note, few)


def with_extra(predictions: Predictions, columns: Mapping[str, Array]) -> Predictions:
    """The same predictions with further columns, each of N values."""
    for name, column in columns.items():
        if len(column) != predictions.rows:
            raise InputError(
                f"{predictions.source}: {name} has {len(column):,} values for "
                f"{predictions.rows:,} rows"
            )
    return replace(predictions, extra={**predictions.extra, **columns})


def _coded(predictions: Predictions, name: str, most: int) -> tuple[Array, list[str], str]:
    place = f"{predictions.source}: {name}"
    if name in predictions.extra:
        return coded(predictions.extra[name], place, most=most)
    if name == "confidence":
        return _tenths(_confidence(predictions))
    if name == "predicted":
        return coded(_predicted(predictions), place, most=most)
    raise missing(predictions, name)


def missing(predictions: Predictions, name: str) -> InputError:
    """What to say of a column that is not carried along."""
    known = ", ".join([*predictions.extra, *PSEUDO])
    return InputError(
        f"{predictions.source}: there is no further column {name!r}, there are {known}; "
        f"load(path, extra=[{name!r}]) carries it along"
    )


def _tenths(confidence: Array) -> tuple[Array, list[str], str]:
    """Tenths of the rows, numbered from the least confident; equal values stay together."""
    at = np.quantile(confidence, np.arange(1, DECILES + 1) / DECILES, method="higher")
    edges = np.unique(at)
    lows = [confidence.min(), *edges[:-1]]
    names = [
        f"{k}: {a:.4f} to {b:.4f}" for k, (a, b) in enumerate(zip(lows, edges, strict=True), 1)
    ]
    return np.searchsorted(edges, confidence), names, ""


def _confidence(predictions: Predictions) -> Array:
    return np.asarray(reduce_rows(labelled(predictions)).confidence, np.float64)


def _predicted(predictions: Predictions) -> Array:
    """The name of each row's predicted class."""
    if predictions.kind == "confidence":
        raise InputError(
            f"{predictions.source}: holds confidences alone, so the predicted class is not known"
        )
    found = reduce_rows(labelled(predictions), want=["predicted"]).predicted
    names = predictions.class_names or tuple(map(str, range(predictions.classes or 0)))
    return np.array(names, dtype=object)[found].astype(str)


def labelled(predictions: Predictions) -> Predictions:
    """With labels of 0 where there are none."""
    if predictions.kind == "confidence" or predictions.labels is not None:
        return predictions
    return replace(predictions, labels=np.zeros(predictions.rows, np.int64))


def coded(column: Array, place: str, *, most: int = MOST) -> tuple[Array, list[str], str]:
    """A column's values as the number of a group, the names of the groups, and what to know.

    >>> coded(np.array(["b", "a", "b"]), "file: column")[:2]
    (array([0, 1, 0]), ['b', 'a'])
    """
    if column.ndim != 1:
        raise InputError(f"{place}: holds several values a row; rows go by one value each")
    whole = column.dtype.kind in "iu"
    if column.dtype.kind == "f" or (whole and len(np.unique(column)) > MOST_NUMBERS):
        return _by_quantiles(column.astype(np.float64), place, QUANTILES)
    values, codes, counts = np.unique(column.astype(str), return_inverse=True, return_counts=True)
    if whole:
        order = np.argsort(column[np.unique(codes, return_index=True)[1]], kind="stable")
    else:
        order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(values), np.int64)
    rank[order] = np.arange(len(values))
    names = [str(values[k]) or "(empty)" for k in order]
    if len(names) <= most:
        return rank[codes], names, ""
    rest = len(names) - most
    note = f"The {rest:,} rarest of {len(names):,} values are joined."
    return np.minimum(rank[codes], most), [*names[:most], f"{rest:,} other values"], note


def _by_quantiles(column: Array, place: str, groups: int) -> tuple[Array, list[str], str]:
    """Groups of about as many rows each; equal values stay together."""
    known = np.isfinite(column)
    values = np.unique(column[known])
    if not len(values):
        raise InputError(f"{place}: no value is a finite number")
    if len(values) <= MOST_NUMBERS:
        edges = values
        names = [f"{value:g}" for value in values]
    else:
        at = np.quantile(column[known], np.arange(1, groups + 1) / groups, method="higher")
        edges = np.unique(at)
        lows = [values[0], *edges[:-1]]
        names = [f"{a:.4g} to {b:.4g}" for a, b in zip(lows, edges, strict=True)]
        names = names if len(set(names)) == len(names) else [f"up to {b:.17g}" for b in edges]
    codes = np.full(len(column), len(edges), np.int64)
    codes[known] = np.searchsorted(edges, column[known])
    missing = int(np.count_nonzero(~known))
    if not missing:
        return codes, names, ""
    return codes, [*names, "(not a number)"], f"{missing:,} rows hold no finite number."
