"""From binary calibrators to K classes: the same few ways for all of them.

A binary calibrator is a function of cells (score, rows, positives) that answers with a curve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np

from calibtool.calibrators import inputs
from calibtool.calibrators.calibrator import Calibrator, finish, name_of, require_fit
from calibtool.calibrators.curves import Curve
from calibtool.calibrators.fitted import class_shares
from calibtool.calibrators.fitting.fit_cells import fit_to_cells
from calibtool.calibrators.inputs import LOOKS
from calibtool.calibrators.multiclass_curves import Curves, top_scores
from calibtool.data.predictions import Predictions
from calibtool.errors import FitError
from calibtool.metrics.cells import Cells
from calibtool.streaming.summary import Summary
from calibtool.types import Array

Multiclass: TypeAlias = Literal["one-vs-rest", "shared", "top-label", "confidence"]
MOST = 1 << 24  # numbers that a calibrator may hold

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
) -> Calibrator:
    """Fit a binary calibrator to the classes of predictions, or of cells.

    Args:
        method: its name in the table of calibrators.
        predictions: with labels.
        fit: cells to a curve; its FitErrors are told with the class.
        look: what the scores are: "probs" or "log-odds".
        multiclass: see `Curves`.
        options: of the fit, for its record.
        coarse: tells from scores and outcomes below which score all rows may stand as one cell; of
            a class among many, those are most.
    """
    if not isinstance(predictions, Predictions):
        how: dict[str, Any] = {"look": look, "multiclass": multiclass, "options": options}
        return fit_to_cells(method, predictions, fit, **how)
    classes = require_fit(predictions)
    floor = inputs.floor_of(predictions)
    notes: list[str] = []
    if multiclass in ("top-label", "confidence"):
        curves = _of_top(predictions, fit, look, floor, multiclass, notes)
    else:
        curves = _of_classes(predictions, fit, look, floor, multiclass, classes, coarse)
    made = Curves(multiclass, curves, floor, class_shares(predictions))
    if made.count() > MOST:
        raise FitError(
            f"{predictions.source}: the calibrator would hold {made.count():,} numbers; fit on "
            "fewer rows, or with --multiclass confidence"
        )
    if look == "log-odds":
        notes += inputs.note_of_zeros(predictions, floor)
    return finish(
        method,
        predictions,
        made,
        options={**options, "multiclass": multiclass},
        notes=tuple(notes),
    )


def _of_classes(
    predictions: Predictions,
    fit: FitCurve,
    look: str,
    floor: float,
    multiclass: str,
    classes: int,
    coarse: Coarse | None,
) -> tuple[Curve, ...]:
    scores = inputs.by_class(LOOKS[look], predictions, floor)
    labels, weights = predictions.labels, predictions.weights
    assert labels is not None
    if multiclass == "shared" and classes > 2:
        outcome = labels == np.arange(classes)[:, None]
        repeated = None if weights is None else np.tile(weights, classes)
        cells = _cells(scores.ravel(), outcome.ravel(), repeated, coarse)
        return (_named(fit, cells, predictions),)
    own = range(1, 2) if classes == 2 else range(classes)

    def one(k: int) -> Curve:
        which = "" if classes == 2 else f"class {name_of(predictions, k)}"
        return _named(fit, _cells(scores[k], labels == k, weights, coarse), predictions, which)

    return tuple(one(k) for k in own)


def _cells(score: Array, outcome: Array, weights: Array | None, coarse: Coarse | None) -> Cells:
    """A cell a distinct score, but one for all that `coarse` says need not be told apart."""
    if coarse is None or not outcome.any():
        return Cells.from_rows(score, outcome, weights)
    above = score >= coarse(score, outcome)
    low = np.flatnonzero(~above)
    if len(low) < 2 or len(low) == len(score):
        return Cells.from_rows(score, outcome, weights)
    rest = Cells.from_rows(
        score[above], outcome[above], None if weights is None else weights[above]
    )
    below, ones = score[low], outcome[low]
    first: tuple[Any, ...]
    if weights is None:
        first = (below.max(), len(low), below.sum(dtype=np.float64), np.count_nonzero(ones))
    else:
        mass = weights[low]
        first = (below.max(), mass.sum(), mass @ below.astype(np.float64), mass @ ones)
    return Cells(
        *(np.append(x, y).astype(y.dtype) for x, y in zip(first, _fields(rest), strict=True))
    )


def _fields(cells: Cells) -> tuple[Array, Array, Array, Array]:
    return cells.at, cells.n, cells.p, cells.y


def _of_top(
    predictions: Predictions,
    fit: FitCurve,
    look: str,
    floor: float,
    multiclass: str,
    notes: list[str],
) -> tuple[Curve, ...]:
    top, score = top_scores(predictions, look, floor)
    right, weights = top == predictions.labels, predictions.weights

    def cells(at: Array | slice) -> Cells:
        return Cells.from_rows(score[at], right[at], None if weights is None else weights[at])

    if multiclass == "confidence":
        return (_named(fit, cells(slice(None)), predictions),)
    curves: list[Curve] = []
    missing = []
    for k in range(predictions.classes or 0):
        at = np.flatnonzero(top == k)
        if not len(at):
            missing.append(name_of(predictions, k))
            at = np.arange(len(top))
        curves.append(
            _named(fit, cells(at), predictions, f"predicted class {name_of(predictions, k)}")
        )
    if missing:
        notes.append(
            f"{len(missing)} classes are never predicted in the fit data and get the curve of all "
            f"rows: {', '.join(missing[:5])}"
        )
    return tuple(curves)


def _named(fit: FitCurve, cells: Cells, predictions: Predictions, which: str = "") -> Curve:
    try:
        return fit(cells)
    except (FitError, np.linalg.LinAlgError) as error:
        where = f"{predictions.source}: {which}: " if which else f"{predictions.source}: "
        raise FitError(f"{where}{error}") from error
