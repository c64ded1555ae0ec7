"""Order-preserving scaling: softmax(m(log p)), with one rising curve m for all classes. These are
the diagonal intra-order-preserving functions of Rahimi et al. 2020 (sec. 4.3).

m is a smooth spline whose slopes stay above 0, so that classes keep their order. A penalty on
changes of the slope draws it to a straight line, which is temperature scaling. The scores are
linear in the slopes, so the negative log-likelihood is convex in them.
"""

from __future__ import annotations

from dataclasses import dataclass

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
# Values up to which the basis is held from pass to pass: 16 bytes a value with many classes and up
# to 80 with two, 160 MB. Beyond, each pass makes it again.
HELD = 1 << 21


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
    step = max(1, inputs.PIECE // classes)
    threads = cores() if predictions.rows > step else 1

    def look(item: tuple[int, Predictions]) -> _Block:
        start, block = item[0] * step, item[1]
        w = weights[start : start + block.rows] / rows
        assert block.labels is not None
        return _Block.of(inputs.log_probs(block, floor), block.labels, w, at)

    held = None
    if predictions.values.size <= HELD:
        held = list(ordered(look, enumerate(predictions.blocks(step)), threads))

    def objective(v: Array) -> tuple[float, Array, Array]:
        if held is not None:
            parts = list(ordered(lambda block: block.sums(v), held, threads))
        else:
            numbered = enumerate(predictions.blocks(step))
            parts = list(ordered(lambda item: look(item).sums(v), numbered, threads))
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


@dataclass(frozen=True, eq=False)
class _Block:
    """Rows as the likelihood of the slopes sees them: the basis of `bend_basis` at each (row,
    class).

    With many classes nearly all log-probabilities lie below the second knot, where only the first
    two columns of the basis are not 0: those are held as two arrays, and whole rows of the basis
    for the others alone.

    Attributes:
        first, second: (n, K) columns 0 and 1, below the second knot; 0 above it.
        above: (H,) where in (n, K), read row by row, the others are.
        basis: (H, M) of them.
        present, starts: the rows that have any, and where in `above` these begin.
        label: (n, M) the basis at each row's label.
        labels, weights: (n,).
    """

    first: Array
    second: Array
    above: Array
    basis: Array
    present: Array
    starts: Array
    label: Array
    labels: Array
    weights: Array

    @classmethod
    def of(cls, log_p: Array, labels: Array, weights: Array, at: Array) -> _Block:
        """Return the rows with these (n, K) log-probabilities, for knots `at`."""
        above = np.flatnonzero(log_p > at[1])
        first = log_p - at[0]
        second = np.maximum(first, 0)
        second *= second
        second /= 2 * (at[1] - at[0])
        first -= second
        first.flat[above] = second.flat[above] = 0
        row = above // log_p.shape[1]
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        basis = bend_basis(log_p.ravel()[above], at).T.copy()
        label = bend_basis(log_p[np.arange(len(log_p)), labels], at).T.copy()
        return cls(first, second, above, basis, row[starts], starts, label, labels, weights)

    def sums(self, v: Array) -> tuple[float, Array, Array]:
        """Return the weighted NLL, its slope and its second derivatives in v."""
        w = self.weights
        p = v[0] * self.first
        p += v[1] * self.second
        p.flat[self.above] = self.basis @ v
        p -= p.max(axis=1, keepdims=True)
        label = p[np.arange(len(p)), self.labels]
        with np.errstate(under="ignore"):
            np.exp(p, out=p)
        total = p.sum(axis=1)
        p /= total[:, None]
        weighted = p.ravel()[self.above, None] * self.basis
        mean = np.zeros_like(self.label)
        mean[:, 0] = np.vecdot(p, self.first)
        mean[:, 1] = np.vecdot(p, self.second)
        if len(self.above):
            mean[self.present] += np.add.reduceat(weighted, self.starts)
        slope = w @ (mean - self.label)
        weighted *= w[self.above // p.shape[1], None]
        curve = weighted.T @ self.basis - (mean * w[:, None]).T @ mean
        p *= w[:, None]
        bent = p * self.second
        curve[1, 1] += np.vdot(bent, self.second)
        cross = np.vdot(bent, self.first)
        curve[0, 1] += cross
        curve[1, 0] += cross
        p *= self.first
        curve[0, 0] += np.vdot(p, self.first)
        return float(w @ (np.log(total) - label)), slope, curve


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
