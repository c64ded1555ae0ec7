"""What the fits of softmax(W z + b) share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from calibtool.calibrators import inputs
from calibtool.calibrators.calibrator import Calibrator, finish, name_of, require_fit
from calibtool.calibrators.fit_rows import SQUARE, FileRows
from calibtool.calibrators.fitted import class_shares
from calibtool.calibrators.fitting.descent import Data, Piece, Problem, Whole, pieces
from calibtool.calibrators.fitting.forms import Diagonal, Form, Full
from calibtool.calibrators.maps import Affine
from calibtool.calibrators.temperature import of_sample as scale_of
from calibtool.data.predictions import Predictions
from calibtool.errors import FitError, UsageError
from calibtool.types import Array

MOST = 512  # classes of a matrix
ENOUGH_ROWS = 10  # of each class, for a sample to be fitted without a penalty


def fit_affine(
    method: str,
    predictions: Predictions | FileRows,
    form: Form,
    *,
    look: str,
    penalty: Array | float = 0.0,
    temperature: float = 1.0,
    options: dict[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> Calibrator:
    """Fit W and b by maximum likelihood, from W = I and b = 0 on.

    Args:
        method: its name in the table of calibrators.
        predictions: with labels.
        form: what is free in W.
        look: what z is: "logits" as they were saved, if there are any, or "log-probs".
        penalty: of the squares of the parameters' distance from the start.
        temperature: z are log-probabilities after this temperature.
        options: of the fit, for its record.
        notes: for the record.

    Raises FitError where there is no optimum.
    """
    classes = require_fit(predictions)
    if isinstance(form, Full) and classes > MOST:
        raise FitError(
            f"{predictions.source}: {classes:,} classes make a matrix of {classes**2:,} numbers, "
            f"{MOST} classes are the most; use structured-vector"
        )
    look = look if predictions.kind == "logits" else "log-probs"
    made = Affine(np.array(1.0), np.zeros(classes), look, 0.0, temperature)
    start = _identity(form, classes)
    if isinstance(predictions, FileRows):
        begin = _begin(predictions, form, made, start)
        data: Data = Passed(predictions, made)
        found = Problem(form, data, start, penalty, predictions.source, begin).solve()
        floor, notes = predictions.floor, (*notes, *predictions.notes())
        zeros = inputs.told_of_zeros(predictions.zeros, floor)
    else:
        if not np.any(penalty):
            require_every_class(predictions, class_shares(predictions))
        floor = inputs.floor_of(predictions)
        data = _whole(predictions, made, floor)
        found = Problem(form, data, start, penalty, predictions.source).solve()
        zeros = inputs.note_of_zeros(predictions, floor)
    v = found.at
    weight, bias = (v[0], v[1:]) if v.ndim == 1 else (v[:, :-1], v[:, -1])
    weight = np.array(weight[:, 0] if isinstance(form, Diagonal) else weight)
    return finish(
        method,
        predictions,
        Affine(weight, np.array(bias), look, floor, temperature),
        objective="nll" if not np.any(penalty) else "nll with a penalty",
        nll_before=found.before,
        nll_after=found.after,
        gradient=found.gradient,
        options=options or {},
        notes=(*zeros, *notes),
    )


class Passed:
    """Rows of a file, as the search for an optimum sums over them."""

    held = single = False

    def __init__(self, rows: FileRows, made: Affine) -> None:
        self.rows, self.made = rows, made
        weights = rows.sample.weights
        self.unit = 1.0 if weights is None or not len(weights) else float(weights.mean())

    def sum(self, work: Callable[[Piece], Array]) -> Array:
        """The sum of `work` over all rows: a pass, and another if it finds a lower floor."""
        floor, first = self.rows.floor, self.rows.passes == 0

        def of_block(block: Predictions) -> Array:
            assert block.labels is not None
            z = self.made.look_at(block, floor)
            weights = np.ones(len(z)) if block.weights is None else block.weights / self.unit
            total: Array | float = 0.0
            for piece in pieces(z, block.labels, weights, SQUARE * z.shape[1]):
                total = total + work(piece)
            return np.asarray(total)

        total = self.rows.sum(of_block)
        if first:
            require_every_class(self.rows, self.rows.seen.shares)
        return self.sum(work) if self.rows.zeros and self.rows.floor < floor else total


def _begin(rows: FileRows, form: Form, made: Affine, start: Array) -> Array | None:
    """Where to begin: the optimum of the sample, or its temperature, or nothing better."""
    sample = rows.sample
    if not sample.rows:
        return None
    assert sample.labels is not None
    fewest = np.bincount(sample.labels, minlength=len(made.bias)).min()
    data = _whole(sample, made, rows.floor)
    # a row's worth of penalty has an optimum on any sample of all classes
    tried = [0.0, 1 / sample.rows] if fewest >= ENOUGH_ROWS else [1 / sample.rows]
    for penalty in tried if fewest else []:
        with suppress(FitError):
            return Problem(form, data, start, penalty, rows.source).solve().at
    begin = start.copy()
    begin[(0,) if begin.ndim == 1 else (slice(None), 0)] = scale_of(sample)
    return begin


def _whole(predictions: Predictions, made: Affine, floor: float) -> Whole:
    """Rows in memory, as the search for an optimum sums over them."""
    assert predictions.labels is not None
    z = inputs.by_row(made.look_at, predictions, floor)
    weights = predictions.weights
    weights = np.ones(predictions.rows) if weights is None else weights
    return Whole(z, predictions.labels, weights / weights.sum())


def _identity(form: Form, classes: int) -> Array:
    """The parameters that change nothing."""
    zeros = np.zeros((classes, 1))
    if isinstance(form, Full):
        return np.concatenate([np.eye(classes), zeros], axis=1)
    if isinstance(form, Diagonal):
        return np.concatenate([zeros + 1, zeros], axis=1)
    return np.append(1.0, zeros)


def require_every_class(predictions: Predictions | FileRows, shares: Array) -> None:
    """Whether every class has a row: without a penalty, one that has none is driven to 0."""
    missing = np.flatnonzero(shares == 0)
    if len(missing):
        first = name_of(predictions, int(missing[0]))
        others = f" (nor have {len(missing) - 1} others)" if len(missing) > 1 else ""
        raise FitError(
            f"{predictions.source}: class {first} has no rows to fit on{others}; at least one "
            "row a class is needed. Use temperature, ensemble-temperature, order-preserving or "
            "structured-vector, or fit on more rows"
        )


def total(predictions: Predictions) -> float:
    """The weight of all rows."""
    return float(predictions.rows if predictions.weights is None else predictions.weights.sum())


def not_negative(name: str, value: float) -> float:
    """An option that must not be negative."""
    if not (np.isfinite(value) and value >= 0):
        raise UsageError(f"--{name} must not be negative, not {value:g}")
    return value


def penalties(classes: int, diagonal: float, off_diagonal: float, bias: float) -> Array:
    """(K, K + 1): the penalty of each entry of W, and of the biases beside it."""
    out = np.full((classes, classes + 1), off_diagonal, dtype=np.float64)
    np.fill_diagonal(out, diagonal)
    out[:, -1] = bias
    return out
