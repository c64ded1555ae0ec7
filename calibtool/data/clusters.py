"""Clusters: rows that hang together, such as those of one user, which resampling keeps together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibtool.data.files.source import Source
from calibtool.errors import InputError
from calibtool.types import Array

if TYPE_CHECKING:
    from collections.abc import Mapping

FEWEST = 30  # clusters that are resampled; of fewer, intervals do not cover


def clusters(predictions: Any, column: str) -> Array:
    """The number of each row's cluster, (N,) int64, from a column of a file or of `extra`.

    Raises InputError where there is no such column, or fewer than FEWEST clusters.
    """
    values = _values(predictions, column)
    place = f"{predictions.source}: {column}"
    if values.ndim != 1:
        raise InputError(f"{place}: holds several values a row; a cluster is named by one")
    if len(values) != predictions.rows:
        raise InputError(f"{place}: has {len(values):,} values for {predictions.rows:,} rows")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise InputError(f"{place}: row {row} (counting from 0) names no cluster")
    _, found = np.unique(values, return_inverse=True)
    count = int(found.max(initial=-1)) + 1
    if count < FEWEST:
        raise InputError(
            f"{place}: {count} clusters are too few to be resampled: intervals would not cover; "
            f"{FEWEST} are the least, or --ci none"
        )
    return found.astype(np.int64)


def _values(predictions: Any, column: str) -> Array:
    if isinstance(predictions, Source):
        predictions.also([column])  # that it is there
        parts = [block[column] for block in predictions.table.blocks([column], predictions.rows)]
        return np.concatenate(parts)
    extra: Mapping[str, Array] = getattr(predictions, "extra", {})
    if column not in extra:
        known = ", ".join(extra) or "none"
        raise InputError(
            f"{predictions.source}: there is no further column {column!r} of clusters, there are "
            f"{known}; load(path, extra=[{column!r}]) carries it along"
        )
    return np.asarray(extra[column])
