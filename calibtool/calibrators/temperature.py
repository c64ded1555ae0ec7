"""Temperature scaling: softmax(z / T), one parameter (Guo et al. 2017, sec. 4.2).

T minimises the mean negative log-likelihood. With b = 1/T and logits z,

    L(b)   = mean log sum_k exp(b z_k) - b z_y
    L'(b)  = mean E[z] - z_y          E, Var: over classes, under softmax(b z)
    L''(b) = mean Var[z] >= 0

so L is convex and Newton's steps, kept inside a bracket, find its only minimum; the third
derivative makes them Halley's, and two or three passes over the data suffice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from calibtool.calibrators.file import save
from calibtool.calibrators.fitted import Fitted, fingerprint
from calibtool.collect import cores, ordered
from calibtool.errors import FitError, NotAvailableError, UsageError
from calibtool.predictions import Array, Predictions
from calibtool.views import CACHE_VALUES

START_ROWS = 4096  # a sample this large gives Newton its start
TOLERANCE = 1e-12  # relative error of T at which the search stops
STEPS = 100
GRID = np.arange(1, 101) / 10  # of the focal-loss paper: 0.1 to 10 by 0.1


@dataclass(frozen=True)
class Temperature:
    """softmax(logits / temperature); class probabilities p become p**(1/T) renormalised.

    Attributes:
        temperature: T > 0; above 1 it lowers confidence.
        classes: K.
        class_names: K names, if known.
        fitted: how it was fitted.
    """

    temperature: float
    classes: int
    class_names: tuple[str, ...] | None = None
    fitted: Fitted = field(default_factory=Fitted)

    method = "temperature"

    def __call__(self, predictions: Predictions) -> Predictions:
        """Calibrated predictions: logits stay logits, probabilities stay probabilities."""
        require_classes(predictions, self.classes)
        if predictions.kind == "logits":
            values = predictions.values
            wide = values if values.itemsize > 2 else values.astype(np.float32)
            scaled = wide * wide.dtype.type(1 / self.temperature)
            return replace(predictions, values=scaled)
        return replace(predictions, values=_power(predictions, 1 / self.temperature))

    def save(self, path: str | Path) -> None:
        """Write a calibrator file (JSON), whole or not at all."""
        save(self, path)

    def describe(self) -> str:
        """For reports."""
        return f"temperature scaling (T = {self.temperature:.4f})"

    def parameters(self) -> dict[str, float]:
        """What the calibrator file keeps."""
        return {"temperature": self.temperature}

    @classmethod
    def from_parameters(
        cls,
        parameters: dict[str, float],
        classes: int,
        class_names: tuple[str, ...] | None,
        fitted: Fitted,
    ) -> Temperature:
        """The inverse of `parameters`; raises ValueError where they make no calibrator."""
        temperature = float(parameters["temperature"])
        if not (np.isfinite(temperature) and temperature > 0):
            raise ValueError(f"temperature must be positive and finite, not {temperature}")
        return cls(temperature, classes, class_names, fitted)


def require_classes(predictions: Predictions, classes: int) -> None:
    """Whether a calibrator of K classes fits these predictions."""
    if predictions.classes is None:
        raise NotAvailableError(
            f"{predictions.source}: only confidences are known; temperature scaling needs whole "
            "rows of logits or probabilities"
        )
    if predictions.classes != classes:
        raise UsageError(
            f"{predictions.source}: has {predictions.classes} classes, the calibrator was fitted "
            f"for {classes}"
        )


def fit(predictions: Predictions, *, objective: str = "nll") -> Temperature:
    """Fit T.

    Args:
        predictions: N rows of logits or probabilities, with labels.
        objective: "nll" for the exact minimum of the negative log-likelihood; "ece" for the grid
            search of Mukhoti et al. 2020 (0.1 to 10 by 0.1, the first T of least 15-bin ECE).

    Raises FitError where there is no finite optimum, NotAvailableError for confidences alone.

    >>> z = np.log([[0.8, 0.2]] * 5)
    >>> round(fit(Predictions.from_logits(2 * z, [0, 0, 0, 0, 1])).temperature, 6)
    2.0
    """
    if objective not in ("nll", "ece"):
        raise UsageError(f"--objective {objective!r}: there are nll, ece")
    if predictions.kind == "confidence" or predictions.classes is None:
        require_classes(predictions, 0)
    if predictions.labels is None:
        raise NotAvailableError(f"{predictions.source}: a fit needs labels")
    temperature = _grid_search(predictions) if objective == "ece" else 1 / _optimum(predictions)
    fitted = Fitted(
        rows=predictions.rows,
        objective=objective,
        nll_before=_moments(predictions, 1.0)[0],
        nll_after=_moments(predictions, 1 / temperature)[0],
        fingerprint=fingerprint(predictions),
    )
    return Temperature(temperature, int(predictions.classes or 2), predictions.class_names, fitted)


# ------------------------------------------------------------------ the likelihood


def _optimum(predictions: Predictions) -> float:
    """The b = 1/T at which L'(b) = 0."""
    _require_optimum(predictions)
    start = 1.0
    if predictions.rows > 4 * START_ROWS:
        step = predictions.rows // START_ROWS
        sample = predictions.take(slice(None, None, step))
        try:
            start = _optimum(sample)
        except FitError:
            start = 1.0
    b, low, high = start, 0.0, np.inf
    for _ in range(STEPS):
        _, slope, curve, third = _moments(predictions, b)
        low, high = (b, high) if slope < 0 else (low, b)
        if slope == 0:
            return b
        step_ = -slope / curve if curve > 0 else np.inf
        bend = 1 - slope * third / (2 * curve * curve) if curve > 0 else 1.0
        step_ = step_ / bend if bend > 0.5 else step_
        new = b + step_
        if not low < new < high:
            new = (low + high) / 2 if np.isfinite(high) else 4 * b
        # Halley's error is of the order of the step cubed
        if abs(new - b) ** 3 <= TOLERANCE * b**3 or abs(new - b) <= 4e-16 * b:
            return float(new)
        b = new
    raise FitError(
        f"{predictions.source}: the fit did not converge in {STEPS} passes; it reached "
        f"T = {1 / b:.6g} between {1 / high:.6g} and {1 / low if low else np.inf:.6g}"
    )


