"""A Python module that needs nothing but `math`: its parameters, the functions that it calls, and
`calibrate(row)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Bend, Crossed, Line, Pair, Sigmoid, Steps
from calibtool.calibrators.export.form import Form, bend, numbers_of
from calibtool.calibrators.export.parts import comment, needed, require_size, wrapped
from calibtool.calibrators.maps import Affine, Map, Mixture, Monotone, Power
from calibtool.calibrators.multiclass_curves import Curves
from calibtool.calibrators.nested_maps import Shifted
from calibtool.version import __version__

MODULE = '''"""Calibration of {outputs} classes: {described}.

Made from {source} by calibtool {version}; `calibrate` is the function to call.
"""

{parts}


def calibrate(row: list[float]) -> list[float]:
    """{outputs} calibrated probabilities of {inputs} {kind}."""
    if len(row) != {inputs}:
        raise ValueError(f"{{len(row)}} numbers; {inputs} {kind} are expected")
{lines}
'''


@dataclass
class Body:
    """What a map adds to the module: constants by name, and lines of `calibrate`. The lines begin
    with `row` and leave logits in `z` or probabilities in `p`."""

    form: Form
    constants: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def say(self, *lines: str) -> None:
        self.lines += lines

    def look(self, name: str, floor: float) -> str:
        """An expression for what a map or a curve looks at."""
        if name == "logits" and self.form.kind == "logits":
            return "row"
        if name == "log-odds":
            return f"log_odds({self.look('log-probs', floor)})"
        if name == "probs":
            return "row" if self.form.kind == "probs" else "softmax(row)"
        if self.form.kind == "logits":
            return "log_probs(row)"
        self.constants["FLOOR"] = floor
        return "logs(row, FLOOR)"


def write(calibrator: Calibrator, form: Form, source: str) -> bytes:
    """The module, UTF-8."""
    require_size(calibrator, source, "a Python module")
    body = Body(form, {"CLASSES": calibrator.classes})
    if form.kind == "probs":
        body.say("row = normalised(row)" if not form.one_column else "row = [1 - row[0], row[0]]")
    elif form.one_column:
        body.say("row = [0.0, row[0]]")
    made = MAPS[type(calibrator.map)](calibrator.map, body)
    body.say("return softmax(z)" if made == "z" else "return p")
    lines = "\n".join(f"    {line}" for line in body.lines)
    functions = needed("runtime.py", lines)
    parts = [
        *(["import math"] if "math." in "".join(functions) else []),
        "\n".join(_literal(name, _plain(value)) for name, value in body.constants.items()),
    ]
    text = MODULE.format(
        described=comment(calibrator.describe()),
        source=comment(source),
        version=__version__,
        parts="\n\n\n".join(["\n\n".join(parts), *functions]),
        outputs=calibrator.classes,
        inputs=1 if form.one_column else calibrator.classes,
        kind={"logits": "logits", "probs": "probabilities"}[form.kind],
        lines=lines,
    )
    return text.encode()


def _power(one: Power, body: Body) -> str:
    body.constants["TEMPERATURE"] = one.temperature
    look = "row" if body.form.kind == "logits" else "logs(row, 0.0)"
    body.say(f"z = [x / TEMPERATURE for x in {look}]")
    return "z"


def _affine(one: Affine, body: Body) -> str:
    body.constants |= {"WEIGHT": one.weight, "BIAS": one.bias}
    if one.temperature == 1:
        body.say(f"z = {body.look(one.look, one.floor)}")
    else:
        body.constants["TEMPERATURE"] = one.temperature
        log_p = body.look("log-probs", one.floor)
        body.say(f"z = log_probs([x / TEMPERATURE for x in {log_p}])")
    if one.weight.ndim == 2:
        product = "sum(w * x for w, x in zip(line, z)) + b for line, b in zip(WEIGHT, BIAS)"
    elif one.weight.ndim == 1:
        product = "w * x + b for w, x, b in zip(WEIGHT, z, BIAS)"
    else:
        product = "WEIGHT * x + b for x, b in zip(z, BIAS)"
    body.say(f"z = [{product}]")
    return "z"


def _mixture(one: Mixture, body: Body) -> str:
    _power(Power(one.temperature), body)
    body.constants["SHARES"] = one.shares
    body.say(
        f"plain = {'softmax(row)' if body.form.kind == 'logits' else 'row'}",
        "a, b, c = SHARES",
        "p = [a * x + b * y + c / CLASSES for x, y in zip(softmax(z), plain)]",
    )
    return "p"


def _monotone(one: Monotone, body: Body) -> str:
    body.constants["CURVE"] = tuple(bend(one.curve).values())
    body.say(f"z = [bend(x, *CURVE) for x in {body.look('log-probs', one.floor)}]")
    return "z"


def _curves(one: Curves, body: Body) -> str:
    sets = numbers_of(one.curves, body.form)
    curve = CURVES[type(one.curves[0])]
    each = [[tuple(_plain(v) for v in numbers.values()) for numbers in own] for own in sets]
    fold = isinstance(one.curves[0], Pair | Crossed)
    body.constants["CURVES"] = [tuple(own) if fold else own[0] for own in each]
    body.say(f"scores = {body.look(one.curves[0].look, one.floor)}")
    own = "CURVES[0]" if len(sets) == 1 else "curve"
    if one.multiclass in ("top-label", "confidence"):
        which = "CURVES[0]" if len(sets) == 1 else "CURVES[top]"
        before = "scores" if one.curves[0].look == "probs" else body.look("probs", 0.0)
        body.say(
            "top = row.index(max(row))",
            f"new = {curve}(scores[top], *{which})",
            f"p = with_top({before}, top, new)",
        )
    elif len(one.prior) == 2:
        body.say(f"one = {curve}(scores[1], *CURVES[0])", "p = [1 - one, one]")
    else:
        body.constants["PRIOR"] = one.prior
        pairs = "x in scores" if len(sets) == 1 else "x, curve in zip(scores, CURVES)"
        body.say(
            f"p = [{curve}(x, *{own}) for {pairs}]",
            "p = normalised(p) if sum(p) > 0 else PRIOR[:]",
        )
    return "p"


def _shifted(one: Shifted, body: Body) -> str:
    made = MAPS[type(one.inner)](one.inner, body)
    if made == "z":
        body.constants["SHIFT"] = np.log(one.target / one.prior)
        body.say("z = [x + shift for x, shift in zip(z, SHIFT)]")
    else:
        body.constants["RATIO"] = one.target / one.prior
        body.say("p = normalised([x * ratio for x, ratio in zip(p, RATIO)])")
    return made


MAPS: dict[type[Map], Callable[[Any, Body], str]] = {
    Power: _power,
    Affine: _affine,
    Mixture: _mixture,
    Monotone: _monotone,
    Curves: _curves,
    Shifted: _shifted,
}
# curve class -> the function of the runtime that takes its numbers
CURVES: dict[type[Any], str] = {
    Sigmoid: "sigmoid",
    Steps: "steps",
    Line: "line",
    Bend: "bent_sigmoid",
    Pair: "pairs",
    Crossed: "pairs",
}


def _literal(name: str, value: Any) -> str:
    """An assignment; of lists of lists, each begins a line."""
    if not (isinstance(value, (list, tuple)) and value and isinstance(value[0], (list, tuple))):
        return wrapped(f"{name} = {value!r}")
    lines = "\n".join(f"    {wrapped(f'{item!r},', indent=8)}" for item in value)
    return f"{name} = [\n{lines}\n]"


def _plain(value: Any) -> Any:
    """Numbers and lists of them, for repr: it keeps every bit."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return value
