"""Fit a calibrator by name, and load one from its file.

A calibrator is a module with `fit(predictions, *, options) -> Calibrator`, and a line in
`calibtool.calibrators.registry`; `ct.fit("NAME", ...)` and `calibtool fit-NAME` pick it up. It may
have `advice(calibrator, predictions) -> notes` too: what another calibrator would do better.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibtool.calibrators.registry import EVERY, METHODS, WITH_COLUMNS, module_of
from calibtool.errors import FitError, UsageError
from calibtool.streaming.read import keys_in
from calibtool.streaming.read import read as read_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from calibtool.calibrators.calibrator import Calibrator
    from calibtool.calibrators.fit_rows import FileRows
    from calibtool.data.files.document import Entry
    from calibtool.data.predictions import Predictions
    from calibtool.streaming.summary import Summary
    from calibtool.types import Progress

# Most confidences may be above 1/2 and wrong, and no temperature repairs that.
SIDES = "a temperature keeps a confidence on its side of 1/2; fit-platt and fit-beta also shift it"


def fit(
    method: str,
    predictions: Any,
    *,
    by: str | None = None,
    progress: Progress | None = None,
    advise: bool = True,
    **options: Any,
) -> Calibrator:
    """Fit a calibrator by name.

    Args:
        method: a key of METHODS, such as "temperature", or of WITH_COLUMNS.
        predictions: with labels: all that `ct.read` takes, such as a path, `Predictions`, a pair
            (scores, labels), a data frame, a source (`ct.scan`) or a summary (`ct.cells`).
            Temperature, bias-corrected temperature and vector scaling are fitted to a source in a
            few passes over the file, which is never loaded as a whole, and reach the same optimum;
            for all other fits the source is loaded. Isotonic, histogram, platt, beta, quadratic
            and bbq can be fitted to a summary.
        by: a column of `predictions.extra`, or several with commas between; one calibrator is
            fitted per value, or combination of values. Of "multicalibration", the columns whose
            slices one calibrator patches.
        progress: called repeatedly with the stage and the share of it that is done, while a file
            is read.
        advise: look also whether another calibrator fits these rows better, and note it; False
            leaves that out, which can take as long as the fit.
        options: of the method, such as objective="ece", and keys of `ct.read`: which column has
            which role.

    Returns a calibrator: call it on predictions, save it with `.save(path)`.

    Raises UsageError for an unknown method or option, NotAvailableError for predictions without
    labels or whole rows, and FitError if the fit has no optimum.

    Of confidences and hits, the methods of one score fit a map of P(right).

    >>> import numpy as np
    >>> from calibtool.data.predictions import Predictions
    >>> z = np.log([[0.8, 0.2]] * 5)
    >>> cal = fit("temperature", Predictions.from_logits(2 * z, [0, 0, 0, 0, 1]))
    >>> round(cal.map.temperature, 6)
    2.0
    """
    from calibtool.calibrators.groups import columns_by, fit_groups, require_columns
    from calibtool.data.files.source import Source
    from calibtool.data.predictions import Predictions

    columns = columns_by(by)
    module_of(method)  # an unknown name is reported before a file is read
    if method in WITH_COLUMNS:
        require_columns(method, columns)
    predictions = read_data(predictions, **keys_in(options))
    rows: Predictions | FileRows | Summary
    if isinstance(predictions, Predictions):
        rows = predictions
    elif not isinstance(predictions, Source):
        rows = _require_to_cells(method, predictions, by)
    elif fits_by_passes(method, predictions.classes, by=by, **options):
        from calibtool.calibrators.fit_rows import FileRows

        rows = FileRows(predictions, progress, about=3 if method == "temperature" else 4)
    else:
        from calibtool.calibrators.fit_rows import notes_of_skipped

        more = [options["cluster"]] if options.get("cluster") else []
        loaded = predictions.also([*columns, *more]).load()
        fitted = fit(method, loaded, by=by, advise=advise, **options)
        return _with_notes(fitted, notes_of_skipped(predictions))
    if isinstance(rows, Predictions):
        # rows without weight would still count in `rows`, in folds and in the rule of thumb below
        if rows.weights is not None and rows.weights.any():
            rows = rows.take(rows.weights > 0)
        if method in WITH_COLUMNS:
            return _fit(method, rows, {**options, "columns": columns})
        if columns and options.get("pooled"):
            return _fit_pooled(method, rows, columns, options)
        if columns:
            rest = ",".join(columns[1:]) or None
            return fit_groups(
                method,
                rows,
                columns[0],
                lambda p: fit(method, p, by=rest, advise=advise, **options),
            )
    return _fit(method, rows, options, advise=advise)


def _fit_pooled(
    method: str, rows: Predictions, columns: list[str], options: dict[str, Any]
) -> Calibrator:
    """Fit temperatures of groups that are kept near that of all rows."""
    from calibtool.calibrators.pooled_temperatures import fit as fit_pooled

    if method != "temperature":
        raise UsageError(f"fit {method}: only temperatures can be pooled")
    if options.get("objective", "nll") != "nll":
        raise UsageError("--pooled minimises the NLL; it cannot be combined with --objective ece")
    try:
        return fit_pooled(rows, columns)
    except FitError as error:
        if rows.classes is None:
            raise _of_confidences(error, method) from error
        raise


def _fit(
    method: str,
    rows: Predictions | FileRows | Summary,
    options: dict[str, Any],
    *,
    advise: bool = True,
) -> Calibrator:
    """Fit to all rows; add a note if there are few, and with `advise` those of the method."""
    fitted = (
        _call(method, rows, options) if rows.classes else _to_confidences(method, rows, options)
    )
    advice = getattr(module_of(method), "advice", None)
    if advise and advice is not None:
        fitted = _with_notes(fitted, advice(fitted, rows))
    enough = EVERY[method].enough * (fitted.classes or 2)
    if fitted.fitted.rows < enough:
        of = f"rows of {fitted.classes:,} classes" if fitted.classes else "confidences"
        few = (  # part of calibrator files
            f"{fitted.fitted.rows:,} {of} are few for {method}: as a rule of thumb, it is at its "
            f"best from {enough:,} {'rows' if fitted.classes else of} on"
        )
        return _with_notes(fitted, [few])
    return fitted


def _to_confidences(
    method: str, rows: Predictions | FileRows | Summary, options: dict[str, Any]
) -> Calibrator:
    """Fit to confidences and hits, which are two classes to the method."""
    from calibtool.calibrators.confidences import as_classes, require_one_score
    from calibtool.data.predictions import Predictions

    require_one_score(rows.source, method, options)
    seen = as_classes(rows) if isinstance(rows, Predictions) else rows
    try:
        return _call(method, seen, options).of_confidences()
    except FitError as error:
        raise _of_confidences(error, method) from error


def _of_confidences(error: FitError, method: str) -> FitError:
    """Return the error of a fit to two classes, in terms of confidences."""
    advice = "" if EVERY[method].binary else f"; {SIDES}"
    return FitError(f"{error} (class 1 is right, class 0 is wrong{advice})")


def _call(
    method: str, rows: Predictions | FileRows | Summary, options: dict[str, Any]
) -> Calibrator:
    """Call the method's own `fit`."""
    function: Callable[..., Calibrator] = module_of(method).fit
    try:
        return function(rows, **options)
    except TypeError as error:
        if "keyword argument" in str(error):
            raise UsageError(f"fit {method}: {error}") from error
        raise


