"""Vector scaling: softmax(w * z + b), a slope and a bias per class (Guo et al. 2017, sec. 4.2)."""

from __future__ import annotations

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.fit_rows import FileRows
from calibtool.calibrators.fitting.affine import fit_affine
from calibtool.calibrators.fitting.forms import Diagonal
from calibtool.data.predictions import Predictions


def fit(predictions: Predictions | FileRows) -> Calibrator:
    """Fit w and b by maximum likelihood.

    z are logits as they were saved, or log-probabilities if there are no logits. The two models
    differ: a constant added to all logits of a row changes w * z.

    Args:
        predictions: N rows of logits or probabilities, with labels; in memory, or read from a file
            pass by pass.

    Raises FitError if there is no optimum.

    >>> p = Predictions.from_logits([-1.0, 1.0] * 5, [0, 1] * 4 + [1, 0])
    >>> fit(p)(p).values.ravel().round(4)[:2].tolist()  # right 4 times in 5
    [-1.3863, 1.3863]
    """
    return fit_affine("vector", predictions, Diagonal(), look="logits")
