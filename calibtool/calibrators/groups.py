"""One calibrator per group of rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calibtool.calibrators.calibrator import Calibrator, finish, require_fit
from calibtool.calibrators.confidences import as_classes
from calibtool.calibrators.fitted import FitRecord
from calibtool.calibrators.nested_maps import ByGroup, group_names
from calibtool.data.predictions import Predictions
from calibtool.data.slicing import names_in
from calibtool.errors import FitError, UsageError

# Groups at most. More are nearly always a mistake: a column of numbers or of identifiers.
MAX_GROUPS = 1000


def columns_by(by: str | None) -> list[str]:
    """Return the columns that `by` names.

    >>> columns_by("type, options"), columns_by(None)
    (['type', 'options'], [])
    """
    return [] if by is None else [name.strip() for name in by.split(",")]


def require_columns(method: str, columns: list[str]) -> None:
    """Raise UsageError if no columns are named, an empty name, or the same one twice."""
    if not columns:
        raise UsageError(
            f"fit-{method} patches the slices of columns; name them, such as with --by "
            "country,device (calibtool slices FILE shows which are off)"
        )
    names_in(",".join(columns))


def require_few(groups: int, column: str) -> None:
    """Raise UsageError if there are too many groups."""
    if groups > MAX_GROUPS:
        raise UsageError(
            f"--by {column}: {groups:,} groups; at most {MAX_GROUPS:,} are possible. Does the "
            "column hold numbers?"
        )


def fit_groups(
    method: str, predictions: Predictions, column: str, fit: Callable[[Predictions], Calibrator]
) -> Calibrator:
    """Fit one calibrator per value of a column; `fit` may itself fit groups of another column.

    Args:
        method: the calibrator's name in the registry.
        predictions: with labels and the column in `extra`.
        column: the name of the column.
        fit: fits the rows of one group.

    Raises UsageError for too many groups, and FitError, with the group named, if one of them cannot
    be fitted.
    """
    require_fit(as_classes(predictions))
    groups = group_names(predictions, column)
    names = np.unique(groups).tolist()
    require_few(len(names), column)
    maps, notes, options = {}, [], {}
    for name in names:
        group = predictions.take(np.flatnonzero(groups == name))
        try:
            fitted = fit(group)
        except FitError as error:
            raise FitError(f"{column} = {name!r}, {group.rows:,} rows: {error}") from error
        maps[name], options = fitted.map, fitted.fitted.options
        notes += [f"{column} = {name!r}: {note}" for note in fitted.fitted.notes]
    columns = [column, *columns_by(options.get("by"))]
    return finish(
        method,
        predictions,
        ByGroup(column, maps),
        FitRecord(options={**options, "by": ",".join(columns)}, notes=tuple(notes)),
    )
