"""Ensemble temperature scaling: w1 softmax(z / T) + w2 softmax(z) + w3 / K (Zhang et al. 2020, sec.
3.2). The shares w are not negative and sum to 1. T is that of temperature scaling, as in the
authors' code; given T, the likelihood is concave in the shares."""

from __future__ import annotations

import numpy as np

from calibtool.calibrators import inputs, temperature
from calibtool.calibrators.calibrator import Calibrator, finish, require_fit
from calibtool.calibrators.fitted import FitRecord
from calibtool.calibrators.fitting.bounded import minimise
from calibtool.calibrators.maps import Mixture, Power
from calibtool.data.predictions import Predictions
from calibtool.data.rows import reduce_rows
from calibtool.errors import FitError
from calibtool.types import Array

# Nats that better shares could still gain, by the bound of `best_shares`: far below the sampling
# noise of a mean NLL, which is 1e-3 for a million rows.
ENOUGH = 1e-10
# Shares are sought down to this. At 0, a row that has nothing under the other parts is infinitely
# off, and Newton's steps, which at most double a share there, would not come back.
FLOOR = 1e-15


def fit(predictions: Predictions) -> Calibrator:
    """Fit T, then the shares, by maximum likelihood.

    Args:
        predictions: N rows of logits or probabilities, with labels.

    Raises FitError if T has no finite optimum.

    >>> p = Predictions.from_logits([[1.0, 0.0], [0.0, 1.0]] * 5, [0, 1] * 4 + [1, 0])
    >>> round(float(fit(p)(p).values[0, 0]), 4)  # right 4 times in 5
    0.8
    """
    classes = require_fit(predictions)
    t, before, _ = temperature.best(predictions)
    scaled, plain = _label_probs(Power(t)(predictions)), _label_probs(predictions)
    of_label = np.stack([scaled, plain, np.full(predictions.rows, 1 / classes)], axis=1)
    weights = inputs.weights_of(predictions)
    shares, gap, nll = best_shares(of_label, weights / weights.sum(), predictions.source)
    return finish(
        "ensemble-temperature",
        predictions,
        Mixture(t, shares),
        FitRecord(objective="nll", nll_before=before, nll_after=nll, gradient=gap),
    )


def _label_probs(predictions: Predictions) -> Array:
    """Return the (N,) probability of each row's label."""
    prob = reduce_rows(predictions).prob
    assert prob is not None
    return prob


def best_shares(q: Array, weights: Array, source: str) -> tuple[Array, float, float]:
    """Return the shares w of smallest mean -log(q w), a bound on what others gain, and that mean.

    No shares gain more than max_j mean(q_j / (q w)) - 1, which is 0 at the optimum: for any shares
    v, mean log(q v / q w) <= mean(q v / q w) - 1, a mean over j of the former with weights v_j.

    That the shares sum to 1 needs no constraint: at the minimum of mean -log(q w) + sum(w) over all
    w >= 0, mean(q_j / (q w)) is 1 for every j whose share is not 0, and the mean of these, weighted
    by w, is the sum of w.

    Args:
        q: (N, 3) probability of each row's label under each of the three parts.
        weights: (N,) that sum to 1.
        source: the name of the data, for messages.

    Raises FitError if the shares do not converge.
    """

    def objective(w: Array) -> tuple[float, Array, Array]:
        mixed = np.maximum(q @ w, 1e-300)  # shares may be tried under which a row has nothing
        each = weights / mixed
        curve = (q * (each / mixed)[:, None]).T @ q
        return float(w.sum() - weights @ np.log(mixed)), 1 - each @ q, curve

    # near temperature scaling, with no share at 0
    w, _, _ = minimise(objective, np.array([0.9, 0.05, 0.05]), np.full(3, FLOOR))
    w = np.where(w <= FLOOR, 0, w)
    w /= w.sum()
    value, slope, _ = objective(w)
    gap = -float(slope.min())
    if gap > ENOUGH:
        raise FitError(
            f"{source}: the shares did not converge; they are {w.round(6).tolist()}, and better "
            f"ones could gain {gap:.2g} nats"
        )
    return w, max(gap, 0.0), value - 1
