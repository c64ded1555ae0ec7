"""A calibrator a group of rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calibtool.calibrators.calibrator import Calibrator, finish, require_fit
from calibtool.calibrators.nested_maps import ByGroup, group_names
from calibtool.data.predictions import Predictions
from calibtool.errors import FitError, UsageError

MOST = 1000


def fit_groups(
    method: str, predictions: Predictions, column: str, fit: Callable[[Predictions], Calibrator]
) -> Calibrator:
    """Fit each value of a column by itself.

    Raises FitError, with the group, where one of them cannot be fitted.
    """
    require_fit(predictions)
    groups = group_names(predictions, column)
    names = np.unique(groups).tolist()
    if len(names) > MOST:
        raise UsageError(
            f"--by {column}: {len(names):,} groups; {MOST:,} are the most. Does it hold numbers?"
        )
    maps, notes, options = {}, [], {}
    for name in names:
        own = predictions.take(np.flatnonzero(groups == name))
        try:
            fitted = fit(own)
        except FitError as error:
            raise FitError(f"{column} = {name!r}, {own.rows:,} rows: {error}") from error
        maps[name], options = fitted.map, fitted.fitted.options
        notes += [f"{column} = {name!r}: {note}" for note in fitted.fitted.notes]
    return finish(
        method,
        predictions,
        ByGroup(column, maps),
        options={**options, "by": column},
        notes=tuple(notes),
    )
