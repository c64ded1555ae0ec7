"""Ensemble temperature scaling: w1 softmax(z / T) + w2 softmax(z) + w3 / K, the shares not negative
and 1 in all (Zhang et al. 2020, sec. 3.2). T is that of temperature scaling, as in the authors'
code; given T the likelihood is concave in the shares."""

from __future__ import annotations

import numpy as np

from calibtool.calibrators import temperature
from calibtool.calibrators.calibrator import Calibrator, finish, require_fit
from calibtool.calibrators.maps import Mixture, Power
from calibtool.data.predictions import Predictions
from calibtool.data.rows import reduce_rows
from calibtool.errors import FitError
from calibtool.types import Array

STEPS = 5_000
ENOUGH = 1e-10  # nats that better shares could still gain


def fit(predictions: Predictions) -> Calibrator:
    """Fit T, then the shares, by maximum likelihood.

    Args:
        predictions: N rows of logits or probabilities, with labels.

    Raises FitError where T has no finite optimum.

    >>> p = Predictions.from_logits([[1.0, 0.0], [0.0, 1.0]] * 5, [0, 1] * 4 + [1, 0])
    >>> round(float(fit(p)(p).values[0, 0]), 4)  # right 4 times in 5
    0.8
    """
    classes = require_fit(predictions)
    t, before, _ = temperature.best(predictions)
    scaled, plain = (_of_label(one) for one in (Power(t)(predictions), predictions))
    of_label = np.stack([scaled, plain, np.full(predictions.rows, 1 / classes)], axis=1)
    weights = predictions.weights
    weights = np.ones(predictions.rows) if weights is None else weights
    shares, gap, nll = best_shares(of_label, weights / weights.sum(), predictions.source)
    return finish(
        "ensemble-temperature",
        predictions,
        Mixture(t, shares),
        objective="nll",
        nll_before=before,
        nll_after=nll,
        gradient=gap,
    )


def _of_label(predictions: Predictions) -> Array:
    prob = reduce_rows(predictions).prob
    assert prob is not None
    return prob


def best_shares(q: Array, weights: Array, source: str) -> tuple[Array, float, float]:
    """The shares w of least mean -log(q w), what better ones could gain at most, and that mean.

    No shares gain more than max_j mean(q_j / (q w)) - 1, which is 0 at the optimum.
    """
    from scipy.optimize import minimize

    def nll(w: Array) -> tuple[float, Array]:
        mixed = np.maximum(q @ w, 1e-300)
        return -float(weights @ np.log(mixed)), -(weights / mixed) @ q

    found = minimize(
        nll,
        np.array([0.9, 0.05, 0.05]),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(3)},
        options={"ftol": 1e-16, "maxiter": 500},
    )
    w = np.clip(found.x, 0, 1)
    w /= w.sum()
    for _ in range(STEPS):  # each step multiplies a share by its mean gain, and so never loses
        gain = -nll(w)[1]
        if gain.max() - 1 <= ENOUGH:
            return w, max(float(gain.max()) - 1, 0.0), nll(w)[0]
        w = w * gain
        w /= w.sum()
    raise FitError(
        f"{source}: the shares did not converge; they are {w.round(6).tolist()}, and better ones "
        f"could gain {gain.max() - 1:.2g} nats"
    )
