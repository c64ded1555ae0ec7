"""Binary curves put together for K classes: the map of every binary calibrator."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from calibtool.calibrators import inputs
from calibtool.calibrators.class_bins import placed
from calibtool.calibrators.curves import CURVES, Curve, Steps, floor_from
from calibtool.calibrators.inputs import LOOKS
from calibtool.calibrators.maps import shares_from
from calibtool.data.files.document import Entry
from calibtool.data.predictions import Predictions
from calibtool.parallel import cores, ordered
from calibtool.types import Array

MULTICLASS = ("one-vs-rest", "shared", "top-label", "confidence")


@dataclass(frozen=True, eq=False)
class Curves:
    """Binary curves, put together for K classes.

    - one-vs-rest: one curve per class, on its own probability; rows are renormalised.
    - shared: one curve for all classes; rows are renormalised.
    - top-label: one curve per predicted class, on the confidence (Gupta & Ramdas 2022, alg. 1).
    - confidence: one curve on the confidence, for every predicted class.

    Two classes need one curve only, on P(class 1), and are called one-vs-rest. With top-label and
    confidence, the other classes share the remaining probability in proportion to what they had.

    Attributes:
        multiclass: one of these names.
        curves: 1 or K curves.
        floor: what a probability of 0 counts as.
        prior: (K,) shares of the classes in the fit data. A row to whose classes every curve gives
            0 cannot be renormalised and becomes this.
    """

    name: ClassVar[str] = "curves"
    multiclass: str
    curves: tuple[Curve, ...]
    floor: float
    prior: Array

    @property
    def on_top(self) -> bool:
        """Whether curves look at the confidence, rather than at the probability of a class."""
        return self.multiclass in ("top-label", "confidence")

    def __call__(self, block: Predictions) -> Predictions:
        if self.on_top:
            return inputs.same_form(block, self._of_top(block))
        if self._bins is not None:
            return inputs.same_form(block, placed(block, *self._bins, self.prior))
        values = self.by_class(block)
        total = values.sum(axis=0)
        empty = np.flatnonzero(total == 0)
        values[:, empty], total[empty] = self.prior[:, None], 1
        return inputs.same_form(block, inputs.turned(values, total))

    @cached_property
    def _bins(self) -> tuple[Array, Array] | None:
        """The edges that all curves share, and the (K, B) values, where they are such steps."""
        steps = [curve for curve in self.curves if isinstance(curve, Steps)]
        if len(steps) < len(self.prior) or len(steps) < 3 or not len(steps[0].edges):
            return None
        if not all(np.array_equal(curve.edges, steps[0].edges) for curve in steps):
            return None
        return steps[0].edges, np.stack([curve.values for curve in steps])

    def by_class(self, block: Predictions) -> Array:
        """Return (K, n): the value of each class's curve, before rows are made to sum to 1."""
        score = inputs.by_class(LOOKS[self.curves[0].look], block, self.floor)
        if len(self.prior) == 2:
            positive = self.curves[0](score[1])
            return np.stack([1 - positive, positive])
        own = score.flags.writeable and score.dtype == np.float64
        out = score if own else np.empty(score.shape)

        def fill(share: range) -> None:
            for k in share:
                out[k] = self._curve_of(k)(score[k])

        list(ordered(fill, inputs.shares(len(score), block.rows), cores()))
        return out

    def placed_at_prior(self, predictions: Predictions) -> int:
        """Return the number of rows that become `prior`, since every curve gives them 0."""
        if self.on_top:
            return 0
        return sum(
            int(np.count_nonzero(~self.by_class(piece).any(axis=0)))
            for piece in inputs.pieces(predictions)
        )

    def interval(self, block: Predictions) -> tuple[Array, Array]:
        """Return (n, K) lower and upper probabilities, class by class.

        Only curves that have an `interval` themselves (`Pair`, `Crossed`) can answer.
        """
        score = LOOKS[self.curves[0].look](block, self.floor)
        curves: Any = self.curves
        if len(self.prior) == 2:
            low, high = curves[0].interval(score[:, 1])
            return np.stack([1 - high, low], axis=1), np.stack([1 - low, high], axis=1)
        curves = curves * (score.shape[1] // len(curves))
        columns = np.ascontiguousarray(score.T)
        bounds = [curve.interval(x) for curve, x in zip(curves, columns, strict=True)]
        lows, highs = zip(*bounds, strict=True)
        return np.stack(lows, axis=1), np.stack(highs, axis=1)

    def describe(self) -> str:
        if len(self.prior) == 2 and self.multiclass == "one-vs-rest":
            return f"{self.count():,} parameters"
        return f"{self.multiclass}, {self.count():,} parameters"

    def count(self) -> int:
        """Return the number of fitted parameters."""
        return sum(curve.count() for curve in self.curves)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters as the calibrator file keeps them."""
        return {
            "multiclass": self.multiclass,
            "curve": self.curves[0].name,
            "curves": [curve.parameters() for curve in self.curves],
            "floor": self.floor,
            "prior": self.prior.tolist(),
        }

    @classmethod
    def from_parameters(cls, parameters: Entry, classes: int) -> Self:
        """Return the map with these parameters; raise InputError if they define none."""
        multiclass = parameters["multiclass"].text(MULTICLASS)
        kind = parameters["curve"].text(CURVES)
        single = multiclass in ("shared", "confidence") or (
            classes == 2 and multiclass == "one-vs-rest"
        )
        saved = parameters["curves"].items(1 if single else classes)
        curves = tuple(CURVES[kind].from_parameters(curve) for curve in saved)
        prior = shares_from(parameters["prior"], classes)
        return cls(multiclass, curves, floor_from(parameters), prior)

    def _curve_of(self, k: int) -> Curve:
        return self.curves[k if len(self.curves) > 1 else 0]

    def _of_top(self, block: Predictions) -> Array:
        """Return (n, K): the top class at its curve's value, the others scaled to fill the rest."""
        top, score = _top(block, self.curves[0].look, self.floor)
        new = np.empty(len(top))
        for k in np.unique(top):
            at = top == k
            new[at] = self._curve_of(k)(score[at])
        return with_top(block, top, new)


def with_top(block: Predictions, top: Array, new: Array) -> Array:
    """Return (n, K) probabilities: each row's top class at a new value, the others scaled to fill
    the rest."""
    before = inputs.probs(block).astype(np.float64)
    rows = np.arange(len(top))
    before[rows, top] = 0
    rest = before.sum(axis=1)
    even = 1 / (before.shape[1] - 1)  # where the others had nothing, in equal parts
    # of a rest below the smallest normal number, shares are not known, and would overflow
    some = rest >= np.finfo(float).tiny
    share = np.where(some, (1 - new) / np.where(some, rest, 1), 0)
    after = np.where(some[:, None], before * share[:, None], ((1 - new) * even)[:, None])
    after[rows, top] = new
    return np.asarray(after)


def top_scores(predictions: Predictions, look: str, floor: float) -> tuple[Array, Array]:
    """Return the predicted class of each row, (N,), and the score of that class, (N,)."""
    parts = [_top(piece, look, floor) for piece in inputs.pieces(predictions)]
    return np.concatenate([top for top, _ in parts]), np.concatenate([x for _, x in parts])


def _top(block: Predictions, look: str, floor: float) -> tuple[Array, Array]:
    top = block.matrix().argmax(axis=1)
    return top, LOOKS[look](block, floor)[np.arange(len(top)), top]
