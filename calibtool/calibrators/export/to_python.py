"""Export as a Python module that needs only `math`: its parameters, the functions that it calls,
and `calibrate(row)`, which may be renamed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.conditions import Condition
from calibtool.calibrators.curves import Bend, Crossed, Line, Pair, Parabola, Sigmoid, Steps
from calibtool.calibrators.export.form import Form, bend, numbers_of
from calibtool.calibrators.export.text_targets import comment, needed, require_size, wrapped
from calibtool.calibrators.maps import Affine, Map, Mixture, Monotone, Power
from calibtool.calibrators.multiclass_curves import Curves
from calibtool.calibrators.nested_maps import Patched, Shifted
from calibtool.version import __version__

MODULE = '''"""Calibration of {outputs} classes: {described}.

Made from {source} by calibtool {version}. `{name}` calibrates a row.
"""

{parts}


def {name}(row: list[float]{more}) -> list[float]:
    """{outputs} calibrated probabilities of {inputs} {kind}{about}."""
    if len(row) != {inputs}:
        raise ValueError(f"{{len(row)}} numbers; {inputs} {kind} are expected")
{lines}
'''


@dataclass
class Body:
    """The parts of a module that a map fills: constants by name, and lines of `calibrate`.

    The lines find the input in `row`, the values of `columns` in a dict of that name, and leave
    logits in `z` or probabilities in `p`.
    """

    form: Form
    constants: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    columns: tuple[str, ...] = ()

    def say(self, *lines: str) -> None:
        self.lines += lines

    def look(self, name: str, floor: float) -> str:
        """Return an expression for what a map or a curve looks at."""
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


def write(calibrator: Calibrator, form: Form, source: str, name: str) -> bytes:
    """Return the module, UTF-8."""
    require_size(calibrator, source, "a Python module")
    body = Body(form, {"CLASSES": calibrator.width}, columns=calibrator.columns)
    if form.kind == "probs":
        body.say("row = normalised(row)" if not form.one_column else "row = [1 - row[0], row[0]]")
    elif form.one_column:
        body.say("row = [0.0, row[0]]")
    result = MAPS[type(calibrator.map)](calibrator.map, body)
    body.say("return softmax(z)" if result == "z" else "return p")
    lines = "\n".join(f"    {line}" for line in body.lines)
    functions = needed("runtime.py", lines)
    parts = [
        *(["import math"] if "math." in "".join(functions) else []),
        "\n".join(_literal(key, _plain(value)) for key, value in body.constants.items()),
    ]
    text = MODULE.format(
        described=comment(calibrator.describe()),
        source=comment(source),
        version=__version__,
        name=name,
        parts="\n\n\n".join(["\n\n".join(parts), *functions]),
        outputs=calibrator.width,
        inputs=1 if form.one_column else calibrator.width,
        kind={"logits": "logits", "probs": "probabilities"}[form.kind],
        lines=lines,
        more=", columns: dict[str, float | str | None]" if body.columns else "",
        about=(
            f", and the values of {comment(', '.join(body.columns))}; None is missing"
            if body.columns
            else ""
        ),
    )
    return text.encode()


def _power(fitted_map: Power, body: Body) -> str:
    body.constants["TEMPERATURE"] = fitted_map.temperature
    look = "row" if body.form.kind == "logits" else "logs(row, 0.0)"
    body.say(f"z = [x / TEMPERATURE for x in {look}]")
    return "z"


def _affine(fitted_map: Affine, body: Body) -> str:
    body.constants |= {"WEIGHT": fitted_map.weight, "BIAS": fitted_map.bias}
    if fitted_map.temperature == 1 and not fitted_map.uniform:
        body.say(f"z = {body.look(fitted_map.look, fitted_map.floor)}")
    else:
        body.constants["TEMPERATURE"] = fitted_map.temperature
        log_p = body.look("log-probs", fitted_map.floor)
        if fitted_map.uniform and body.form.kind == "logits":
            body.constants["FLOOR"] = fitted_map.floor
            log_p = f"[max(x, math.log(FLOOR)) for x in {log_p}]"
        body.say(f"z = log_probs([x / TEMPERATURE for x in {log_p}])")
    if fitted_map.uniform:
        body.constants["UNIFORM"] = fitted_map.uniform
        body.say("z = [math.log((1 - UNIFORM) * math.exp(x) + UNIFORM / CLASSES) for x in z]")
    if fitted_map.weight.ndim == 2:
        product = "sum(w * x for w, x in zip(line, z)) + b for line, b in zip(WEIGHT, BIAS)"
    elif fitted_map.weight.ndim == 1:
        product = "w * x + b for w, x, b in zip(WEIGHT, z, BIAS)"
    else:
        product = "WEIGHT * x + b for x, b in zip(z, BIAS)"
    body.say(f"z = [{product}]")
    return "z"


def _mixture(fitted_map: Mixture, body: Body) -> str:
    _power(Power(fitted_map.temperature), body)
    body.constants["SHARES"] = fitted_map.shares
    body.say(
        f"plain = {'softmax(row)' if body.form.kind == 'logits' else 'row'}",
        "a, b, c = SHARES",
        "p = [a * x + b * y + c / CLASSES for x, y in zip(softmax(z), plain)]",
    )
    return "p"


def _monotone(fitted_map: Monotone, body: Body) -> str:
    body.constants["CURVE"] = tuple(bend(fitted_map.curve).values())
    body.say(f"z = [bend(x, *CURVE) for x in {body.look('log-probs', fitted_map.floor)}]")
    return "z"


def _curves(fitted_map: Curves, body: Body) -> str:
    sets = numbers_of(fitted_map.curves, body.form)
    curve = CURVES[type(fitted_map.curves[0])]
    plain = [[tuple(_plain(v) for v in numbers.values()) for numbers in curve] for curve in sets]
    by_fold = isinstance(fitted_map.curves[0], Pair | Crossed)
    body.constants["CURVES"] = [tuple(folds) if by_fold else folds[0] for folds in plain]
    body.say(f"scores = {body.look(fitted_map.curves[0].look, fitted_map.floor)}")
    arguments = "CURVES[0]" if len(sets) == 1 else "curve"
    if fitted_map.multiclass in ("top-label", "confidence"):
        which = "CURVES[0]" if len(sets) == 1 else "CURVES[top]"
        before = "scores" if fitted_map.curves[0].look == "probs" else body.look("probs", 0.0)
        body.say(
            "top = row.index(max(row))",
            f"new = {curve}(scores[top], *{which})",
            f"p = with_top({before}, top, new)",
        )
    elif len(fitted_map.prior) == 2:
        body.say(f"one = {curve}(scores[1], *CURVES[0])", "p = [1 - one, one]")
    else:
        body.constants["PRIOR"] = fitted_map.prior
        pairs = "x in scores" if len(sets) == 1 else "x, curve in zip(scores, CURVES)"
        body.say(
            f"p = [{curve}(x, *{arguments}) for {pairs}]",
            "p = normalised(p) if sum(p) > 0 else PRIOR[:]",
        )
    return "p"


def _patched(fitted_map: Patched, body: Body) -> str:
    result = MAPS[type(fitted_map.inner)](fitted_map.inner, body)
    if not fitted_map.patches:
        return result
    body.constants["PATCH_FLOOR"] = fitted_map.floor
    body.constants["KNOTS"] = fitted_map.knots
    body.constants["PATCHES"] = [
        ([_test(condition) for condition in patch.where], _plain(patch.shifts))
        for patch in fitted_map.patches
    ]
    if result == "z":
        body.say("p = softmax(z)")
    odds = "log_probs(z)" if result == "z" else "logs(p, PATCH_FLOOR)"
    two = body.constants["CLASSES"] == 2
    after = "[expit(-new), expit(new)]" if two else "with_top(p, top, expit(new))"
    body.say(
        f"top = {'1' if two else 'p.index(max(p))'}",
        f"x = log_odds({odds})[top]",
        f"new = patched(x, {'columns' if body.columns else '{}'}, KNOTS, PATCHES)",
        f"p = p if new == x else {after}",
    )
    return "p"


def _test(condition: Condition) -> tuple[object, ...]:
    """Return a condition as the runtime's `meets` takes it."""
    if condition.missing:
        return (condition.column, "missing", None, None)
    if condition.value is not None:
        return (condition.column, "is", condition.value, None)
    ends = (x if math.isfinite(x) else None for x in (condition.above, condition.upto))
    return (condition.column, "in", *ends)


