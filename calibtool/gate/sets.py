"""Requirements on prediction sets: "set-coverage >= 0.88", "set-size <= 1.5"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibtool.data.predictions import Predictions, names_of_classes
from calibtool.data.readable import Readable
from calibtool.data.slicing import with_extra
from calibtool.decisions.prediction_sets import PredictionSets
from calibtool.decisions.set_report import COVERAGE, SIZE, SetRows, require_other_rows
from calibtool.errors import UsageError
from calibtool.evaluation.resampling import Resampling
from calibtool.gate.requirement import Requirement
from calibtool.intervals.estimate import Estimate

CLASS = "class"  # in `by`: that of the label, of which sets promise something


def require_sets(
    requirements: Sequence[Requirement],
    sets: PredictionSets | None,
    *,
    calibrated: bool,
    cluster: str | None,
) -> None:
    """Check that prediction sets are given where they are required, and only there.

    Args:
        requirements: all of them.
        sets: what was given.
        calibrated: whether a calibrator was given.
        cluster: a column of rows that are not independent, or None.

    Raises UsageError.
    """
    of_sets = [requirement for requirement in requirements if requirement.sets]
    if sets is None and of_sets:
        raise UsageError(
            f"{of_sets[0].text}: there are no prediction sets to check; give --sets JSON, which "
            "`calibtool sets` writes"
        )
    if sets is None:
        return
    if not of_sets:
        raise UsageError(
            "--sets is given, but no requirement is about prediction sets; add --require "
            f"'{COVERAGE} >= 0.88' or '{SIZE} <= 2', or leave it out"
        )
    if calibrated:
        raise UsageError(
            "--sets cannot be combined with --calibrator: sets hold the calibrator that they were "
            "made with"
        )
    if cluster:
        raise UsageError(
            f"{of_sets[0].text}: its interval assumes independent rows and cannot be combined with "
            "--cluster"
        )


def set_rows(sets: PredictionSets, rows: Readable) -> SetRows:
    """Return the sets of the rows that are checked, which did not set their threshold."""
    loaded = rows.load()
    require_other_rows(sets, loaded)
    return SetRows.of(sets, loaded)


def by_label(rows: Predictions, by: str) -> Predictions:
    """Return the rows with the name of each label as column "class", if `by` names that and there
    is no column of this name."""
    if CLASS not in (name.strip() for name in by.split(",")) or CLASS in rows.extra:
        return rows
    names = names_of_classes(rows)
    return with_extra(rows, {CLASS: np.array(names, dtype=object)[rows.labels].astype(str)})


def set_estimates(made: SetRows, resampling: Resampling) -> dict[str, Estimate]:
    """Return coverage and mean size by their subjects."""
    level = None if resampling.ci == "none" else resampling.level
    return {COVERAGE: made.coverage(level), SIZE: made.mean_size(resampling)}
