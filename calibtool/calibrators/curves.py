"""Curves: from one score to one probability. Binary calibrators fit the parameters of one.

Each curve is a frozen record of its parameters, called on an array of scores. A score is a
probability, or its log-odds x = log p - log(1 - p); `look` names which.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from calibtool.metrics.cells import locate
from calibtool.types import Array


class Curve(Protocol):
    """The interface of all curves: from scores (n,) to probabilities (n,)."""

    name: ClassVar[str]
    look: ClassVar[str]

    def __call__(self, score: Array) -> Array: ...
    def count(self) -> int: ...
    def parameters(self) -> dict[str, Any]: ...
    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> Self: ...


class _Record:
    """A dataclass whose fields are numbers and arrays, as lists of numbers in files."""

    def parameters(self) -> dict[str, Any]:
        """Return the parameters as the calibrator file keeps them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> Self:
        """Return the curve with these parameters.

        Raises KeyError for a missing one, TypeError or ValueError for values that define no curve.
        """
        names = {field.name: field.type for field in fields(cls)}  # type: ignore[arg-type]
        for name in names:
            if name not in parameters:
                raise KeyError(name)
        values = {
            name: number(name, parameters[name]) if kind == "float" else row(name, parameters[name])
            for name, kind in names.items()
        }
        curve = cls(**values)
        curve.check()
        return curve

    def check(self) -> None:
        """Raise ValueError for parameters that define no curve."""

    def count(self) -> int:
        """Return the number of fitted parameters."""
        return sum(int(np.size(value)) for value in self.parameters().values())


def number(name: str, value: Any) -> float:
    """Return a parameter that is one number; raise TypeError if it is not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    return float(value)


def row(name: str, value: Any, length: int | None = None) -> Array:
    """Return a parameter that is a list of numbers, (length,) float64.

    Raises TypeError for anything else, ValueError for another length.
    """
    if not isinstance(value, list) or any(
        isinstance(v, bool) or not isinstance(v, (int, float)) for v in value
    ):
        raise TypeError(f"{name} must be a list of numbers")
    if length is not None and len(value) != length:
        raise ValueError(f"{name} must be {length} numbers, not {len(value)}")
    return np.array(value, dtype=np.float64)


def floor_from(parameters: dict[str, Any]) -> float:
    """Return the parameter `floor`, what a probability of 0 counts as, in (0, 1)."""
    floor = number("floor", parameters["floor"])
    if not 0 < floor < 1:
        raise ValueError(f"floor must lie between 0 and 1, not {floor:g}")
    return floor


def _require(valid: Any, message: str) -> None:
    if not valid:
        raise ValueError(message)


@dataclass(frozen=True, eq=False)
class Sigmoid(_Record):
    """1 / (1 + exp(-(a log p - b log(1 - p) + c))), p the probability whose log-odds are x (Kull et
    al. 2017, eq. 6). With a = b it is Platt's sigmoid of a x + c."""

    name: ClassVar[str] = "sigmoid"
    look: ClassVar[str] = "log-odds"
    a: float
    b: float
    c: float

    def __call__(self, score: Array) -> Array:
        from scipy.special import expit, log_expit

        if self.a == self.b:
            return np.asarray(expit(self.a * score + self.c))
        return np.asarray(expit(self.a * log_expit(score) - self.b * log_expit(-score) + self.c))

    def count(self) -> int:
        """Return the number of fitted parameters."""
        return 2 if self.a == self.b else 3


@dataclass(frozen=True, eq=False)
class Steps(_Record):
    """One constant per bin (lo, hi]; `edges` are the upper edges of all bins but the last."""

    name: ClassVar[str] = "steps"
    look: ClassVar[str] = "probs"
    edges: Array
    values: Array

    def __call__(self, score: Array) -> Array:
        out = np.full(len(score), self.values[0])
        # With many classes, most scores lie in the first bin: only the others are located.
        if len(self.edges):
            at = np.flatnonzero(score > self.edges[0].astype(score.dtype))
            out[at] = self.values[locate(score[at], np.append(self.edges, np.inf))]
        return out

    def check(self) -> None:
        _require(len(self.values) == len(self.edges) + 1, "there must be one value more than edges")
        _require((np.diff(self.edges) > 0).all(), "edges must increase")
        _require(((self.values >= 0) & (self.values <= 1)).all(), "values must lie in [0, 1]")

    @classmethod
    def merged(cls, edges: Array, values: Array) -> Steps:
        """Return the steps without edges at which the value does not change."""
        change = np.flatnonzero(values[1:] != values[:-1])
        return cls(edges[change], values[np.append(change, len(values) - 1)])


@dataclass(frozen=True, eq=False)
class Line(_Record):
    """Linear between the points (x, y), constant beyond the first and the last."""

    name: ClassVar[str] = "line"
    look: ClassVar[str] = "probs"
    x: Array
    y: Array

    def __call__(self, score: Array) -> Array:
        out = np.full(len(score), self.y[0])
        turns = np.flatnonzero(self.y != self.y[0])
        if not len(turns):
            return out
        # With many classes, most scores lie on the first flat: only the others are interpolated.
        at = np.flatnonzero(score > self.x[turns[0] - 1])
        out[at] = np.interp(score[at], self.x, self.y)
        return out

    def check(self) -> None:
        _require(len(self.x) == len(self.y) > 0, "x and y must have the same length")
        _require((np.diff(self.x) > 0).all(), "x must increase")
        _require(((self.y >= 0) & (self.y <= 1)).all(), "y must lie in [0, 1]")


