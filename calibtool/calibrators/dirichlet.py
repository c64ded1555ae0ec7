"""Dirichlet calibration: softmax(W log p + b) with the ODIR penalty (Kull et al. 2019, sec. 3).

If the probabilities of the rows of each class are Dirichlet distributed, the calibrated ones have
this form.
"""

from __future__ import annotations

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.matrix import fit_odir
from calibtool.data.predictions import Predictions


def fit(
    predictions: Predictions, *, off_diagonal: float | None = None, bias: float | None = None
) -> Calibrator:
    """Fit W and b by maximum likelihood with the penalty of `calibtool.calibrators.matrix`.

    Args:
        predictions: N rows of logits or probabilities, with labels.
        off_diagonal: price, in nats, of the mean square of the entries off the diagonal; 0 for
            none. By default, it follows from the number of rows.
        bias: price, in nats, of the mean square of the biases; 0 for none. By default, it follows
            from the number of rows.

    Raises FitError if there is no optimum.

    >>> p = Predictions.from_logits([[1.0, 0.0], [0.0, 1.0]] * 5, [0, 1] * 4 + [1, 0])
    >>> float(fit(p).fitted.gradient) < 1e-6
    True
    """
    return fit_odir("dirichlet", predictions, "log-probs", off_diagonal, bias)
