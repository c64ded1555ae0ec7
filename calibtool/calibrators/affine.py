"""What the fits of softmax(W z + b) share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from calibtool.calibrators import inputs
from calibtool.calibrators.calibrator import Calibrator, finish, name_of, require_fit
from calibtool.calibrators.descent import Diagonal, Form, Full, Problem
from calibtool.calibrators.fitted import class_shares
from calibtool.calibrators.maps import Affine
from calibtool.checks import Array
from calibtool.errors import FitError, UsageError
from calibtool.predictions import Predictions

MOST = 512  # classes of a matrix


def fit_affine(
    method: str,
    predictions: Predictions,
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
    floor = inputs.floor_of(predictions)
    if isinstance(form, Full) and classes > MOST:
        raise FitError(
            f"{predictions.source}: {classes:,} classes make a matrix of {classes**2:,} numbers, "
            f"{MOST} classes are the most; use structured-vector"
        )
    if not np.any(penalty):
        require_every_class(predictions)
    look = look if predictions.kind == "logits" else "log-probs"
    made = Affine(np.array(1.0), np.zeros(classes), look, floor, temperature)
    z = inputs.by_row(made.look_at, predictions, floor)
    zeros = np.zeros((classes, 1))
    if isinstance(form, Full):
        start = np.concatenate([np.eye(classes), zeros], axis=1)
    elif isinstance(form, Diagonal):
        start = np.concatenate([zeros + 1, zeros], axis=1)
    else:
        start = np.append(1.0, zeros)
    weights = predictions.weights
    weights = np.ones(predictions.rows) if weights is None else weights
    assert predictions.labels is not None
    found = Problem(
        form, z, predictions.labels, weights / weights.sum(), start, penalty, predictions.source
    ).solve()
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
        notes=(*inputs.note_of_zeros(predictions, floor), *notes),
    )


def require_every_class(predictions: Predictions) -> None:
    """Whether every class has a row: without a penalty, one that has none is driven to 0."""
    missing = np.flatnonzero(class_shares(predictions) == 0)
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
