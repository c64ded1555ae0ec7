"""Dirichlet calibration: softmax(W log p + b), the form in which log-probabilities of Dirichlet
distributed scores are calibrated, held back by ODIR (Kull et al. 2019, sec. 3)."""

from __future__ import annotations

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.matrix import fit_odir
from calibtool.data.predictions import Predictions


def fit(
    predictions: Predictions, *, off_diagonal: float | None = None, bias: float | None = None
) -> Calibrator:
    """Fit W and b, by maximum likelihood with the penalty of `calibtool.calibrators.matrix`.

    Args:
        predictions: N rows of logits or probabilities, with labels.
        off_diagonal: the price of the mean square off the diagonal, in nats; 0 for none. Without
            it, the price follows from the rows.
        bias: the price of the mean square of the biases, in nats; 0 for none. Without it, the price
            follows from the rows.

    Raises FitError where there is no optimum.

    >>> p = Predictions.from_logits([[1.0, 0.0], [0.0, 1.0]] * 5, [0, 1] * 4 + [1, 0])
    >>> float(fit(p).fitted.gradient) < 1e-6
    True
    """
    return fit_odir("dirichlet", predictions, "log-probs", off_diagonal, bias)
