"""Rows that decide, after a calibrator that other rows have fitted."""

from __future__ import annotations

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.fitted import digest_of
from calibtool.data.predictions import Predictions
from calibtool.errors import UsageError


def calibrated(rows: Predictions, calibrator: Calibrator | None) -> Predictions:
    """Return the rows after a calibrator, or as they are without one.

    Raises UsageError where the calibrator was fitted on the same rows: a promise holds only if the
    scores were fixed before the rows that set it were seen.
    """
    if calibrator is None:
        return rows
    if (
        calibrator.fitted.fingerprint
        and calibrator.fitted.fingerprint == digest_of(rows).fingerprint
    ):
        raise UsageError(
            f"{rows.source}: the calibrator was fitted on the same rows, so that nothing could be "
            "promised; fit it on other rows, such as one half of the file"
        )
    return calibrator(rows)
