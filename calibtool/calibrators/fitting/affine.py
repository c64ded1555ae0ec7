"""The fit of softmax(W z + b), which six calibrators share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from calibtool.calibrators import inputs
from calibtool.calibrators.calibrator import Calibrator, finish, name_of, require_fit
from calibtool.calibrators.fit_rows import SQUARE, FileRows
from calibtool.calibrators.fitted import FitRecord, class_shares
from calibtool.calibrators.fitting.descent import Optimum, Problem
from calibtool.calibrators.fitting.forms import Diagonal, Form, Full
from calibtool.calibrators.fitting.pieces import Data, MemoryData, Piece, pieces
from calibtool.calibrators.maps import Affine
from calibtool.calibrators.temperature import near_optimum
from calibtool.data.predictions import Predictions, names_of_classes
from calibtool.errors import FitError, UsageError
from calibtool.types import Array

# Classes up to which a full matrix can be fitted. Every conjugate gradient step multiplies all rows
# with a matrix of this size; larger ones would take hours, and more rows than data sets have.
MAX_MATRIX_CLASSES = 512
# Rows that each class must have in a sample for the sample to be fitted without a penalty. With
# fewer, the optimum of the sample lies far from that of all rows, or does not exist.
ENOUGH_ROWS = 10


def fit_affine(
    method: str,
    predictions: Predictions | FileRows,
    form: Form,
    *,
    look: str,
    penalty: Array | float = 0.0,
    temperature: float = 1.0,
    uniform: float = 0.0,
    least: float = 0.0,
    options: dict[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> Calibrator:
    """Fit W and b by maximum likelihood, starting at W = I and b = 0.

    Args:
        method: the calibrator's name in the registry.
        predictions: with labels.
        form: which entries of W are free.
        look: what z is: "logits" as they were saved, if there are any, or "log-probs".
        penalty: the price of the squared distance of each parameter from the start, in nats.
        temperature: z are log-probabilities after this temperature.
        uniform: share of the uniform distribution that is mixed in after the temperature.
        least: what a probability counts as at least; it lowers no floor of the data.
        options: of the fit, for its record.
        notes: for the record.

    Raises FitError if there is no optimum.
    """
    classes = require_fit(predictions)
    if isinstance(form, Full):
        require_matrix(predictions.source, classes)
    look = look if predictions.kind == "logits" else "log-probs"
    # the map at the start: it knows how to look at rows, which does not depend on W and b
    start_map = Affine(np.array(1.0), np.zeros(classes), look, 0.0, temperature, uniform)
    optimum, floor, zeros = _solve(predictions, form, start_map, penalty, least)
    if isinstance(predictions, FileRows):
        notes = (*notes, *predictions.notes())
    v = optimum.at
    weight, bias = (v[0], v[1:]) if v.ndim == 1 else (v[:, :-1], v[:, -1])
    weight = np.array(weight[:, 0] if isinstance(form, Diagonal) else weight)
    return finish(
        method,
        predictions,
        Affine(weight, np.array(bias), look, floor, temperature, uniform),
        FitRecord(
            objective="nll" if not np.any(penalty) else "nll with a penalty",
            nll_before=optimum.before,
            nll_after=optimum.after,
            gradient=optimum.gradient,
            options=options or {},
            notes=(*zeros, *notes),
        ),
    )


def require_matrix(source: str, classes: int) -> None:
    """Raise FitError if there are too many classes for a number per pair of them."""
    if classes > MAX_MATRIX_CLASSES:
        raise FitError(
            f"{source}: {classes:,} classes would make a matrix of {classes**2:,} numbers; at most "
            f"{MAX_MATRIX_CLASSES} classes are possible. Use structured-vector"
        )


def _solve(
    predictions: Predictions | FileRows,
    form: Form,
    start_map: Affine,
    penalty: Array | float,
    least: float,
) -> tuple[Optimum, float, list[str]]:
    """Return the optimum, what a probability of 0 counts as, and notes on such rows."""
    start, names = _identity(form, len(start_map.bias)), names_of_classes(predictions)
    if isinstance(predictions, FileRows):
        begin = _begin(predictions, form, start_map, start)
        data: Data = FileData(predictions, start_map)
        optimum = Problem(form, data, start, penalty, predictions.source, names, begin).solve()
        # the floor and the zeros of all rows are known only after the first pass
        floor = predictions.floor
        return optimum, floor, inputs.notes_of_zeros(predictions.zeros, floor)
    if not np.any(penalty):
        require_every_class(predictions, class_shares(predictions))
    floor = max(inputs.floor_of(predictions), least)
    data = _memory_data(predictions, start_map, floor)
    begin = _at_temperature(predictions, start, data.z) if start_map.temperature == 1 else None
    optimum = Problem(form, data, start, penalty, predictions.source, names, begin).solve()
    return optimum, floor, inputs.notes_of_zeros(inputs.floored(predictions), floor)


class FileData:
    """Rows of a file, as the search for an optimum sums over them.

    Attributes:
        unit: what weights are divided by: their mean in the sample, so that sums stay near the
            number of rows whatever the scale of the weights. The search divides by the sum of the
            weights, which is known only after the first pass.
    """

    in_memory = float32_first = False

    def __init__(self, rows: FileRows, start_map: Affine) -> None:
        self.rows, self.start_map = rows, start_map
        weights = rows.sample.weights
        self.unit = 1.0 if weights is None or not len(weights) else float(weights.mean())

    def sum(self, work: Callable[[Piece], Array]) -> Array:
        """Return the sum of `work` over all rows: one pass, and another if it lowers the floor.

        The first pass counts probabilities of 0 as the floor of the sample; if another row has a
        smaller probability, its sums are of no use.
        """
        floor, first = self.rows.floor, self.rows.passes == 0

        def sum_block(block: Predictions) -> Array:
            assert block.labels is not None
            z = self.start_map.look_at(block, floor)
            weights = np.ones(len(z)) if block.weights is None else block.weights / self.unit
            total: Array | float = 0.0
            for piece in pieces(z, block.labels, weights, SQUARE * z.shape[1]):
                total = total + work(piece)
            return np.asarray(total)

        total = self.rows.sum(sum_block)
        if first:
            require_every_class(self.rows, self.rows.digest.shares)
        return self.sum(work) if self.rows.zeros and self.rows.floor < floor else total


def _begin(rows: FileRows, form: Form, start_map: Affine, start: Array) -> Array | None:
    """Return where the search begins: the optimum of the sample, else its temperature, else None.

    The optimum does not depend on it, only the number of passes does.
    """
    sample = rows.sample
    if not sample.rows:
        return None
    assert sample.labels is not None
    fewest = np.bincount(sample.labels, minlength=len(start_map.bias)).min()
    data = _memory_data(sample, start_map, rows.floor)
    # With a penalty that weighs as much as one row, every sample of all classes has an optimum.
    where = rows.source, names_of_classes(rows)
    penalties = [0.0, 1 / sample.rows] if fewest >= ENOUGH_ROWS else [1 / sample.rows]
    for penalty in penalties if fewest else []:
        with suppress(FitError):
            return Problem(form, data, start, penalty, *where).solve().at
    return _at_temperature(sample, start, data.z)


def _at_temperature(predictions: Predictions, start: Array, z: Array) -> Array:
    """Return the parameters of temperature scaling, from which few steps are left to the optimum.

    Args:
        predictions: rows, of which some are enough for a temperature to begin at.
        start: the parameters of W = I.
        z: (N, K) the rows as W sees them. The slope of a column that is everywhere the same, as
            the first of one column of logits, may have no effect, and then stays where it was.
    """
    begin = start.copy()
    slope = near_optimum(predictions)
    if begin.ndim == 1:
        begin[0] = slope
    else:
        begin[z.min(axis=0) < z.max(axis=0), :-1] *= slope
    return begin


def _memory_data(predictions: Predictions, start_map: Affine, floor: float) -> MemoryData:
    """Return rows in memory, as the search for an optimum sums over them."""
    assert predictions.labels is not None
    z = inputs.by_row(start_map.look_at, predictions, floor)
    weights = inputs.weights_of(predictions)
    return MemoryData(z, predictions.labels, weights / weights.sum())


def _identity(form: Form, classes: int) -> Array:
    """Return the parameters of W = I and b = 0."""
    zeros = np.zeros((classes, 1))
    if isinstance(form, Full):
        return np.concatenate([np.eye(classes), zeros], axis=1)
    if isinstance(form, Diagonal):
        return np.concatenate([zeros + 1, zeros], axis=1)
    return np.append(1.0, zeros)


def require_every_class(predictions: Predictions | FileRows, shares: Array) -> None:
    """Raise FitError if a class has no rows.

    Without a penalty, the bias of such a class falls without bound: its best probability is 0.
    """
    missing = np.flatnonzero(shares == 0)
    if len(missing):
        first = name_of(predictions, int(missing[0]))
        others = f" (nor do {len(missing) - 1} other classes)" if len(missing) > 1 else ""
        raise FitError(
            f"{predictions.source}: class {first} has no rows to fit on{others}; at least one "
            "row per class is needed. Use temperature, ensemble-temperature, order-preserving or "
            "structured-vector, or fit on more rows"
        )


def total(predictions: Predictions) -> float:
    """Return the weight of all rows."""
    return float(predictions.rows if predictions.weights is None else predictions.weights.sum())


def not_negative(name: str, value: float) -> float:
    """Return the value of an option; raise UsageError if it is negative or not finite."""
    if not (np.isfinite(value) and value >= 0):
        raise UsageError(f"--{name} must not be negative, not {value:g}")
    return value


def penalties(classes: int, diagonal: float, off_diagonal: float, bias: float) -> Array:
    """Return (K, K + 1): the penalty of each entry of W, and of the biases as the last column."""
    out = np.full((classes, classes + 1), off_diagonal, dtype=np.float64)
    np.fill_diagonal(out, diagonal)
    out[:, -1] = bias
    return out