def _require_optimum(predictions: Predictions) -> None:
    """Whether L has a minimum at a finite T > 0, seen from its slopes at b = 0 and b = infinity."""
    at_zero = at_infinity = impossible = 0.0
    for values, labels, weights in _pieces(predictions):
        rows = np.arange(len(labels))
        label = values[rows, labels].astype(np.float64)
        weight = np.ones(len(labels)) if weights is None else weights
        with np.errstate(invalid="ignore"):
            # at b = 0 every class of positive probability counts the same
            possible = values > _NEVER
            mean = np.where(possible, values, 0).sum(axis=1, dtype=np.float64)
            at_zero += float((weight * (mean / possible.sum(axis=1) - label)).sum())
        at_infinity += float((weight * (values.max(axis=1) - label)).sum())
        impossible += float(weight[label <= _NEVER].sum())
    source = predictions.source
    if impossible:
        raise FitError(
            f"{source}: some rows give their label a probability of exactly 0; no temperature "
            "can repair that. Fit on logits, or drop or repair those rows"
        )
    if at_infinity == 0:
        raise FitError(
            f"{source}: every row is right, so the likelihood rises for ever as T falls to 0; "
            "fit on data that the model has not been trained on, or on more rows"
        )
    if at_zero >= 0:
        raise FitError(
            f"{source}: labels score no better than the average class, so the likelihood rises "
            "for ever as T grows; are the labels in the order of the columns?"
        )


_NEVER = -1e18  # stands for the logarithm of a probability of 0