def _with_notes(calibrator: Calibrator, notes: list[str]) -> Calibrator:
    """Return the calibrator with further notes in the record of its fit."""
    record = calibrator.fitted
    return replace(calibrator, fitted=replace(record, notes=(*record.notes, *notes)))


def _require_to_cells(method: str, summary: Summary, by: str | None) -> Summary:
    """Return the summary if the method can be fitted to cells; raise UsageError if it cannot."""
    if by is not None:
        raise UsageError(f"{summary.source}: holds cells, no rows; --by needs rows")
    if not EVERY[method].to_cells:
        able = ", ".join(name for name, entry in METHODS.items() if entry.to_cells)
        raise UsageError(
            f"{summary.source}: holds cells, no rows, and fit-{method} needs rows; {able} can be "
            "fitted to cells"
        )
    return summary


def fits_by_passes(
    method: str, classes: int | None, *, by: str | None = None, **options: Any
) -> bool:
    """Return whether a fit reads a file pass by pass, rather than load it."""
    possible = by is None and classes is not None and options.get("objective", "nll") == "nll"
    return possible and (classes or 0) <= EVERY[method].by_passes


def load_calibrator(path: str | Path) -> Calibrator:
    """Read a calibrator file. Loading runs no code from the file.

    Raises InputError for a file that is not a calibrator, is truncated, or has a newer version.
    """
    from calibtool.data.files.document import Document

    return calibrator_in(Document(str(path), "a calibrator file").read_json())


def calibrator_in(content: Entry) -> Calibrator:
    """Return the calibrator of a document, or of an entry of one; raise InputError for no whole
    calibrator of a known version."""
    from calibtool.calibrators import calibrator_file
    from calibtool.calibrators.calibrator import Calibrator

    loaded: Calibrator = calibrator_file.load(content, Calibrator, EVERY)
    return loaded
