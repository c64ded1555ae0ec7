"""Slices of the rows that are monitored: which slice a row or a whole file belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized

import numpy as np

from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable
from calibtool.data.slicing import crossed, missing
from calibtool.data.validation import texts
from calibtool.errors import InputError, UsageError
from calibtool.streaming.summary import Summary
from calibtool.types import Array

# Most slices: the evidence in each has to be so many times as strong for an alarm.
MOST = 200


def require_few(slices: Sized, source: str, by: Sequence[str]) -> None:
    """Check that there are not too many slices. Raises UsageError."""
    if len(slices) > MOST:
        raise UsageError(
            f"{source}: --by {','.join(by)} has more than {MOST} values; at most {MOST} slices can "
            "be monitored"
        )


def with_columns(rows: Readable, by: Sequence[str]) -> Readable:
    """Return rows whose blocks carry the columns of `by`. Raises InputError where one is not
    there, and for a summary, which holds no rows."""
    if isinstance(rows, Source):
        return rows.also([column for column in by if column not in rows.extra])
    if by and isinstance(rows, Summary):
        raise InputError(f"{rows.source}: holds cells, no rows; slices need rows")
    for column in by:
        if column not in getattr(rows, "extra", ()):
            raise missing(rows, column, ())
    return rows


def of_rows(
    block: Predictions, by: Sequence[str], folders: Mapping[str, str]
) -> tuple[list[str], Array]:
    """Return names of slices, and (N,) numbers of each row's slice among them.

    Args:
        block: rows that carry the columns in `extra`.
        by: columns, or keys of folders, whose values together name a slice; without any, there is
            one slice "".
        folders: values of the folders key=value of the file.

    Raises UsageError for numbers with fractions, and for several values per row.
    """
    names, codes = [""], np.zeros(block.rows, np.intp)
    for k, column in enumerate(by):
        values, more = (
            ([folders[column]], codes * 0)
            if column in folders
            else np.unique(_column(block, column), return_inverse=True)
        )
        shown = [str(value) or "(empty)" for value in values]
        codes, names = crossed(codes, names, more, shown) if k else (more, shown)
    return names, codes


def of_file(by: Sequence[str], folders: Mapping[str, str]) -> str | None:
    """Return the slice of a whole file, by its folders key=value; None if these do not tell.

    >>> of_file(["country"], {"country": "fr", "day": "2026-11-01"})
    'fr'
    """
    if not set(by) <= set(folders):
        return None
    return ", ".join(folders[name] or "(empty)" for name in by)


def _column(block: Predictions, name: str) -> Array:
    """Return the values of a column as texts, (N,)."""
    column, place = block.extra[name], f"{block.source}: {name}"
    if column.ndim != 1:
        raise UsageError(f"{place}: holds several values per row; slices need one value per row")
    missing = np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), bool)
    if column.dtype.kind == "f" and (column[~missing] % 1 != 0).any():
        raise UsageError(
            f"{place}: holds numbers with fractions; slices need a column of texts or whole numbers"
        )
    whole = np.where(missing, 0, column).astype(np.int64) if column.dtype.kind == "f" else column
    return np.where(missing, "", texts(whole, place))
