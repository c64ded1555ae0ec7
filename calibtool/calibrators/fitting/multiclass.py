"""From binary calibrators to K classes, in the same four ways for all of them.

A binary calibrator is a function that maps cells (score, rows, positives) to a curve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np

from calibtool.calibrators import inputs
from calibtool.calibrators.calibrator import Calibrator, finish, name_of, require_fit
from calibtool.calibrators.class_bins import cells_of_classes
from calibtool.calibrators.curves import Curve
from calibtool.calibrators.fitted import FitRecord, class_shares
from calibtool.calibrators.fitting.fit_cells import fit_to_cells
from calibtool.calibrators.inputs import LOOKS
from calibtool.calibrators.multiclass_curves import Curves, top_scores
from calibtool.data.predictions import Predictions
from calibtool.errors import FitError
from calibtool.metrics.cells import Cells
from calibtool.parallel import cores, ordered
from calibtool.streaming.summary import Summary
from calibtool.types import Array

Multiclass: TypeAlias = Literal["one-vs-rest", "shared", "top-label", "confidence"]
# Numbers that a calibrator may hold: some 300 MB of JSON, and as long to write and to read.
MAX_NUMBERS = 1 << 24

FitCurve: TypeAlias = Callable[[Cells], Curve]
Coarse: TypeAlias = Callable[[Array, Array], float]


def fit_curves(
    method: str,
    predictions: Predictions | Summary,
    fit: FitCurve,
    *,
    look: str,
    multiclass: Multiclass,
    options: dict[str, Any],
    coarse: Coarse | None = None,
    edges: Array | None = None,
) -> Calibrator:
    """Fit a binary calibrator to the classes of predictions, or of a summary.

    Args:
        method: the calibrator's name in the registry.
        predictions: with labels; or a summary with cells.
        fit: maps cells to a curve; its errors are raised again with the class named.
        look: what the scores are: "probs" or "log-odds".
        multiclass: how K classes are put together, see `Curves`.
        options: of the fit, for its record.
        coarse: maps scores and outcomes to the score below which all rows may be one cell without
            changing the curve. With many classes, these are most rows of each class.
        edges: upper edges of bins of probabilities, two or more, where the curve depends on nothing
            but how many rows and positives each bin holds.

    Raises FitError if a curve cannot be fitted, or if the calibrator would be too large.
    """
    if not isinstance(predictions, Predictions):
        return fit_to_cells(
            method, predictions, fit, look=look, multiclass=multiclass, options=options
        )
    classes = require_fit(predictions)
    floor = inputs.floor_of(predictions)
    notes: list[str] = []
    if multiclass in ("top-label", "confidence"):
        curves = _of_top(predictions, fit, look, floor, multiclass, notes)
    else:
        curves = _of_classes(predictions, fit, look, floor, multiclass, classes, coarse, edges)
    fitted_map = Curves(multiclass, curves, floor, class_shares(predictions))
    if fitted_map.count() > MAX_NUMBERS:
        raise FitError(
            f"{predictions.source}: the calibrator would hold {fitted_map.count():,} numbers, at "
            f"most {MAX_NUMBERS:,} are possible; fit on fewer rows, or with --multiclass confidence"
        )
    if look == "log-odds":  # probabilities of 0 need no floor
        notes += inputs.notes_of_zeros(inputs.floored(predictions), floor)
    return finish(
        method,
        predictions,
        fitted_map,
        FitRecord(options={**options, "multiclass": multiclass}, notes=tuple(notes)),
    )


def _of_classes(
    predictions: Predictions,
    fit: FitCurve,
    look: str,
    floor: float,
    multiclass: str,
    classes: int,
    coarse: Coarse | None,
    edges: Array | None,
) -> tuple[Curve, ...]:
    """Return the curves of one-vs-rest, K or 1 for two classes, or the one that all share."""
    if edges is not None and multiclass != "shared" and classes > 2 and predictions.weights is None:
        every = cells_of_classes(predictions, edges)
        return tuple(_fit_named(fit, cells, predictions, k) for k, cells in enumerate(every))
    scores = inputs.by_class(LOOKS[look], predictions, floor)
    labels, weights = predictions.labels, predictions.weights
    assert labels is not None
    if multiclass == "shared" and classes > 2:
        outcome = labels == np.arange(classes)[:, None]
        repeated = None if weights is None else np.tile(weights, classes)
        cells = _cells(scores.ravel(), outcome.ravel(), repeated, coarse)
        return (_fit_named(fit, cells, predictions),)

    def fit_class(k: int) -> Curve:
        cells = _cells(scores[k], labels == k, weights, coarse)
        return _fit_named(fit, cells, predictions, None if classes == 2 else k)

    if classes == 2:
        return (fit_class(1),)
    shares = inputs.shares(classes, len(labels))
    fits = ordered(lambda share: [fit_class(k) for k in share], shares, cores())
    return tuple(curve for some in fits for curve in some)


def _cells(score: Array, outcome: Array, weights: Array | None, coarse: Coarse | None) -> Cells:
    """Return one cell per distinct score, but a single one for all rows below that of `coarse`.

    Sorting scores is most of the time of a fit, and with many classes most lie below.
    """
    if coarse is None or not outcome.any():
        return Cells.from_rows(score, outcome, weights)
    is_above = score >= coarse(score, outcome)
    # positions, since a mask that changes often is slow to follow
    above, low = np.flatnonzero(is_above), np.flatnonzero(~is_above)
    if len(low) < 2 or not len(above):
        return Cells.from_rows(score, outcome, weights)
    above_outcome = outcome[above]
    rest = Cells.from_rows(score[above], above_outcome, None if weights is None else weights[above])
    below = score[low]
    lowest: tuple[Any, ...]  # the single cell: its end, weight, score mass and outcome mass
    if weights is None:
        hits = np.count_nonzero(outcome) - np.count_nonzero(above_outcome)
        lowest = (below.max(), len(low), below.sum(dtype=np.float64), hits)
    else:
        mass = weights[low]
        lowest = (below.max(), mass.sum(), mass @ below.astype(np.float64), mass @ outcome[low])
    fields = (rest.at, rest.n, rest.p, rest.y)
    return Cells(*(np.append(x, y).astype(y.dtype) for x, y in zip(lowest, fields, strict=True)))


def _of_top(
    predictions: Predictions,
    fit: FitCurve,
    look: str,
    floor: float,
    multiclass: str,
    notes: list[str],
) -> tuple[Curve, ...]:
    """Return the curves of top-label, K, or of confidence, 1; add to the notes."""
    top, score = top_scores(predictions, look, floor)
    right, weights = top == predictions.labels, predictions.weights

    def cells(at: Array | slice) -> Cells:
        return Cells.from_rows(score[at], right[at], None if weights is None else weights[at])

    if multiclass == "confidence":
        return (_fit_named(fit, cells(slice(None)), predictions),)
    curves: list[Curve] = []
    missing = []
    for k in range(predictions.classes or 0):
        at = np.flatnonzero(top == k)
        if not len(at):
            missing.append(name_of(predictions, k))
            at = np.arange(len(top))
        curves.append(_fit_named(fit, cells(at), predictions, k, "predicted "))
    if missing:
        notes.append(
            f"{len(missing)} classes are never predicted in the fit data and get the curve of all "
            f"rows: {', '.join(missing[:5])}"
        )
    return tuple(curves)


def _fit_named(
    fit: FitCurve,
    cells: Cells,
    predictions: Predictions,
    k: int | None = None,
    which: str = "",
) -> Curve:
    """Return the curve of cells; raise FitError with the file, and class k if given, named."""
    try:
        return fit(cells)
    except (FitError, np.linalg.LinAlgError) as error:
        of = "" if k is None else f"{which}class {name_of(predictions, k)}: "
        raise FitError(f"{predictions.source}: {of}{error}") from error