def _moments(predictions: Predictions, b: float) -> tuple[float, float, float, float]:
    """L(b) and its first three derivatives, per unit of weight.

    Arithmetic is in the logits' precision, on pieces that stay in the cache; sums are float64.
    """
    own = np.float32 if predictions.values.itemsize < 8 else np.float64
    # float32 data: a b that float32 holds exactly, so that no row is scaled by another number
    exact = float(own(b))

    def work(piece: tuple[Array, Array, Array | None]) -> Array:
        return _piece_moments(*piece, exact)

    sums = np.zeros(5)
    for part in ordered(work, _pieces(predictions), cores()):
        sums += part
    loss, slope, curve, third = (float(x) for x in sums[:4] / sums[4])
    d = b - exact  # a step of at most float32's rounding, by the expansion
    return (
        loss + d * (slope + d / 2 * curve),
        slope + d * (curve + d / 2 * third),
        curve + d * third,
        third,
    )


def _piece_moments(values: Array, labels: Array, weights: Array | None, b: float) -> Array:
    rows = np.arange(len(labels))
    shifted = values - values.max(axis=1, keepdims=True)
    label = shifted[rows, labels].astype(np.float64)
    with np.errstate(under="ignore"):
        power = np.exp(shifted * shifted.dtype.type(b))
        total = power.sum(axis=1).astype(np.float64)
        power *= shifted
        first = power.sum(axis=1).astype(np.float64) / total
        second = np.einsum("ij,ij->i", power, shifted).astype(np.float64) / total
        power *= shifted
        cube = np.einsum("ij,ij->i", power, shifted).astype(np.float64) / total
    variance = second - first * first
    skew = cube - 3 * first * second + 2 * first**3
    columns = np.stack(
        [np.log(total) - b * label, first - label, variance, skew, np.ones(len(labels))]
    )
    return np.asarray(columns.sum(axis=1) if weights is None else columns @ weights)


def _pieces(predictions: Predictions) -> Iterator[tuple[Array, Array, Array | None]]:
    """Logits (or log-probabilities), labels and weights, piece by piece."""
    assert predictions.labels is not None
    width = predictions.values.shape[1]
    step = max(1, CACHE_VALUES // width)
    for start in range(0, predictions.rows, step):
        piece = predictions.take(slice(start, start + step))
        assert piece.labels is not None
        yield as_logits(piece), piece.labels, piece.weights


def as_logits(predictions: Predictions) -> Array:
    """Logits, or log-probabilities where only probabilities are known, with K columns."""
    values = predictions.matrix()
    if predictions.kind == "logits":
        return values if values.itemsize > 2 else values.astype(np.float32)
    with np.errstate(divide="ignore"):
        logs = np.log(values.astype(np.float64))
    return np.maximum(logs, _NEVER)


def _power(predictions: Predictions, b: float) -> Array:
    """p**b, renormalised; in the probabilities' own precision, float32 at least."""
    logs = as_logits(predictions) * b
    logs -= logs.max(axis=1, keepdims=True)
    with np.errstate(under="ignore"):
        np.exp(logs, out=logs)
    logs /= logs.sum(axis=1, keepdims=True)
    own = np.promote_types(predictions.values.dtype, np.float32)
    return logs[:, 1:].astype(own) if predictions.one_column else logs.astype(own)


def _grid_search(predictions: Predictions) -> float:
    from calibtool.cells import Cells
    from calibtool.metrics.norms import l1
    from calibtool.metrics.profiles import equal_width, profile
    from calibtool.views import reduce_rows

    best, error = 1.0, np.inf
    for temperature in GRID.tolist():
        scaled = Temperature(temperature, int(predictions.classes or 2))(predictions)
        rows = reduce_rows(scaled)
        cells = Cells.from_rows(*rows.view("top"), rows.weights)
        found = float(l1(profile(cells.pool(equal_width(cells)))))
        if found < error:
            best, error = temperature, found
    return best
