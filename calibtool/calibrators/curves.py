"""Curves: from one score to one probability. Binary calibrators fit the parameters of one.

Each curve is a frozen record of its parameters, called on an array of scores. A score is a
probability, or its log-odds x = log p - log(1 - p); `look` names which.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from calibtool.data.files.document import LARGE, Entry
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
    def from_parameters(cls, parameters: Entry) -> Self: ...


class _Record:
    """A dataclass whose fields are numbers and arrays, as lists of numbers in files.

    Attributes:
        least, most: the range of fields in files, where it is not that of every number.
    """

    least: ClassVar[dict[str, float]] = {}
    most: ClassVar[dict[str, float]] = {}

    def parameters(self) -> dict[str, Any]:
        """Return the parameters as the calibrator file keeps them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}

    @classmethod
    def from_parameters(cls, parameters: Entry) -> Self:
        """Return the curve with these parameters; raise InputError if they define none."""
        values: dict[str, Any] = {}
        for field in fields(cls):  # type: ignore[arg-type]
            entry = parameters[field.name]
            take = entry.number if field.type == "float" else entry.numbers
            values[field.name] = take(
                least=cls.least.get(field.name, -LARGE), most=cls.most.get(field.name, LARGE)
            )
        curve = cls(**values)
        curve.check(parameters)
        return curve

    def check(self, parameters: Entry) -> None:
        """Raise InputError if the parameters, which have this entry, define no curve."""

    def count(self) -> int:
        """Return the number of fitted parameters."""
        return sum(int(np.size(value)) for value in self.parameters().values())


def floor_from(parameters: Entry) -> float:
    """Return the parameter `floor`, what a probability of 0 counts as, in (0, 1)."""
    return parameters["floor"].number(0, 1, inside=True)


def require_increase(entry: Entry, values: Array) -> None:
    """Check that the numbers of an entry increase. Raises InputError."""
    if not (np.diff(values) > 0).all():
        entry.refuse("must increase")


def _require_lengths(parameters: Entry, edges: str, values: str, more: int) -> None:
    """Check that there are as many values as edges and `more`, and at least 1."""
    needed = max(len(parameters[edges].value) + more, 1)
    parameters[values].items(needed)


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
        from calibtool.intervals.special import expit, log_expit

        if self.a == self.b:
            return np.asarray(expit(self.a * score + self.c))
        return np.asarray(expit(self.a * log_expit(score) - self.b * log_expit(-score) + self.c))

    def count(self) -> int:
        """Return the number of fitted parameters."""
        return 2 if self.a == self.b else 3


# 53 ln 2, the log-odds of 1 - 2^-53, the float64 next to 1: no probability has larger ones, but
# near 0 they go down to -745, and the squares of a few such would decide on a parabola.
FARTHEST = 36.7368005696771


@dataclass(frozen=True, eq=False)
class Parabola(_Record):
    """1 / (1 + exp(-(a + b x + c x^2))) for log-odds x in [low, high]. Beyond, the parabola goes on
    along its tangent, or level if that falls. Log-odds beyond FARTHEST count as that."""

    name: ClassVar[str] = "parabola"
    look: ClassVar[str] = "log-odds"
    a: float
    b: float
    c: float
    low: float
    high: float

    def height(self, score: Array) -> Array:
        """Return the height of the curve, before the sigmoid."""
        score = np.clip(score, -FARTHEST, FARTHEST)
        x = np.clip(score, self.low, self.high)
        rise = np.maximum(self.b + 2 * self.c * x, 0)
        return np.asarray(self.a + x * (self.b + self.c * x) + (score - x) * rise)

    def __call__(self, score: Array) -> Array:
        from calibtool.intervals.special import expit

        return np.asarray(expit(self.height(score)))

    def count(self) -> int:
        """Return the number of fitted parameters: the ends are those of the fit data."""
        return 3

    def check(self, parameters: Entry) -> None:
        if not self.low <= self.high:
            parameters["low"].refuse("must not be above high")
        with np.errstate(over="ignore", invalid="ignore"):
            ends = np.array([self.low, self.high])
            steep = np.concatenate([self.height(ends), self.b + 2 * self.c * ends])
        if not (np.abs(steep) <= LARGE).all():
            parameters["c"].refuse("and the ends make a curve without finite heights")


