"""Order-preserving scaling: softmax(m(log p)), with one rising curve m for all classes. These are
the diagonal intra-order-preserving functions of Rahimi et al. 2020 (sec. 4.3).

m is a smooth spline whose slopes stay above 0, so that classes keep their order. A penalty on
changes of the slope draws it to a straight line, which is temperature scaling. The scores are
linear in the slopes, so the negative log-likelihood is convex in them.
"""

from __future__ import annotations

import numpy as np

from calibtool.calibrators import inputs
from calibtool.calibrators.calibrator import Calibrator, finish, require_fit
from calibtool.calibrators.curves import Bend
from calibtool.calibrators.fitted import FitRecord
from calibtool.calibrators.fitting.bounded import (
    bend_basis,
    minimise,
    quantiles,
    require_shape,
    roughness,
)
from calibtool.calibrators.fitting.logistic import CERTAIN, FAR
from calibtool.calibrators.maps import Monotone
from calibtool.data.predictions import Predictions
from calibtool.errors import FitError
from calibtool.parallel import cores, ordered
from calibtool.types import Array

# The smallest slope: of a temperature of 1,000. At a slope of 0 classes would be tied.
MIN_SLOPE = 1e-3


def fit(predictions: Predictions, *, knots: int = 8, smoothness: float = 1.0) -> Calibrator:
    """Fit the slopes by maximum likelihood with the penalty.

    Args:
        predictions: N rows of logits or probabilities, with labels.
        knots: number of knots: at quantiles of the second highest log-probability, and one at 0.
        smoothness: price, in nats, of a change of the slope by 1 from one knot to the next.

    Raises FitError if there is no finite optimum.

    >>> p = Predictions.from_logits([[1.0, 0.0], [0.0, 1.0]] * 5, [0, 1] * 4 + [1, 0])
    >>> round(float(np.diff(fit(p)(p).values[0])[0]), 4)  # right 4 times in 5
    -1.3863
    """
    classes = require_fit(predictions)
    require_shape(knots, smoothness)
    floor = inputs.floor_of(predictions)
    weights = inputs.weights_of(predictions)
    at = _knots(predictions, floor, weights, knots)
    rows = weights.sum()
    rough = 2 * smoothness / rows * roughness(len(at))
    step = max(1, inputs.PIECE // (classes * len(at)))

    def sum_block(block: Predictions, v: Array, start: int) -> tuple[float, Array, Array]:
        """Return the NLL of a block, its slope and its second derivatives in v."""
        log_p = inputs.log_probs(block, floor)
        basis = bend_basis(log_p.ravel(), at).reshape(*log_p.shape, len(at))
        s = basis @ v
        s -= s.max(axis=1, keepdims=True)
        row = np.arange(len(s))
        w = weights[start : start + len(s)] / rows
        label = s[row, block.labels]
        p = np.exp(s)
        total = p.sum(axis=1)
        p /= total[:, None]
        mean = np.einsum("nk,nkm->nm", p, basis)
        slope = w @ (mean - basis[row, block.labels])
        p *= w[:, None]
        flat = basis.reshape(-1, len(at))
        curve = (flat * p.reshape(-1, 1)).T @ flat - (mean * w[:, None]).T @ mean
        return float(w @ (np.log(total) - label)), slope, curve

    def objective(v: Array) -> tuple[float, Array, Array]:
        numbered = enumerate(predictions.blocks(step))
        work = lambda item: sum_block(item[1], v, item[0] * step)
        parts = list(ordered(work, numbered, cores() if predictions.rows > step else 1))
        value, slope, curve = (sum(part[i] for part in parts) for i in range(3))
        return float(value) + float(v @ rough @ v) / 2, slope + rough @ v, curve + rough

    v, value, gradient = minimise(objective, np.ones(len(at)), np.full(len(at), MIN_SLOPE))
    if v.max() > FAR or value < CERTAIN:
        raise FitError(
            f"{predictions.source}: every row is right, so the likelihood increases without bound "
            "as the slopes grow; fit on data that the model has not been trained on, or on more "
            "rows"
        )
    return finish(
        "order-preserving",
        predictions,
        Monotone(Bend(at, v, 0.0), floor),
        FitRecord(
            objective="nll with a penalty",
            gradient=gradient,
            options={"knots": knots, "smoothness": smoothness},
            notes=tuple(inputs.notes_of_zeros(inputs.floored(predictions), floor)),
        ),
    )


def _knots(predictions: Predictions, floor: float, weights: Array, count: int) -> Array:
    """Return where the slope may change, (count,): at weighted quantiles of the second highest
    log-probability, and at 0.

    Which class is ahead, and by how much, is decided between the two highest log-probabilities. The
    highest is near 0 in most rows; the second spreads over where the curve must bend.
    """
    second = inputs.by_row(
        lambda block, floor: np.partition(inputs.log_probs(block, floor), -2, axis=1)[:, [-2]],
        predictions,
        floor,
    )
    order = np.argsort(second[:, 0])
    return np.append(quantiles(second[order, 0], weights[order], count - 1), 0.0)