@dataclass(frozen=True, eq=False)
class Bend(_Record):
    """The sigmoid of a smooth rising curve of any height: its slope is linear between the knots and
    constant beyond the first and the last (a quadratic spline; Ramsay 1988, sec. 2).

    Attributes:
        knots: (M,) increasing.
        slopes: (M,) slopes at the knots, not negative.
        start: the height at the first knot.
    """

    name: ClassVar[str] = "bend"
    look: ClassVar[str] = "log-odds"
    knots: Array
    slopes: Array
    start: float

    def heights(self) -> Array:
        """Return (M,): the height at each knot. A slope that changes linearly rises by its mean."""
        rises = np.diff(self.knots) * (self.slopes[1:] + self.slopes[:-1]) / 2
        return np.asarray(self.start + np.concatenate([[0.0], np.cumsum(rises)]))

    def bends(self) -> Array:
        """Return (M,): the second derivative beyond each knot; 0 beyond the last."""
        return np.append(np.diff(self.slopes) / np.diff(self.knots), 0.0)

    def height(self, score: Array) -> Array:
        """Return the height of the curve, before the sigmoid."""
        k = np.clip(np.searchsorted(self.knots, score, side="right") - 1, 0, len(self.knots) - 1)
        d = score - self.knots[k]
        bend = np.where(d < 0, 0.0, self.bends()[k])  # straight before the first knot
        return np.asarray(self.heights()[k] + d * (self.slopes[k] + d * bend / 2))

    def __call__(self, score: Array) -> Array:
        from scipy.special import expit

        return np.asarray(expit(self.height(score)))

    def check(self) -> None:
        _require(len(self.knots) == len(self.slopes) > 0, "one slope per knot is needed")
        _require((np.diff(self.knots) > 0).all(), "knots must increase")
        _require((self.slopes >= 0).all(), "slopes must not be negative")


@dataclass(frozen=True, eq=False)
class Pair(_Record):
    """Two step functions, p0 <= p1, and the probability p1 / (1 - p0 + p1), which minimises the
    worst regret in log loss between them (Vovk et al. 2015, sec. 4).

    Attributes:
        below, p0: p0 changes at the scores `below`, which belong to the step above them.
        above, p1: p1 changes at the scores `above`, which belong to the step below them.
    """

    name: ClassVar[str] = "pair"
    look: ClassVar[str] = "probs"
    below: Array
    p0: Array
    above: Array
    p1: Array

    def interval(self, score: Array) -> tuple[Array, Array]:
        """Return p0 and p1 of each score, (n,) each."""
        # edges in the dtype of the scores: a float32 score equals an edge that came from it
        below, above = self.below.astype(score.dtype), self.above.astype(score.dtype)
        low = self.p0[np.searchsorted(below, score, side="right")]
        high = self.p1[np.searchsorted(above, score, side="left")]
        return low, high

    def __call__(self, score: Array) -> Array:
        low, high = self.interval(score)
        return np.asarray(high / (1 - low + high))

    def check(self) -> None:
        for edges, values in ((self.below, self.p0), (self.above, self.p1)):
            _require(len(values) == len(edges) + 1, "there must be one value more than edges")
            _require((np.diff(edges) > 0).all(), "edges must increase")
            _require(((values >= 0) & (values <= 1)).all(), "values must lie in [0, 1]")


@dataclass(frozen=True, eq=False)
class Crossed:
    """Pairs of several folds, merged by geometric means (Vovk et al. 2015, sec. 5): the minimax
    probability is G(p1) / (G(1 - p0) + G(p1))."""

    name: ClassVar[str] = "crossed"
    look: ClassVar[str] = "probs"
    pairs: tuple[Pair, ...]

    def interval(self, score: Array) -> tuple[Array, Array]:
        """Return the merged p0 and p1 of each score, (n,) each."""
        bounds = [pair.interval(score) for pair in self.pairs]
        with np.errstate(divide="ignore"):
            not_low = np.exp(np.mean([np.log1p(-low) for low, _ in bounds], axis=0))
            high = np.exp(np.mean([np.log(high) for _, high in bounds], axis=0))
        return 1 - not_low, high

    def __call__(self, score: Array) -> Array:
        low, high = self.interval(score)
        return np.asarray(high / (1 - low + high))

    def count(self) -> int:
        """Return the number of fitted parameters."""
        return sum(pair.count() for pair in self.pairs)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters as the calibrator file keeps them."""
        return {"pairs": [pair.parameters() for pair in self.pairs]}

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> Self:
        """Return the curve with these parameters; raise ValueError if they define none."""
        pairs = tuple(Pair.from_parameters(pair) for pair in parameters["pairs"])
        _require(pairs, "pairs must not be empty")
        return cls(pairs)


CURVES: dict[str, type[Curve]] = {
    curve.name: curve for curve in (Sigmoid, Steps, Line, Bend, Pair, Crossed)
}
