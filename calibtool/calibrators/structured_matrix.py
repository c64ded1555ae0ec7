"""Structured matrix scaling: softmax(W log q + b), with ridge penalties that shrink as the number
of rows N grows (Berta et al. 2025):

    K / N  for each squared bias and for each squared distance of the diagonal from 1,
    K (K - 1) / N  for each squared entry off the diagonal.

q are the probabilities after temperature scaling, with a share of 1 / (N + 1) of the uniform
distribution, as in the authors' package (probmetrics): log q then lies above -log K (N + 1), and no
row decides over a slope.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from calibtool.calibrators import bias_corrected, inputs, temperature
from calibtool.calibrators.calibrator import Calibrator, require_fit
from calibtool.calibrators.fitting.affine import (
    fit_affine,
    not_negative,
    penalties,
    require_matrix,
    total,
)
from calibtool.calibrators.fitting.forms import Diagonal, Full
from calibtool.data.predictions import Predictions
from calibtool.data.rows import reduce_rows
from calibtool.errors import FitError
from calibtool.intervals.weighted_mean import variance_of_mean
from calibtool.metrics.proper import nll

# What a probability counts as at least, as in the authors' package: the smallest normal float32.
# Models that multiply probabilities give far smaller ones, which mean no more than that.
FLOOR = float(np.finfo(np.float32).tiny)
# Standard errors beyond which a difference is told: the 95 % of other warnings.
BEYOND_CHANCE = 2.0


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
    full = method == "structured-matrix"
    if full:  # before the search for a temperature, which would be for nothing
        require_matrix(predictions.source, classes)
    floor = max(inputs.floor_of(predictions), FLOOR)
    logs = np.maximum(inputs.by_row(inputs.log_probs, predictions, floor), np.log(floor))
    optimum, _, _ = temperature.best(replace(predictions, kind="logits", values=logs))
    rows = total(predictions)
    unit = strength * classes / rows
    penalty = penalties(classes, unit, unit * (classes - 1), unit)
    return fit_affine(
        method,
        predictions,
        Full() if full else Diagonal(),
        look="log-probs",
        penalty=penalty if full else penalty[:, -1:].repeat(2, axis=1),
        temperature=optimum,
        uniform=1 / (rows + 1),
        least=floor,
        options=options,
    )


def advice(fitted: Calibrator, predictions: Predictions) -> list[str]:
    """Return a note where the penalties hold back what the rows clearly show.

    That is where one temperature and a bias per class, which W and b could give too, fit the rows
    better beyond chance. Of the gain, 1 / N per parameter is taken off, which is what a fit gains
    more on its own rows than on others (Akaike 1973).
    """
    try:
        plain = bias_corrected.fit(predictions)
    except FitError:  # a class without rows, or perfect separation: only a penalty has an optimum
        return []
    losses = [nll(reduce_rows(each(predictions))) for each in (fitted, plain)]
    if not np.isfinite(losses).all():  # in float32 a label's probability can round to 0
        return []
    difference, weights = losses[0] - losses[1], inputs.weights_of(predictions)
    share = weights / weights.sum()
    gain = float(share @ difference) - plain.map.count() / weights.sum()
    error = math.sqrt(variance_of_mean(difference, weights))
    if not gain > BEYOND_CHANCE * error:
        return []
    better = f"bias-corrected fits these rows better, by {gain:.4f} nats"
    holds = "the penalty holds back a shift of class shares"
    return [f"{holds}: {better}. Use it or platt, or a smaller --strength"]
