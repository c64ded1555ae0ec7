"""Maps: from rows of logits or probabilities to calibrated rows. What calibrators fit.

There are few of them, and every calibrator is one of them, so that a calibrator file, an export
and an application need to know no more than this table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from calibtool.calibrators import inputs
from calibtool.calibrators.curves import CURVES, Bend, Curve, number, row
from calibtool.data.predictions import Predictions
from calibtool.data.rows import to_probs
from calibtool.errors import InputError, UsageError
from calibtool.types import Array

EXTREME = 1e6  # a temperature beyond, or below one over it, means that something is wrong


class Map(Protocol):
    """What a calibrator needs of a map."""

    name: ClassVar[str]

    def __call__(self, block: Predictions) -> Predictions: ...
    def describe(self) -> str: ...
    def count(self) -> int: ...
    def parameters(self) -> dict[str, Any]: ...
    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], classes: int) -> Self: ...


@dataclass(frozen=True)
class Power:
    """softmax(z / temperature); class probabilities p become p**(1/T) renormalised."""

    name: ClassVar[str] = "temperature"
    temperature: float

    def __call__(self, block: Predictions) -> Predictions:
        if block.kind == "logits":
            values = block.values
            wide = values if values.itemsize > 2 else values.astype(np.float32)
            return replace(block, values=wide * wide.dtype.type(1 / self.temperature))
        with np.errstate(divide="ignore"):
            logs = np.log(block.matrix().astype(np.float64))
        scaled = replace(block, kind="logits", values=logs / self.temperature)
        dtype = np.promote_types(block.values.dtype, np.float32)
        return inputs.same_form(block, to_probs(scaled).values.astype(dtype))

    def describe(self) -> str:
        return f"T = {self.temperature:.5g}"

    def count(self) -> int:
        """Numbers that were fitted."""
        return 1

    def parameters(self) -> dict[str, Any]:
        """What the calibrator file keeps."""
        return {"temperature": self.temperature}

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], classes: int) -> Self:
        """The inverse of `parameters`; raises ValueError where they make no map."""
        temperature = number("temperature", parameters["temperature"])
        if not 1 / EXTREME <= temperature <= EXTREME:
            raise ValueError(
                f"temperature must be positive, {1 / EXTREME:g} to {EXTREME:g}, not {temperature:g}"
            )
        return cls(temperature)


@dataclass(frozen=True, eq=False)
class Affine:
    """softmax(W z + b).

    Attributes:
        weight: W as a number, (K,) for a diagonal, or (K, K).
        bias: (K,).
        look: what z is: "logits" as they were saved, or "log-probs".
        floor: what a probability of 0 counts as, where only probabilities are known.
        temperature: z are log-probabilities after this temperature; 1 for none.
    """

    name: ClassVar[str] = "affine"
    weight: Array
    bias: Array
    look: str
    floor: float
    temperature: float = 1.0

    def look_at(self, block: Predictions, floor: float) -> Array:
        """z: (n, K), in the precision of the logits.

        Raises UsageError where logits are needed and there are none: their constants, which
        log-probabilities lack, change W z unless W is a number.
        """
        if self.look == "logits" and block.kind != "logits" and self.weight.ndim:
            raise UsageError(
                f"{block.source}: holds probabilities, and the calibrator was fitted on logits, "
                "which differ from their logarithms; apply it to logits, or fit it on probabilities"
            )
        if self.temperature == 1:
            return LOOKS[self.look](block, floor)
        z = inputs.log_probs(block, floor) / self.temperature
        return inputs.log_probs(replace(block, kind="logits", values=z), 0.0)

    def __call__(self, block: Predictions) -> Predictions:
        z = self.look_at(block, self.floor).astype(np.float64, copy=False)
        scaled = z @ self.weight.T if self.weight.ndim == 2 else z * self.weight
        return _softmax_like(block, scaled + self.bias)

    def describe(self) -> str:
        if self.weight.ndim == 0:
            return f"T = {1 / float(self.weight):.5g}, {len(self.bias)} biases"
        return f"{self.count():,} parameters"

    def count(self) -> int:
        """Numbers that were fitted."""
        return int(self.weight.size + self.bias.size)

    def parameters(self) -> dict[str, Any]:
        """What the calibrator file keeps."""
        return {
            "weight": self.weight.tolist(),
            "bias": self.bias.tolist(),
            "look": self.look,
            "floor": self.floor,
            "temperature": self.temperature,
        }

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], classes: int) -> Self:
        """The inverse of `parameters`; raises ValueError where they make no map."""
        found = parameters["weight"]
        if isinstance(found, list) and found and isinstance(found[0], list):
            if len(found) != classes:
                raise ValueError(f"weight must have {classes} rows, not {len(found)}")
            weight = np.array([row("weight", one, classes) for one in found])
        elif isinstance(found, list):
            weight = row("weight", found, classes)
        else:
            weight = np.array(number("weight", found))
        bias = row("bias", parameters["bias"], classes)
        temperature = Power.from_parameters(parameters, classes).temperature
        return cls(weight, bias, _look(parameters), _floor(parameters), temperature)


@dataclass(frozen=True, eq=False)
class Mixture:
    """w1 softmax(z / T) + w2 softmax(z) + w3 / K (Zhang et al. 2020, sec. 3.2)."""

    name: ClassVar[str] = "mixture"
    temperature: float
    shares: Array

    def __call__(self, block: Predictions) -> Predictions:
        scaled = to_probs(Power(self.temperature)(block)).matrix().astype(np.float64)
        plain = to_probs(block).matrix().astype(np.float64)
        plain /= plain.sum(axis=1, keepdims=True)  # saved in half precision, they are off by 1e-4
        a, b, c = self.shares
        return inputs.same_form(block, a * scaled + b * plain + c / plain.shape[1])

    def describe(self) -> str:
        shares = ", ".join(f"{share:.3g}" for share in self.shares)
        return f"T = {self.temperature:.5g}, shares {shares}"

    def count(self) -> int:
        """Numbers that were fitted."""
        return 3

    def parameters(self) -> dict[str, Any]:
        """What the calibrator file keeps."""
        return {"temperature": self.temperature, "shares": self.shares.tolist()}

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], classes: int) -> Self:
        """The inverse of `parameters`; raises ValueError where they make no map."""
        temperature = Power.from_parameters(parameters, classes).temperature
        shares = row("shares", parameters["shares"], 3)
        if (shares < 0).any() or abs(shares.sum() - 1) > 1e-9:
            raise ValueError("shares must not be negative, and sum to 1")
        return cls(temperature, shares)


@dataclass(frozen=True, eq=False)
class Monotone:
    """softmax(m(log p)): one rising curve m for every class, so that their order stays."""

    name: ClassVar[str] = "monotone"
    curve: Bend
    floor: float

    def __call__(self, block: Predictions) -> Predictions:
        log_p = inputs.log_probs(block, self.floor)
        return _softmax_like(block, self.curve.height(log_p.ravel()).reshape(log_p.shape))

    def describe(self) -> str:
        return f"{len(self.curve.knots)} knots"

    def count(self) -> int:
        """Numbers that were fitted."""
        return len(self.curve.slopes)

    def parameters(self) -> dict[str, Any]:
        """What the calibrator file keeps."""
        return {**self.curve.parameters(), "floor": self.floor}

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], classes: int) -> Self:
        """The inverse of `parameters`; raises ValueError where they make no map."""
        return cls(Bend.from_parameters(parameters), _floor(parameters))


MISSING = ("None", "nan", "NaT", "<NA>")  # what stands for no value, where it is no text
MULTICLASS = ("one-vs-rest", "shared", "top-label", "confidence")


@dataclass(frozen=True, eq=False)
class Curves:
    """Binary curves, put together for K classes.

    - one-vs-rest: a curve a class, on its own probability; rows are renormalised.
    - shared: one curve for all classes; rows are renormalised.
    - top-label: a curve a predicted class, on the confidence (Gupta & Ramdas 2022, alg. 1).
    - confidence: one curve on the confidence, whichever the predicted class.

    Two classes need no wrapper: one curve on P(class 1), which is called one-vs-rest. After the
    last two, the other classes share what is left in proportion to what they had.

    Attributes:
        multiclass: one of these names.
        curves: one, or K.
        floor: what a probability of 0 counts as.
        prior: (K,) shares of the classes in the fit data: what a row of zeros becomes.
    """

    name: ClassVar[str] = "curves"
    multiclass: str
    curves: tuple[Curve, ...]
    floor: float
    prior: Array

    def __call__(self, block: Predictions) -> Predictions:
        if self.multiclass in ("top-label", "confidence"):
            return inputs.same_form(block, self._of_top(block))
        made = self.by_class(block)
        total = made.sum(axis=0)
        empty = np.flatnonzero(total == 0)
        made[:, empty], total[empty] = self.prior[:, None], 1
        return inputs.same_form(block, inputs.turned(made, total))

    def by_class(self, block: Predictions) -> Array:
        """(K, n): what each class's curve says, before rows are made to sum to 1."""
        score = inputs.by_class(LOOKS[self.curves[0].look], block, self.floor)
        if len(self.prior) == 2:
            one = self.curves[0](score[1])
            return np.stack([1 - one, one])
        out = score if score.dtype == np.float64 else np.empty(score.shape)
        for k, column in enumerate(score):
            out[k] = self.curves[k if len(self.curves) > 1 else 0](column)
        return out

    def _of_top(self, block: Predictions) -> Array:
        top, score = _top(block, self.curves[0].look, self.floor)
        new = np.empty(len(top))
        for k in np.unique(top):
            at = top == k
            new[at] = self.curves[k if len(self.curves) > 1 else 0](score[at])
        before = inputs.probs(block).astype(np.float64)
        rows = np.arange(len(top))
        before[rows, top] = 0
        rest = before.sum(axis=1)
        even = 1 / (before.shape[1] - 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(rest > 0, (1 - new) / rest, 0)
        after = np.where((rest > 0)[:, None], before * share[:, None], ((1 - new) * even)[:, None])
        after[rows, top] = new
        return np.asarray(after)

    def interval(self, block: Predictions) -> tuple[Array, Array]:
        """(n, K) lower and upper probabilities; of curves that have them, class by class."""
        score = LOOKS[self.curves[0].look](block, self.floor)
        pairs: Any = self.curves
        if len(self.prior) == 2:
            low, high = pairs[0].interval(score[:, 1])
            return np.stack([1 - high, low], axis=1), np.stack([1 - low, high], axis=1)
        pairs = pairs * (score.shape[1] // len(pairs))
        found = [f.interval(x) for f, x in zip(pairs, np.ascontiguousarray(score.T), strict=True)]
        return np.stack([a for a, _ in found], axis=1), np.stack([b for _, b in found], axis=1)

    def describe(self) -> str:
        if len(self.prior) == 2 and self.multiclass == "one-vs-rest":
            return f"{self.count():,} parameters"
        return f"{self.multiclass}, {self.count():,} parameters"

    def count(self) -> int:
        """Numbers that were fitted."""
        return sum(curve.count() for curve in self.curves)

    def parameters(self) -> dict[str, Any]:
        """What the calibrator file keeps."""
        return {
            "multiclass": self.multiclass,
            "curve": self.curves[0].name,
            "curves": [curve.parameters() for curve in self.curves],
            "floor": self.floor,
            "prior": self.prior.tolist(),
        }

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], classes: int) -> Self:
        """The inverse of `parameters`; raises ValueError where they make no map."""
        multiclass, kind = parameters["multiclass"], parameters["curve"]
        if multiclass not in MULTICLASS or kind not in CURVES:
            raise ValueError(f"there is no {multiclass!r} of {kind!r} curves")
        found = parameters["curves"]
        one = multiclass in ("shared", "confidence") or (
            classes == 2 and multiclass == "one-vs-rest"
        )
        if not isinstance(found, list) or len(found) != (1 if one else classes):
            raise ValueError(f"{1 if one else classes} curves are needed")
        curves = tuple(CURVES[kind].from_parameters(curve) for curve in found)
        return cls(
            multiclass, curves, _floor(parameters), row("prior", parameters["prior"], classes)
        )


