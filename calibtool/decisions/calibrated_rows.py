"""Rows that decide, after a calibrator which has not seen them."""

from __future__ import annotations

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.confidences import fingerprint_of
from calibtool.calibrators.crossfit import cross_fit as cross_fitted
from calibtool.calibrators.fit import fit
from calibtool.data.predictions import Predictions
from calibtool.errors import FitError, UsageError


def calibrated(
    before: Predictions, calibrator: Calibrator | None, *, cross_fit: bool
) -> tuple[Predictions, list[str]]:
    """Return the predictions after the calibrator, and notes on it.

    With `cross_fit`, each row is calibrated by a fit of the same method that did not see it, so
    that the calibrator may have been fitted on these rows. Raises UsageError where it was without,
    and for rows of a file that hold several predictions each.
    """
    if before.unit is not None:
        raise UsageError(
            f"{before.source}: {before.unit.text}: promises are for independent predictions, and "
            f"those of one {before.unit.column} are not"
        )
    if calibrator is None:
        if cross_fit:
            raise UsageError("--cross-fit is for a calibrator; give --calibrator")
        return before, []
    if not cross_fit:
        require_other_rows(before, calibrator)
        return calibrator(before), list(calibrator.notes_on(before))
    options = dict(calibrator.fitted.options)
    by = options.pop("by", None)
    try:
        numbered, fitted = cross_fitted(
            lambda rows: fit(calibrator.method, rows, by=by, **options),
            before,
            calibrator.describe(),
        )
    except (FitError, UsageError) as error:
        raise UsageError(
            f"--cross-fit: {calibrator.describe()} could not be fitted again: {error}"
        ) from error
    note = (
        "The threshold was chosen on rows that were calibrated by fits to the other four fifths, "
        "and is applied after the calibrator of all rows: the promise holds as far as these agree."
    )
    return fitted(numbered), [note]


def require_other_rows(predictions: Predictions, calibrator: Calibrator) -> None:
    """Raise UsageError if a calibrator was fitted on these rows."""
    known = predictions.correct if predictions.kind == "confidence" else predictions.labels
    if known is None or not calibrator.fitted.fingerprint:
        return
    if fingerprint_of(predictions) == calibrator.fitted.fingerprint:
        raise UsageError(
            f"{predictions.source}: the calibrator was fitted on these rows, on which it looks "
            "better than it is; give others, or --cross-fit"
        )
