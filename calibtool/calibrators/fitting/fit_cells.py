"""Fit curves to the cells of a summary, when the rows themselves are not available.

Each cell counts as that many rows at the cell's mean score. Cells of a summary are at most 1/4,096
wide and at most 1/128 of the distance to the nearer end of [0, 1], but no narrower than 1/65,536;
this bounds how much a fit to cells can differ from a fit to rows. Bins whose edges coincide with
ends of cells are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Curve
from calibtool.calibrators.fitted import FitRecord
from calibtool.calibrators.multiclass_curves import Curves
from calibtool.data.predictions import names_of_classes
from calibtool.errors import FitError, NotAvailableError
from calibtool.metrics.cells import Cells
from calibtool.streaming.summary import FEW_CLASSES, Summary, in_bins
from calibtool.types import Array

# Mean scores of exactly 0 and 1 have no log-odds: they count as FLOOR and 1 - FLOOR. It is the
# distance from 1 to the float64 below it, the smallest 1 - p that a stored score can have.
FLOOR = 2.0**-53
NOTE = "fitted on cells: a row counts as its cell's mean score"  # part of calibrator files


def fit_to_cells(
    method: str,
    summary: Summary,
    fit: Callable[[Cells], Curve],
    *,
    look: str,
    multiclass: str,
    options: dict[str, Any],
) -> Calibrator:
    """Fit a binary calibrator to the cells of a summary, as `fit_curves` does to rows.

    Args:
        method: the calibrator's name in the registry.
        summary: with cells of the views that `multiclass` needs.
        fit: maps cells to a curve.
        look: what the curve's scores are: "probs" or "log-odds".
        multiclass: how K classes are put together, see `Curves`.
        options: of the fit, for its record.

    Raises NotAvailableError if the summary has no cells of a view that is needed, and FitError if
    a curve cannot be fitted.
    """
    cells_of_curves = _cells_of_curves(summary, multiclass)
    names = names_of_classes(summary)
    curves = []
    for k, cells in enumerate(cells_of_curves):
        which = f"class {names[k]}: " if len(cells_of_curves) > 1 else ""
        try:
            curves.append(fit(as_scores(cells, look)))
        except (FitError, np.linalg.LinAlgError) as error:
            raise FitError(f"{summary.source}: {which}{error}") from error
    shares = _class_shares(summary)
    record = FitRecord(
        rows=summary.rows,
        kind=summary.kind,
        prior=tuple(shares.tolist()),
        options={**options, "multiclass": multiclass},
        notes=(NOTE,),
    )
    fitted_map = Curves(multiclass, tuple(curves), FLOOR, shares)
    return Calibrator(method, fitted_map, summary.classes or 2, names, record)


def as_scores(cells: Cells, look: str) -> Cells:
    """Return the cells that have rows, each at its mean score or at the log-odds of it.

    >>> cells = Cells(np.array([0.5, 1.0]), np.array([4.0, 0]), np.array([1.0, 0]), np.zeros(2))
    >>> as_scores(cells, "probs").at
    array([0.25])
    """
    filled = np.flatnonzero(cells.n > 0)
    n, p, y, end = cells.n[filled], cells.p[filled], cells.y[filled], cells.at[filled]
    # A score of float32(0.3) is above 0.3, yet lies in the cell that ends at 0.3: scores are
    # located in their own precision. The mean must not leave its cell, or cells would overlap.
    at = np.minimum(p / n, end)
    if look == "log-odds":
        # log(n - p) rather than log1p(-p / n): n - p keeps its digits where p / n rounds to 1
        at, rest = np.maximum(at, FLOOR), np.maximum((n - p) / n, FLOOR)
        at = np.log(at) - np.log(rest)
    # Rounding can give neighbouring cells one mean; curves need increasing scores, so join them.
    first = np.flatnonzero(np.append(True, at[1:] > at[:-1]))
    n, y = (np.add.reduceat(x, first) for x in (n, y))
    at = at[first]
    return Cells(at, n, n * at, y)


def _cells_of_curves(summary: Summary, multiclass: str) -> list[Cells]:
    """Return the cells that each curve is fitted to."""
    if multiclass == "confidence":
        return [_cells_of(summary, "top")]
    if multiclass == "top-label":
        raise NotAvailableError(
            f"{summary.source}: cells do not hold the predicted class; --multiclass top-label "
            "needs the predictions themselves"
        )
    if summary.classes in (2, None):
        return [_cells_of(summary, _one_score(summary))]
    view = _class_view(summary)
    cells = _cells_of(summary, view)
    if view == "class" and in_bins(summary.shape):
        raise NotAvailableError(
            f"{summary.source}: has {summary.classes:,} classes; with more than {FEW_CLASSES}, "
            "cells of single classes are wide bins, to which no curve can be fitted. Use "
            "--multiclass confidence, or fit on the predictions themselves"
        )
    if multiclass == "shared":
        return [Cells(cells.at, cells.n.sum(axis=0), cells.p.sum(axis=0), cells.y.sum(axis=0))]
    rows_of_classes = zip(cells.n, cells.p, cells.y, strict=True)
    return [Cells(cells.at, n, p, y) for n, p, y in rows_of_classes]


def _class_view(summary: Summary) -> str:
    """Return the view with cells per class: on the fine grid, if the summary has that."""
    return "class-grid" if summary.has("class-grid") else "class"


def _cells_of(summary: Summary, view: str) -> Cells:
    """Return the cells of a view; raise NotAvailableError if the summary has none."""
    if not summary.has(view):
        raise NotAvailableError(
            f"{summary.source}: has no cells of the {view} view; make cells again from the "
            "predictions, with `calibtool cells`"
        )
    return summary.cells(view)


def _one_score(summary: Summary) -> str:
    """Return the view whose score is fitted, of two classes or of confidences."""
    return "top" if summary.classes is None else "positive"


def _class_shares(summary: Summary) -> Array:
    """Return the (K,) share of each class in the weight of all rows."""
    if summary.classes in (2, None):
        cells = _cells_of(summary, _one_score(summary))
        ones = float(cells.y.sum() / cells.n.sum())
        return np.array([1 - ones, ones])
    counts = _cells_of(summary, _class_view(summary)).y.sum(axis=1)
    return np.asarray(counts / counts.sum())
