"""The table of calibrators. A calibrator is a module and a line here: `calibtool fit-NAME` and
`ct.fit("NAME", ...)` pick it up.

A calibrator's module has `fit(predictions, *, options) -> Calibrator`, whose map is one of
`calibtool.calibrators.maps`. This table imports none of them: `calibtool --help` reads it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibtool.calibrators.registry import METHODS, module_of
from calibtool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from calibtool.calibrators.calibrator import Calibrator
    from calibtool.calibrators.fit_rows import FileRows
    from calibtool.data.files.source import Source
    from calibtool.data.predictions import Predictions
    from calibtool.streaming.summary import Summary
    from calibtool.types import Progress


def fit(
    method: str,
    predictions: Predictions | Source | Summary,
    *,
    by: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Calibrator:
    """Fit a calibrator by name.

    Args:
        method: a key of METHODS, such as "temperature".
        predictions: with labels; in memory, or a `Source` (`ct.scan`). To a source temperature,
            bias-corrected temperature and vector scaling are fitted in a few passes over the file,
            which is never held, to the same optimum; for all other fits it is loaded. Or cells
            (`ct.cells`), for isotonic, histogram, platt, beta and bbq.
        by: a column of `predictions.extra`; each of its values gets a calibrator of its own.
        progress: called now and then with what is being done and the share that is done, where a
            file is gone over.
        options: the method's own, such as objective="ece".

    Returns a calibrator: call it on predictions, save it with `.save(path)`.

    >>> import numpy as np
    >>> from calibtool.data.predictions import Predictions
    >>> z = np.log([[0.8, 0.2]] * 5)
    >>> cal = fit("temperature", Predictions.from_logits(2 * z, [0, 0, 0, 0, 1]))
    >>> round(cal.map.temperature, 6)
    2.0
    """
    from calibtool.data.files.source import Source
    from calibtool.data.predictions import Predictions

    function: Callable[..., Calibrator] = module_of(method).fit
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

        loaded = predictions.also([by] if by else []).load()
        fitted = fit(method, loaded, by=by, **options)
        return _noted(fitted, notes_of_skipped(predictions))
    if isinstance(rows, Predictions):
        if rows.weights is not None and rows.weights.any():
            rows = rows.take(rows.weights > 0)
        if by is not None:
            from calibtool.calibrators.groups import fit_groups

            return fit_groups(method, rows, by, lambda p: fit(method, p, **options))
    try:
        fitted = function(rows, **options)
    except TypeError as error:
        if "keyword argument" in str(error):
            raise UsageError(f"fit {method}: {error}") from error
        raise
    wanted = METHODS[method].enough * fitted.classes
    if fitted.fitted.rows < wanted:
        few = (
            f"{fitted.fitted.rows:,} rows of {fitted.classes} classes are few for {method}: as a "
            f"rule of thumb, it is at its best from {wanted:,} rows on"
        )
        return _noted(fitted, [few])
    return fitted


def _noted(fitted: Calibrator, notes: list[str]) -> Calibrator:
    """The calibrator, with more to tell of its fit."""
    told = (*fitted.fitted.notes, *notes)
    return replace(fitted, fitted=replace(fitted.fitted, notes=told))


def _require_to_cells(method: str, summary: Summary, by: str | None) -> Summary:
    """Whether a fit can do with cells."""
    if by is not None:
        raise UsageError(f"{summary.source}: holds cells, no rows; --by needs rows")
    if not METHODS[method].to_cells:
        able = ", ".join(name for name, line in METHODS.items() if line.to_cells)
        raise UsageError(
            f"{summary.source}: holds cells, no rows, and fit-{method} needs rows; {able} can be "
            "fitted to cells"
        )
    return summary


def fits_by_passes(
    method: str, classes: int | None, *, by: str | None = None, **options: Any
) -> bool:
    """Whether a fit goes over a file pass by pass rather than load it."""
    likely = by is None and options.get("objective", "nll") == "nll"
    return likely and (classes or 0) <= METHODS[method].by_passes


def load_calibrator(path: str | Path) -> Calibrator:
    """Read a calibrator file. Loading runs no code of the file.

    Raises InputError for a file that is no calibrator, truncated, or of a newer version.
    """
    from calibtool.calibrators import calibrator_file
    from calibtool.calibrators.calibrator import Calibrator

    loaded: Calibrator = calibrator_file.load(path, Calibrator, METHODS)
    return loaded
