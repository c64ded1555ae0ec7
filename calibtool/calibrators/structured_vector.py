"""Structured vector scaling: `calibtool.calibrators.structured_matrix` with a diagonal W
(Berta et al. 2025)."""

from __future__ import annotations

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.structured_matrix import advice, fit_structured
from calibtool.data.predictions import Predictions

__all__ = ["advice", "fit"]


def fit(predictions: Predictions, *, strength: float = 1.0) -> Calibrator:
    """Fit T, then one slope and one bias per class, by maximum likelihood with the penalties.

    Args:
        predictions: N rows of logits or probabilities, with labels.
        strength: factor of the penalties.

    Raises FitError if T has no finite optimum.

    >>> p = Predictions.from_logits([[1.0, 0.0], [0.0, 1.0]] * 5, [0, 1] * 4 + [1, 0])
    >>> round(fit(p).map.temperature, 4)  # right 4 times in 5
    0.7213
    """
    return fit_structured("structured-vector", predictions, strength)