@dataclass(frozen=True, eq=False)
class Steps(_Record):
    """One constant per bin (lo, hi]; `edges` are the upper edges of all bins but the last."""

    name: ClassVar[str] = "steps"
    look: ClassVar[str] = "probs"
    least: ClassVar = {"edges": 0.0, "values": 0.0}
    most: ClassVar = {"edges": 1.0, "values": 1.0}
    edges: Array
    values: Array

    def __call__(self, score: Array) -> Array:
        out = np.full(len(score), self.values[0])
        # With many classes, most scores lie in the first bin: only the others are located.
        if len(self.edges):
            at = np.flatnonzero(score > self.edges[0].astype(score.dtype))
            out[at] = self.values[locate(score[at], np.append(self.edges, np.inf))]
        return out

    def check(self, parameters: Entry) -> None:
        _require_lengths(parameters, "edges", "values", 1)
        require_increase(parameters["edges"], self.edges)

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
    least: ClassVar = {"x": 0.0, "y": 0.0}
    most: ClassVar = {"x": 1.0, "y": 1.0}
    x: Array
    y: Array

    def __call__(self, score: Array) -> Array:
        out = np.full(len(score), self.y[0])
        # With many classes, most scores lie on the first flat: only the others are interpolated.
        at = np.flatnonzero(score > self._end_of_flat)
        out[at] = np.interp(score[at], self.x, self.y)
        return out

    @cached_property
    def _end_of_flat(self) -> float:
        """The score up to which the line has its first value."""
        turns = np.flatnonzero(self.y != self.y[0])
        return float(self.x[turns[0] - 1]) if len(turns) else np.inf

    def check(self, parameters: Entry) -> None:
        _require_lengths(parameters, "x", "y", 0)
        require_increase(parameters["x"], self.x)


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
    least: ClassVar = {"slopes": 0.0}
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
        from calibtool.intervals.special import expit

        return np.asarray(expit(self.height(score)))

    def check(self, parameters: Entry) -> None:
        _require_lengths(parameters, "knots", "slopes", 0)
        require_increase(parameters["knots"], self.knots)
        with np.errstate(over="ignore", invalid="ignore"):
            steep = np.concatenate([self.heights(), self.bends()])
        if not (np.abs(steep) <= LARGE).all():
            parameters["slopes"].refuse("and knots make a curve without finite heights")


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
    least: ClassVar = {"below": 0.0, "p0": 0.0, "above": 0.0, "p1": 0.0}
    most: ClassVar = {"below": 1.0, "p0": 1.0, "above": 1.0, "p1": 1.0}
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

    def turns(self) -> Array:
        """Return a score on every edge, and on either side of it."""
        at = np.concatenate([self.below, self.above, [0.5]])
        return np.concatenate([at, np.nextafter(at, 0), np.nextafter(at, 1)])

    def check(self, parameters: Entry) -> None:
        for name, values, edges in (("below", "p0", self.below), ("above", "p1", self.above)):
            _require_lengths(parameters, name, values, 1)
            require_increase(parameters[name], edges)
        low, high = self.interval(self.turns())
        if (low > high + 1e-9).any():  # both are sums of shares, which are rounded
            parameters["p0"].refuse("must nowhere be above p1")


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
    def from_parameters(cls, parameters: Entry) -> Self:
        """Return the curve with these parameters; raise InputError if they define none."""
        pairs = tuple(Pair.from_parameters(pair) for pair in parameters["pairs"].items())
        if not pairs:
            parameters["pairs"].fail("a list of at least one pair")
        curve = cls(pairs)
        with np.errstate(invalid="ignore"):
            values = curve(np.concatenate([pair.turns() for pair in pairs]))
        if not np.isfinite(values).all():
            parameters["pairs"].refuse("contradict each other: p0 is 1 where another p1 is 0")
        return curve


CURVES: dict[str, type[Curve]] = {
    curve.name: curve for curve in (Sigmoid, Parabola, Steps, Line, Bend, Pair, Crossed)
}
