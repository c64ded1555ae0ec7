"""Maps: from rows of logits or probabilities to calibrated rows. A fit finds the parameters of one.

There are few maps and every calibrator holds one of them, so that calibrator files, exports and
applications need to know these only. Binary curves for K classes are in
`calibtool.calibrators.multiclass_curves`; maps that hold other maps, and the table of all maps, in
`calibtool.calibrators.nested_maps`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from calibtool.calibrators import inputs
from calibtool.calibrators.curves import Bend, floor_from
from calibtool.data.files.document import LARGE, Entry
from calibtool.data.predictions import Predictions
from calibtool.data.rows import to_probs
from calibtool.errors import UsageError
from calibtool.types import Array

# Temperatures are kept within [1 / EXTREME, EXTREME]. Logits of real models need temperatures of
# 0.1 to 10; beyond a million the probabilities are one-hot or uniform to the last float32 bit, so
# that a fit that gets there has no optimum, and a file that holds one is damaged.
EXTREME = 1e6


class Map(Protocol):
    """The interface of all maps: callable on predictions, to and from a calibrator file."""

    name: ClassVar[str]

    def __call__(self, block: Predictions) -> Predictions: ...
    def describe(self) -> str: ...
    def count(self) -> int: ...
    def parameters(self) -> dict[str, Any]: ...
    @classmethod
    def from_parameters(cls, parameters: Entry, classes: int) -> Self: ...


@dataclass(frozen=True)
class Power:
    """softmax(z / temperature); class probabilities p become p**(1/T), renormalised."""

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
        """Return the number of fitted parameters."""
        return 1

    def parameters(self) -> dict[str, Any]:
        """Return the parameters as the calibrator file keeps them."""
        return {"temperature": self.temperature}

    @classmethod
    def from_parameters(cls, parameters: Entry, classes: int) -> Self:
        """Return the map with these parameters; raise InputError if they define none."""
        return cls(parameters["temperature"].number(1 / EXTREME, EXTREME))


@dataclass(frozen=True, eq=False)
class Affine:
    """softmax(W z + b).

    Attributes:
        weight: W as a number, (K,) for a diagonal, or (K, K).
        bias: (K,).
        look: what z is: "logits" as they were saved, or "log-probs".
        floor: what a probability of 0 counts as, where only probabilities are known.
        temperature: z are log-probabilities after this temperature; 1 for none.
        uniform: share of the uniform distribution that is mixed into the probabilities after the
            temperature, before their logarithm is z; 0 for none. With it, probabilities of logits
            count as at least the floor too.
    """

    name: ClassVar[str] = "affine"
    weight: Array
    bias: Array
    look: str
    floor: float
    temperature: float = 1.0
    uniform: float = 0.0

    def look_at(self, block: Predictions, floor: float) -> Array:
        """Return z: (n, K), in the precision of the logits.

        Raises UsageError if the map needs logits and the block holds probabilities: logits are
        log-probabilities plus a constant per row, and W z depends on that constant unless W is a
        number (then every class gets the same multiple, which softmax ignores).
        """
        if self.look == "logits" and block.kind != "logits" and self.weight.ndim:
            raise UsageError(
                f"{block.source}: holds probabilities, and the calibrator was fitted on logits, "
                "which differ from their logarithms; apply it to logits, or fit it on probabilities"
            )
        if self.temperature == 1 and not self.uniform:
            return inputs.LOOKS[self.look](block, floor)
        scaled = inputs.log_probs(block, floor)
        if self.uniform:
            np.maximum(scaled, np.log(floor), out=scaled)
        scaled /= self.temperature
        z = inputs.log_probs(replace(block, kind="logits", values=scaled), 0.0)
        if not self.uniform:
            return z
        return np.log((1 - self.uniform) * np.exp(z) + self.uniform / z.shape[1])

    def __call__(self, block: Predictions) -> Predictions:
        z = self.look_at(block, self.floor).astype(np.float64, copy=False)
        scaled = z @ self.weight.T if self.weight.ndim == 2 else z * self.weight
        return softmax_like(block, scaled + self.bias)

    def describe(self) -> str:
        if self.weight.ndim == 0:
            return f"T = {1 / float(self.weight):.5g}, {len(self.bias)} biases"
        return f"{self.count():,} parameters"

    def count(self) -> int:
        """Return the number of fitted parameters."""
        return int(self.weight.size + self.bias.size)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters as the calibrator file keeps them."""
        return {
            "weight": self.weight.tolist(),
            "bias": self.bias.tolist(),
            "look": self.look,
            "floor": self.floor,
            "temperature": self.temperature,
            # a reader that does not know the key would leave it out: see `nested_maps.since`
            **({"uniform": self.uniform} if self.uniform else {}),
        }

    @classmethod
    def from_parameters(cls, parameters: Entry, classes: int) -> Self:
        """Return the map with these parameters; raise InputError if they define none."""
        bias = parameters["bias"].numbers(classes)
        weight = _weight(parameters["weight"], classes)
        look = parameters["look"].text(("logits", "log-probs"))
        temperature = Power.from_parameters(parameters, classes).temperature
        entry = parameters.get("uniform")
        uniform = 0.0 if entry is None else entry.number(0, 1)
        return cls(weight, bias, look, floor_from(parameters), temperature, uniform)