@dataclass(frozen=True, eq=False)
class ByGroup:
    """A map a value of a column.

    Attributes:
        column: its name.
        maps: value, as text -> map.
    """

    name: ClassVar[str] = "by-group"
    column: str
    maps: dict[str, Map]

    def __call__(self, block: Predictions) -> Predictions:
        groups = group_names(block, self.column)
        new = sorted(set(groups.tolist()) - set(self.maps))
        if new:
            raise InputError(
                f"{block.source}: {self.column}: no calibrator was fitted for {new[0]!r}; there "
                f"are {', '.join(list(self.maps)[:10])}"
            )
        out: Array | None = None
        kind = block.kind
        for name, one in self.maps.items():
            own = np.flatnonzero(groups == name)
            if not len(own):
                continue
            after = one(block.take(own))
            if out is None:
                out, kind = np.empty((block.rows, after.values.shape[1])), after.kind
            out[own] = after.values
        assert out is not None
        return replace(block, kind=kind, values=out)

    def describe(self) -> str:
        return f"by {self.column}, {len(self.maps)} groups"

    def count(self) -> int:
        """Numbers that were fitted."""
        return sum(one.count() for one in self.maps.values())

    def parameters(self) -> dict[str, Any]:
        """What the calibrator file keeps."""
        groups = {name: to_document(one) for name, one in self.maps.items()}
        return {"column": self.column, "groups": groups}

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], classes: int) -> Self:
        """The inverse of `parameters`; raises ValueError where they make no map."""
        maps = {k: from_document(one, classes) for k, one in parameters["groups"].items()}
        if not maps:
            raise ValueError("there are no groups")
        return cls(str(parameters["column"]), maps)


