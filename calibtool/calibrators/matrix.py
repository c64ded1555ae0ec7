"""Matrix scaling: softmax(W z + b) (Guo et al. 2017, sec. 4.2) with the ODIR penalty on the entries
of W off its diagonal and on b (Kull et al. 2019, sec. 3.3):

    off_diagonal / (K (K - 1)) sum_i!=j W_ij**2  +  bias / K sum_j b_j**2.

The authors choose both prices by cross-validation. Here they are (K (K - 1))**2 / N and K**2 / N by
default, so that the penalties are those of structured matrix scaling.
"""

from __future__ import annotations

from calibtool.calibrators.calibrator import Calibrator, require_fit
from calibtool.calibrators.fitting.affine import fit_affine, not_negative, penalties, total
from calibtool.calibrators.fitting.forms import Full
from calibtool.data.predictions import Predictions


def fit(
    predictions: Predictions, *, off_diagonal: float | None = None, bias: float | None = None
) -> Calibrator:
    """Fit W and b by maximum likelihood with the penalty.

    z are logits as they were saved, or log-probabilities if there are no logits. The two models
    differ: a constant added to all logits of a row changes W z.

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
    return fit_odir("matrix", predictions, "logits", off_diagonal, bias)


def fit_odir(
    method: str, predictions: Predictions, look: str, off_diagonal: float | None, bias: float | None
) -> Calibrator:
    """Fit W and b with the ODIR penalty, z being `look` of the rows."""
    classes = require_fit(predictions)
    rows = total(predictions)
    pairs = classes * (classes - 1)
    off_diagonal = pairs**2 / rows if off_diagonal is None else off_diagonal
    bias = classes**2 / rows if bias is None else bias
    options = {
        "off_diagonal": not_negative("off-diagonal", off_diagonal),
        "bias": not_negative("bias", bias),
    }
    penalty = penalties(classes, 0.0, off_diagonal / pairs, bias / classes)
    return fit_affine(method, predictions, Full(), look=look, penalty=penalty, options=options)
