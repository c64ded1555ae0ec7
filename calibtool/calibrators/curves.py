"""Curves: from one score to one probability. What binary calibrators fit.

Each is a frozen record of its parameters, called on an array of scores. A score is a probability,
or its log-odds x = log p - log(1 - p); `look` says which.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from calibtool.metrics.cells import locate
from calibtool.types import Array


class Curve(Protocol):
    """What the wrappers need of a curve."""

    name: ClassVar[str]
    look: ClassVar[str]

    def __call__(self, score: Array) -> Array: ...
    def count(self) -> int: ...
    def parameters(self) -> dict[str, Any]: ...
    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> Self: ...


class _Record:
    """Parameters to and from lists of numbers, field by field."""

    def parameters(self) -> dict[str, Any]:
        """What the calibrator file keeps."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> Self:
        """The inverse of `parameters`; raises ValueError where they make no curve."""
        names = {field.name: field.type for field in fields(cls)}  # type: ignore[arg-type]
        for name in names:
            if name not in parameters:
                raise KeyError(name)
        values = {
            name: number(name, parameters[name]) if kind == "float" else row(name, parameters[name])
            for name, kind in names.items()
        }
        made = cls(**values)
        made.check()
        return made

    def check(self) -> None:
        """Raise ValueError for parameters that make no curve."""

    def count(self) -> int:
        """Numbers that were fitted."""
        return sum(int(np.size(value)) for value in self.parameters().values())


def number(name: str, value: Any) -> float:
    """A parameter that is one number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    return float(value)


def row(name: str, value: Any, length: int | None = None) -> Array:
    """A parameter that is a list of numbers."""
    if not isinstance(value, list) or any(
        isinstance(v, bool) or not isinstance(v, (int, float)) for v in value
    ):
        raise TypeError(f"{name} must be a list of numbers")
    if length is not None and len(value) != length:
        raise ValueError(f"{name} must be {length} numbers, not {len(value)}")
    return np.array(value, dtype=np.float64)


def floor_from(parameters: dict[str, Any]) -> float:
    """Return the parameter that says what a probability of 0 counts as: in (0, 1)."""
    floor = number("floor", parameters["floor"])
    if not 0 < floor < 1:
        raise ValueError(f"floor must lie between 0 and 1, not {floor:g}")
    return floor


def _require(ok: Any, what: str) -> None:
    if not ok:
        raise ValueError(what)


@dataclass(frozen=True, eq=False)
class Sigmoid(_Record):
    """1 / (1 + exp(-(a log p - b log(1 - p) + c))), p the probability whose log-odds are x. With
    a = b it is Platt's sigmoid of a x + c (Kull et al. 2017, eq. 6)."""

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
        """Numbers that were fitted."""
        return 2 if self.a == self.b else 3


@dataclass(frozen=True, eq=False)
class Steps(_Record):
    """A constant a bin: bins (lo, hi] between upper `edges`, the last without one."""

    name: ClassVar[str] = "steps"
    look: ClassVar[str] = "probs"
    edges: Array
    values: Array

    def __call__(self, score: Array) -> Array:
        out = np.full(len(score), self.values[0])
        if len(self.edges):  # of many classes, most scores lie in the first bin
            at = np.flatnonzero(score > self.edges[0].astype(score.dtype))
            out[at] = self.values[locate(score[at], np.append(self.edges, np.inf))]
        return out

    def check(self) -> None:
        _require(len(self.values) == len(self.edges) + 1, "values must be one more than the edges")
        _require((np.diff(self.edges) > 0).all(), "edges must rise")
        _require(((self.values >= 0) & (self.values <= 1)).all(), "values must lie in [0, 1]")

    @classmethod
    def merged(cls, edges: Array, values: Array) -> Steps:
        """Steps without edges at which nothing changes."""
        change = np.flatnonzero(values[1:] != values[:-1])
        return cls(edges[change], values[np.append(change, len(values) - 1)])


@dataclass(frozen=True, eq=False)
class Line(_Record):
    """Straight between the points (x, y), constant beyond the first and the last."""

    name: ClassVar[str] = "line"
    look: ClassVar[str] = "probs"
    x: Array
    y: Array

    def __call__(self, score: Array) -> Array:
        out = np.full(len(score), self.y[0])
        turns = np.flatnonzero(self.y != self.y[0])
        if not len(turns):
            return out
        # of many classes, most scores lie on the first flat
        at = np.flatnonzero(score > self.x[turns[0] - 1])
        out[at] = np.interp(score[at], self.x, self.y)
        return out

    def check(self) -> None:
        _require(len(self.x) == len(self.y) > 0, "x and y must be as long as one another")
        _require((np.diff(self.x) > 0).all(), "x must rise")
        _require(((self.y >= 0) & (self.y <= 1)).all(), "y must lie in [0, 1]")