@dataclass(frozen=True, eq=False)
class Shifted:
    """Another map, and then other class shares: p_k times target_k / prior_k, renormalised
    (Saerens et al. 2002, eq. 2.4)."""

    name: ClassVar[str] = "shifted"
    inner: Map
    prior: Array
    target: Array

    def __call__(self, block: Predictions) -> Predictions:
        after = self.inner(block)
        ratio = np.log(self.target / self.prior)
        if after.kind == "logits":
            return _softmax_like(block, after.matrix().astype(np.float64) + ratio)
        moved = after.matrix().astype(np.float64) * np.exp(ratio)
        return inputs.same_form(block, moved / moved.sum(axis=1, keepdims=True))

    def describe(self) -> str:
        return f"{self.inner.describe()}, for other class shares"

    def count(self) -> int:
        """Numbers that were fitted."""
        return self.inner.count()

    def parameters(self) -> dict[str, Any]:
        """What the calibrator file keeps."""
        return {
            "inner": to_document(self.inner),
            "prior": self.prior.tolist(),
            "target": self.target.tolist(),
        }

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], classes: int) -> Self:
        """The inverse of `parameters`; raises ValueError where they make no map."""
        prior, target = (row(key, parameters[key], classes) for key in ("prior", "target"))
        if not ((prior > 0).all() and (target > 0).all()):
            raise ValueError("prior and target must be positive")
        return cls(from_document(parameters["inner"], classes), prior, target)


