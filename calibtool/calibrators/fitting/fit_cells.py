"""Curves fitted to cells: what is kept of rows that are not, in place of the rows.

A cell's rows count as so many of its mean score. The state's cells are no wider than 1/4,096, nor
than 1/128 of the distance to the nearer end of [0, 1], down to 1/65,536: so much is a fit to cells
less precise than one to rows. Bins whose edges the cells end at are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Curve
from calibtool.calibrators.fitted import FitRecord
from calibtool.calibrators.maps import Curves
from calibtool.data.predictions import Kind
from calibtool.errors import FitError, NotAvailableError
from calibtool.metrics.cells import Cells
from calibtool.types import Array

FLOOR = 2.0**-53  # a mean score of 0 counts as this in log-odds, and one of 1 as 1 less this
FINE = 16  # classes up to which a state has fine cells of each
NOTE = "fitted on cells: a row counts as its cell's mean score"


class _Shape(Protocol):
    @property
    def class_names(self) -> tuple[str, ...] | None: ...


@runtime_checkable
class Kept(Protocol):
    """What a fit needs of a state (`calibtool.streaming.summary.State`)."""

    @property
    def source(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def rows(self) -> int: ...
    @property
    def classes(self) -> int | None: ...
    @property
    def shape(self) -> _Shape: ...
    def has(self, view: str) -> bool: ...
    def cells(self, view: str) -> Cells: ...


def fit_to_cells(
    method: str,
    state: Kept,
    fit: Callable[[Cells], Curve],
    *,
    look: str,
    multiclass: str,
    options: dict[str, Any],
) -> Calibrator:
    """Fit a binary calibrator to the cells of a state, as `fit_curves` does to rows.

    Raises NotAvailableError where the cells of a view that is needed were not kept, FitError.
    """
    classes = state.classes
    if classes is None:
        raise NotAvailableError(
            f"{state.source}: only confidences are known; see `calibtool cells`"
        )
    found = _views(state, multiclass)
    names = state.shape.class_names
    curves = []
    for k, cells in enumerate(found):
        which = f"class {names[k] if names else k}: " if len(found) > 1 else ""
        try:
            curves.append(fit(as_scores(cells, look)))
        except (FitError, np.linalg.LinAlgError) as error:
            raise FitError(f"{state.source}: {which}{error}") from error
    shares = _shares(state)
    made = Curves(multiclass, tuple(curves), FLOOR, shares)
    fitted = FitRecord(
        rows=state.rows,
        kind=state.kind,
        prior=tuple(shares.tolist()),
        options={**options, "multiclass": multiclass},
        notes=(NOTE,),
    )
    return Calibrator(method, made, classes, names, fitted)


def as_scores(cells: Cells, look: str) -> Cells:
    """Cells as a fit takes them: those with rows, each at its mean score, or at its log-odds.

    >>> cells = Cells(np.array([0.5, 1.0]), np.array([4.0, 0]), np.array([1.0, 0]), np.zeros(2))
    >>> as_scores(cells, "probs").at
    array([0.25])
    """
    some = np.flatnonzero(cells.n > 0)
    n, p, y, end = cells.n[some], cells.p[some], cells.y[some], cells.at[some]
    at = np.minimum(
        p / n, end
    )  # float32 scores of 0.3 lie above 3/10, and in the cell that ends there
    if look == "log-odds":
        at, rest = np.maximum(at, FLOOR), np.maximum((n - p) / n, FLOOR)
        at = np.log(at) - np.log(rest)
    apart = np.append(True, at[1:] > at[:-1])
    first = np.flatnonzero(apart)  # means that rounding made one
    n, y = (np.add.reduceat(x, first) for x in (n, y))
    at = at[first]
    return Cells(at, n, n * at, y)


def _views(state: Kept, multiclass: str) -> list[Cells]:
    """The cells of each curve."""
    if multiclass == "confidence":
        return [_of(state, "top")]
    if multiclass == "top-label":
        raise NotAvailableError(
            f"{state.source}: cells do not tell the predicted class; --multiclass top-label needs "
            "the predictions themselves"
        )
    if state.classes == 2:
        return [_of(state, "positive")]
    view = "class-grid" if state.has("class-grid") else "class"
    own = _of(state, view)
    if (state.classes or 0) > FINE and view == "class":
        raise NotAvailableError(
            f"{state.source}: of more than {FINE} classes, here {state.classes:,}, cells are kept "
            "in wide bins, to which no curve can be fitted; use --multiclass confidence, or fit "
            "on the predictions themselves"
        )
    each = [Cells(own.at, n, p, y) for n, p, y in zip(own.n, own.p, own.y, strict=True)]
    if multiclass == "shared":
        return [Cells(own.at, own.n.sum(axis=0), own.p.sum(axis=0), own.y.sum(axis=0))]
    return each


def _of(state: Kept, view: str) -> Cells:
    if not state.has(view):
        raise NotAvailableError(
            f"{state.source}: keeps no cells of the {view} view; make them anew from the "
            "predictions, with `calibtool cells`"
        )
    return state.cells(view)


def _shares(state: Kept) -> Array:
    """(K,) weight of each class among the labels, as a share."""
    view = (
        "positive" if state.classes == 2 else "class-grid" if state.has("class-grid") else "class"
    )
    cells = _of(state, view)
    if state.classes == 2:
        ones = float(cells.y.sum() / cells.n.sum())
        return np.array([1 - ones, ones])
    counts = cells.y.sum(axis=1)
    return np.asarray(counts / counts.sum())