@dataclass(frozen=True, eq=False)
class Bend(_Record):
    """A rising, smooth curve on the line: its slope is straight between the knots, and constant
    beyond the first and the last (a quadratic spline; Ramsay 1988, sec. 2).

    Attributes:
        knots: (M,) rising.
        slopes: (M,) slopes there, not negative.
        start: the value at the first knot.
    """

    name: ClassVar[str] = "bend"
    look: ClassVar[str] = "log-odds"
    knots: Array
    slopes: Array
    start: float

    def height(self, score: Array) -> Array:
        """The curve itself."""
        gaps = np.diff(self.knots)
        rises = gaps * (self.slopes[1:] + self.slopes[:-1]) / 2
        at = self.start + np.concatenate([[0.0], np.cumsum(rises)])
        k = np.clip(np.searchsorted(self.knots, score, side="right") - 1, 0, len(self.knots) - 1)
        d = score - self.knots[k]
        bend = np.append(np.diff(self.slopes) / gaps, 0.0)
        bend = np.where(d < 0, 0.0, bend[k])  # before the first knot
        return np.asarray(at[k] + d * (self.slopes[k] + d * bend / 2))

    def __call__(self, score: Array) -> Array:
        from scipy.special import expit

        return np.asarray(expit(self.height(score)))

    def check(self) -> None:
        _require(len(self.knots) == len(self.slopes) > 0, "a slope a knot is needed")
        _require((np.diff(self.knots) > 0).all(), "knots must rise")
        _require((self.slopes >= 0).all(), "slopes must not be negative")


@dataclass(frozen=True, eq=False)
class Pair(_Record):
    """Two step functions, p0 <= p1, and the probability that minimises the worst regret between
    them, p1 / (1 - p0 + p1) (Vovk et al. 2015, sec. 4).

    Attributes:
        below, p0: p0 changes at the scores `below`, which belong to the upper side.
        above, p1: p1 changes above the scores `above`, which belong to the lower side.
    """

    name: ClassVar[str] = "pair"
    look: ClassVar[str] = "probs"
    below: Array
    p0: Array
    above: Array
    p1: Array

    def interval(self, score: Array) -> tuple[Array, Array]:
        """(p0, p1) of each score."""
        own = score.dtype
        low = self.p0[np.searchsorted(self.below.astype(own), score, side="right")]
        high = self.p1[np.searchsorted(self.above.astype(own), score, side="left")]
        return low, high

    def __call__(self, score: Array) -> Array:
        low, high = self.interval(score)
        return np.asarray(high / (1 - low + high))

    def check(self) -> None:
        for edges, values in ((self.below, self.p0), (self.above, self.p1)):
            _require(len(values) == len(edges) + 1, "values must be one more than the edges")
            _require((np.diff(edges) > 0).all(), "edges must rise")
            _require(((values >= 0) & (values <= 1)).all(), "values must lie in [0, 1]")


@dataclass(frozen=True, eq=False)
class Crossed:
    """Pairs of several folds, merged by geometric means (Vovk et al. 2015, sec. 5): the minimax
    probability is G(p1) / (G(1 - p0) + G(p1))."""

    name: ClassVar[str] = "crossed"
    look: ClassVar[str] = "probs"
    pairs: tuple[Pair, ...]

    def interval(self, score: Array) -> tuple[Array, Array]:
        """(p0, p1) of each score, merged."""
        found = [pair.interval(score) for pair in self.pairs]
        with np.errstate(divide="ignore"):
            not_low = np.exp(np.mean([np.log1p(-low) for low, _ in found], axis=0))
            high = np.exp(np.mean([np.log(high) for _, high in found], axis=0))
        return 1 - not_low, high

    def __call__(self, score: Array) -> Array:
        low, high = self.interval(score)
        return np.asarray(high / (1 - low + high))

    def count(self) -> int:
        """Numbers that were fitted."""
        return sum(pair.count() for pair in self.pairs)

    def parameters(self) -> dict[str, Any]:
        """What the calibrator file keeps."""
        return {"pairs": [pair.parameters() for pair in self.pairs]}

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> Self:
        """The inverse of `parameters`."""
        pairs = tuple(Pair.from_parameters(pair) for pair in parameters["pairs"])
        _require(pairs, "pairs must not be empty")
        return cls(pairs)


CURVES: dict[str, type[Curve]] = {
    curve.name: curve for curve in (Sigmoid, Steps, Line, Bend, Pair, Crossed)
}
