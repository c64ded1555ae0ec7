"""Clusters: correlated rows (same patient, same user) that are resampled together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibtool.data.files.source import Source
from calibtool.data.slicing import missing
from calibtool.data.unit import Unit
from calibtool.errors import InputError, row_name
from calibtool.formatting import counted
from calibtool.types import Array

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibtool.data.predictions import Predictions

# Fewest clusters that can be resampled. With fewer, intervals do not have their coverage
# (measured in benchmarks/clusters.py).
FEWEST = 30

# What a reader says of correlated rows, at the end of a note: {} is the column
ADVICE = ": pass --cluster {}"


def clusters(predictions: Any, column: str, fewest: int = FEWEST) -> Array:
    """Return the number of each row's cluster, (N,) int64, from a column of a file or of `extra`.

    Raises InputError if there is no such column, if it holds several values per row or numbers that
    are not finite, and for fewer than `fewest` clusters.
    """
    values = _values(predictions, column)
    place = f"{predictions.source}: {column}"
    if values.ndim != 1:
        raise InputError(f"{place}: holds several values per row; clusters need one value per row")
    if len(values) != predictions.rows:
        raise InputError(f"{place}: has {len(values):,} values for {predictions.rows:,} rows")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise InputError(f"{place}: {row_name(row)} is not a finite number")
    _, numbers = np.unique(values, return_inverse=True)
    count = int(numbers.max(initial=-1)) + 1
    if count < fewest:
        raise InputError(
            f"{place}: {count} clusters are too few for intervals with their stated coverage; "
            f"at least {fewest} are needed, or use --ci none"
        )
    return numbers.astype(np.int64)


def cluster_of(predictions: Predictions, column: str | None = None) -> Array | None:
    """Return the number of each row's cluster, (N,) int64: by a column of `extra`, or else the row
    of the file where it holds several predictions; None where rows are independent."""
    if column is not None:
        return clusters(predictions, column, fewest=0)
    if predictions.unit is None:
        return None
    return np.unique(predictions.extra[predictions.unit.column], return_inverse=True)[1]


def in_clusters(predictions: Predictions, column: str) -> Predictions:
    """Return rows that stay together by a column of `extra` wherever those of one unit do: in
    intervals, in folds and in diagrams.

    Raises InputError as `clusters` does; any number of clusters will do.
    """
    count = len(np.unique(clusters(predictions, column, fewest=0)))
    unit = predictions.unit or Unit(column, "", "", "rows without a label", 1)
    text = f"{unit.text}{', ' * bool(unit.text)}{column}: {counted(count, 'cluster')}"
    return replace(predictions, unit=replace(unit, column=column, text=text))


def _values(predictions: Any, column: str) -> Array:
    """Return the values of the column, one per row. Raises InputError if it is not there, and if
    there are no rows."""
    if isinstance(predictions, Source):
        source = predictions.also([column])  # raises InputError if the file has no such column
        if not predictions.rows:  # which it knows; another source would count them again
            raise InputError(f"{source.source}: there are no rows; nothing can be measured")
        return source.column(column)
    extra: Mapping[str, Array] = getattr(predictions, "extra", {})
    if column not in extra:
        raise missing(predictions, column, ())
    return np.asarray(extra[column])
