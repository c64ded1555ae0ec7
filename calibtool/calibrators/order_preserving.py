"""Order-preserving scaling: softmax(m(log p)), one rising curve m for all classes, the diagonal
intra-order-preserving functions of Rahimi et al. 2020 (sec. 4.3).

m is a smooth spline whose slopes stay above 0, so that classes keep their order; a penalty on its
changes draws it to temperature scaling, of which it is the generalisation. The likelihood is convex
in the slopes.
"""

from __future__ import annotations

import numpy as np

from calibtool.calibrators import inputs
from calibtool.calibrators.calibrator import Calibrator, finish, require_fit
from calibtool.calibrators.curves import Bend
from calibtool.calibrators.fitting.bounded import bend_basis, minimise, require_shape, roughness
from calibtool.calibrators.maps import Monotone
from calibtool.calibrators.spline import quantiles
from calibtool.data.predictions import Predictions
from calibtool.errors import FitError
from calibtool.parallel import cores, ordered
from calibtool.types import Array

LEAST = 1e-3  # a slope
MOST = 1e6


def fit(predictions: Predictions, *, knots: int = 8, smoothness: float = 1.0) -> Calibrator:
    """Fit the slopes, by maximum likelihood with the penalty.

    Args:
        predictions: N rows of logits or probabilities, with labels.
        knots: how many, at quantiles of the second highest log-probability, and at 0.
        smoothness: nats that a change of slope by 1 costs, from knot to knot.

    Raises FitError where there is no finite optimum.

    >>> p = Predictions.from_logits([[1.0, 0.0], [0.0, 1.0]] * 5, [0, 1] * 4 + [1, 0])
    >>> round(float(np.diff(fit(p)(p).values[0])[0]), 4)  # right 4 times in 5
    -1.3863
    """
    classes = require_fit(predictions)
    require_shape(knots, smoothness)
    floor = inputs.floor_of(predictions)
    second = inputs.by_row(
        lambda block, floor: np.partition(inputs.log_probs(block, floor), -2, axis=1)[:, [-2]],
        predictions,
        floor,
    )
    weights = predictions.weights
    weights = np.ones(predictions.rows) if weights is None else weights
    order = np.argsort(second[:, 0])
    below = quantiles(second[order, 0], weights[order], knots - 1)
    at = np.append(below, 0.0)
    rows = weights.sum()
    rough = 2 * smoothness / rows * roughness(len(at))
    step = max(1, inputs.PIECE // (classes * len(at)))

    def piece(block: Predictions, v: Array, start: int) -> tuple[float, Array, Array]:
        log_p = inputs.log_probs(block, floor)
        basis = bend_basis(log_p.ravel(), at).reshape(*log_p.shape, len(at))
        s = basis @ v
        s -= s.max(axis=1, keepdims=True)
        mine = np.arange(len(s))
        own = weights[start : start + len(s)] / rows
        label = s[mine, block.labels]
        p = np.exp(s)
        total = p.sum(axis=1)
        p /= total[:, None]
        mean = np.einsum("nk,nkm->nm", p, basis)
        slope = own @ (mean - basis[mine, block.labels])
        p *= own[:, None]
        flat = basis.reshape(-1, len(at))
        curve = (flat * p.reshape(-1, 1)).T @ flat - (mean * own[:, None]).T @ mean
        return float(own @ (np.log(total) - label)), slope, curve

    def objective(v: Array) -> tuple[float, Array, Array]:
        numbered = enumerate(predictions.blocks(step))
        work = lambda item: piece(item[1], v, item[0] * step)
        parts = list(ordered(work, numbered, cores() if predictions.rows > step else 1))
        value, slope, curve = (sum(part[i] for part in parts) for i in range(3))
        return float(value) + float(v @ rough @ v) / 2, slope + rough @ v, curve + rough

    v, value, gradient = minimise(objective, np.ones(len(at)), np.full(len(at), LEAST))
    if v.max() > MOST or value < 1e-9:
        raise FitError(
            f"{predictions.source}: every row is right, so the likelihood rises for ever as the "
            "slopes grow; fit on data that the model has not been trained on, or on more rows"
        )
    return finish(
        "order-preserving",
        predictions,
        Monotone(Bend(at, v, 0.0), floor),
        objective="nll with a penalty",
        gradient=gradient,
        options={"knots": knots, "smoothness": smoothness},
        notes=tuple(inputs.note_of_zeros(predictions, floor)),
    )
