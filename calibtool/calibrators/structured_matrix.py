"""Structured matrix scaling: softmax(W log q + b), q the probabilities after temperature scaling,
with ridge penalties that shrink as the number of rows N grows (Berta et al. 2025):

    K / N  for each squared bias and for each squared distance of the diagonal from 1,
    K (K - 1) / N  for each squared entry off the diagonal.
"""

from __future__ import annotations

from dataclasses import replace

from calibtool.calibrators import inputs, temperature
from calibtool.calibrators.calibrator import Calibrator, require_fit
from calibtool.calibrators.fitting.affine import fit_affine, not_negative, penalties, total
from calibtool.calibrators.fitting.forms import Diagonal, Full
from calibtool.data.predictions import Predictions


def fit(predictions: Predictions, *, strength: float = 1.0) -> Calibrator:
    """Fit T, then W and b, by maximum likelihood with the penalties.

    Args:
        predictions: N rows of logits or probabilities, with labels.
        strength: factor of the penalties.

    Raises FitError if T has no finite optimum.

    >>> p = Predictions.from_logits([[1.0, 0.0], [0.0, 1.0]] * 5, [0, 1] * 4 + [1, 0])
    >>> round(fit(p).map.temperature, 4)  # right 4 times in 5
    0.7213
    """
    return fit_structured("structured-matrix", predictions, strength)


def fit_structured(method: str, predictions: Predictions, strength: float) -> Calibrator:
    """Fit structured-matrix, or structured-vector, whose W is diagonal."""
    classes = require_fit(predictions)
    options = {"strength": not_negative("strength", strength)}
    logs = inputs.by_row(inputs.log_probs, predictions, inputs.floor_of(predictions))
    optimum, _, _ = temperature.best(replace(predictions, kind="logits", values=logs))
    unit = strength * classes / total(predictions)
    full = method == "structured-matrix"
    penalty = penalties(classes, unit, unit * (classes - 1), unit)
    return fit_affine(
        method,
        predictions,
        Full() if full else Diagonal(),
        look="log-probs",
        penalty=penalty if full else penalty[:, -1:].repeat(2, axis=1),
        temperature=optimum,
        options=options,
    )