def _shifted(fitted_map: Shifted, body: Body) -> str:
    result = MAPS[type(fitted_map.inner)](fitted_map.inner, body)
    if result == "z":
        body.constants["SHIFT"] = np.log(fitted_map.target / fitted_map.prior)
        body.say("z = [x + shift for x, shift in zip(z, SHIFT)]")
    else:
        body.constants["RATIO"] = fitted_map.target / fitted_map.prior
        body.say("p = normalised([x * ratio for x, ratio in zip(p, RATIO)])")
    return result


MAPS: dict[type[Map], Callable[[Any, Body], str]] = {
    Power: _power,
    Affine: _affine,
    Mixture: _mixture,
    Monotone: _monotone,
    Curves: _curves,
    Patched: _patched,
    Shifted: _shifted,
}
# curve class -> the function of the runtime that takes its numbers
CURVES: dict[type[Any], str] = {
    Sigmoid: "sigmoid",
    Parabola: "parabola",
    Steps: "steps",
    Line: "line",
    Bend: "bent_sigmoid",
    Pair: "pairs",
    Crossed: "pairs",
}


def _literal(name: str, value: Any) -> str:
    """Return an assignment; each list inside a list begins a line."""
    if not (isinstance(value, (list, tuple)) and value and isinstance(value[0], (list, tuple))):
        return wrapped(f"{name} = {value!r}")
    lines = "\n".join(f"    {wrapped(f'{item!r},', indent=8)}" for item in value)
    return f"{name} = [\n{lines}\n]"


def _plain(value: Any) -> Any:
    """Return arrays as lists of numbers, for `repr`, which keeps every bit."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return value