def columns_of(one: Map) -> tuple[str, ...]:
    """The columns of `extra` that a map looks at."""
    if isinstance(one, ByGroup):
        inner = {name for own in one.maps.values() for name in columns_of(own)}
        return (one.column, *sorted(inner))
    return columns_of(one.inner) if isinstance(one, Shifted) else ()


def placed_at_prior(one: Map, predictions: Predictions) -> int:
    """Rows to whose classes every curve gives 0, so that they get the shares of the fit data."""
    if isinstance(one, ByGroup):
        groups = group_names(predictions, one.column)
        return sum(
            placed_at_prior(own, predictions.take(np.flatnonzero(groups == name)))
            for name, own in one.maps.items()
        )
    if isinstance(one, Shifted):
        return placed_at_prior(one.inner, predictions)
    if not isinstance(one, Curves) or one.multiclass in ("top-label", "confidence"):
        return 0
    return sum(
        int(np.count_nonzero(~one.by_class(piece).any(axis=0)))
        for piece in predictions.blocks(max(1, inputs.PIECE // predictions.values.shape[1]))
    )


MAPS: dict[str, type[Map]] = {
    one.name: one for one in (Power, Affine, Mixture, Monotone, Curves, ByGroup, Shifted)
}
LOOKS: dict[str, inputs.Look] = {
    "logits": inputs.logits,
    "log-probs": inputs.log_probs,
    "log-odds": inputs.log_odds,
    "probs": inputs.probs,
}


def to_document(one: Map) -> dict[str, Any]:
    """A map as it stands inside a calibrator file."""
    return {"map": one.name, "parameters": one.parameters()}


def from_document(document: dict[str, Any], classes: int) -> Map:
    """The inverse; the files of the first version name no map, and hold temperatures."""
    name = document.get("map", "temperature")
    if name not in MAPS:
        raise ValueError(f"there is no map {name!r}; this calibtool knows {', '.join(MAPS)}")
    return MAPS[name].from_parameters(document["parameters"], classes)


def top_scores(predictions: Predictions, look: str, floor: float) -> tuple[Array, Array]:
    """The predicted class of all rows, and its score."""
    parts = [
        _top(piece, look, floor)
        for piece in predictions.blocks(max(1, inputs.PIECE // predictions.values.shape[1]))
    ]
    return np.concatenate([top for top, _ in parts]), np.concatenate([x for _, x in parts])


def group_names(predictions: Predictions, column: str) -> Array:
    """The groups of the rows, as texts."""
    if column not in predictions.extra:
        raise InputError(f"{predictions.source}: there is no column {column!r} to group by")
    found = np.asarray(predictions.extra[column])
    where = f"{predictions.source}: {column}"
    if found.ndim != 1:
        raise InputError(
            f"{where}: has shape {found.shape}; a column to group by has a value a row"
        )
    missing = np.array([not isinstance(v, str) and str(v) in MISSING for v in found.tolist()])
    if missing.any():
        raise InputError(
            f"{where}: {int(missing.sum()):,} rows have no value to group by, the first is row "
            f"{int(np.argmax(missing))} (counting from 0); fill them in, or drop them"
        )
    try:
        return found.astype(str)
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: holds bytes that are no text; save names or numbers") from error


def _top(block: Predictions, look: str, floor: float) -> tuple[Array, Array]:
    top = block.matrix().argmax(axis=1)
    return top, LOOKS[look](block, floor)[np.arange(len(top)), top]


def _softmax_like(before: Predictions, logits: Array) -> Predictions:
    """Logits in place of logits; probabilities, by their softmax, in place of probabilities."""
    if before.one_column:
        logits = logits[:, 1:] - logits[:, :1]
    after = replace(before, kind="logits", values=logits)
    return after if before.kind == "logits" else to_probs(after)


def _look(parameters: dict[str, Any]) -> str:
    if parameters["look"] not in ("logits", "log-probs"):
        raise ValueError(f"look must be logits or log-probs, not {parameters['look']!r}")
    return str(parameters["look"])


def _floor(parameters: dict[str, Any]) -> float:
    floor = number("floor", parameters["floor"])
    if not 0 < floor < 1:
        raise ValueError(f"floor must lie between 0 and 1, not {floor:g}")
    return floor