@dataclass(frozen=True, eq=False)
class Mixture:
    """w1 softmax(z / T) + w2 softmax(z) + w3 / K (Zhang et al. 2020, sec. 3.2)."""

    name: ClassVar[str] = "mixture"
    temperature: float
    shares: Array

    def __call__(self, block: Predictions) -> Predictions:
        scaled = to_probs(Power(self.temperature)(block)).matrix().astype(np.float64)
        plain = to_probs(block).matrix().astype(np.float64)
        # probabilities saved in half precision sum to 1 only within 1e-4; the mixture must sum to 1
        plain /= plain.sum(axis=1, keepdims=True)
        a, b, c = self.shares
        return inputs.same_form(block, a * scaled + b * plain + c / plain.shape[1])

    def describe(self) -> str:
        shares = ", ".join(f"{share:.3g}" for share in self.shares)
        return f"T = {self.temperature:.5g}, shares {shares}"

    def count(self) -> int:
        """Return the number of fitted parameters: T, and three shares that sum to 1."""
        return 3

    def parameters(self) -> dict[str, Any]:
        """Return the parameters as the calibrator file keeps them."""
        return {"temperature": self.temperature, "shares": self.shares.tolist()}

    @classmethod
    def from_parameters(cls, parameters: Entry, classes: int) -> Self:
        """Return the map with these parameters; raise InputError if they define none."""
        temperature = Power.from_parameters(parameters, classes).temperature
        return cls(temperature, shares_from(parameters["shares"], 3))


@dataclass(frozen=True, eq=False)
class Monotone:
    """softmax(m(log p)): one rising curve m for all classes, which keeps their order."""

    name: ClassVar[str] = "monotone"
    curve: Bend
    floor: float

    def __call__(self, block: Predictions) -> Predictions:
        log_p = inputs.log_probs(block, self.floor)
        return softmax_like(block, self.curve.height(log_p.ravel()).reshape(log_p.shape))

    def describe(self) -> str:
        return f"{len(self.curve.knots)} knots"

    def count(self) -> int:
        """Return the number of fitted parameters: a constant added to m changes nothing."""
        return len(self.curve.slopes)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters as the calibrator file keeps them."""
        return {**self.curve.parameters(), "floor": self.floor}

    @classmethod
    def from_parameters(cls, parameters: Entry, classes: int) -> Self:
        """Return the map with these parameters; raise InputError if they define none."""
        return cls(Bend.from_parameters(parameters), floor_from(parameters))


def softmax_like(before: Predictions, logits: Array) -> Predictions:
    """Return (n, K) logits as predictions of the kind of `before`: logits, or their softmax."""
    if before.one_column:
        logits = logits[:, 1:] - logits[:, :1]
    after = replace(before, kind="logits", values=logits)
    return after if before.kind == "logits" else to_probs(after)


def shares_from(entry: Entry, count: int) -> Array:
    """Return shares that sum to 1, (count,)."""
    shares = entry.numbers(count, least=0, most=1)
    if abs(shares.sum() - 1) > 1e-9:  # files keep every bit of a share
        entry.refuse("must sum to 1")
    return shares


def _weight(entry: Entry, classes: int) -> Array:
    """Return W as a number, (K,) or (K, K)."""
    if not isinstance(entry.value, list):
        weight = entry.number()
        if abs(weight) < 1 / LARGE:  # the temperature is 1 / weight
            entry.fail("a number other than 0")
        return np.array(weight)
    if not (entry.value and isinstance(entry.value[0], list)):
        return entry.numbers(classes)
    return np.array([line.numbers(classes) for line in entry.items(classes)])
