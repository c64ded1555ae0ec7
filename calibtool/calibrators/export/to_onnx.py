"""An ONNX graph that computes in double: from logits or probabilities to float32 probabilities, for
any number of rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.export import onnx_model
from calibtool.calibrators.export.form import Form, bend, numbers_of
from calibtool.calibrators.export.graph import Graph
from calibtool.calibrators.export.onnx_curves import CURVES, Table
from calibtool.calibrators.export.onnx_curves import bend as nodes_of_bend
from calibtool.calibrators.maps import Affine, Map, Mixture, Monotone, Power
from calibtool.calibrators.multiclass_curves import Curves
from calibtool.calibrators.nested_maps import Shifted


def write(
    calibrator: Calibrator,
    form: Form,
    source: str,
    *,
    after: str | Path | None = None,
    output_name: str | None = None,
) -> bytes:
    """The model, alone or behind another."""
    about = f"{calibrator.describe()}, from {source}"
    if after is None:
        g = Graph(Form(form.kind, form.one_column, np.float32), calibrator.classes)
        calibrate(g, calibrator.map, form.kind, "probabilities")
        return onnx_model.alone(g, form.kind, "probabilities", about)
    classes = calibrator.classes
    host = onnx_model.Host.read(after, output_name, classes, one_column=form.one_column)
    g = Graph(Form(form.kind, host.one_column, host.dtype), classes, host.opset, host.prefix)
    calibrate(g, calibrator.map, host.output, host.result)
    return host.extended(g, about)


def calibrate(g: Graph, one: Map, row: str, out: str) -> None:
    """From the name of the rows that go in to that of the probabilities that come out."""
    wide = _rows(g, row)
    kind, made = MAPS[type(one)](one, g, wide)
    p = g("Softmax", made, axis=1) if kind == "logits" else made
    g("Cast", p, to=np.dtype(np.float32), out=out)


def _rows(g: Graph, row: str) -> str:
    """(N, K) double, as `Predictions.matrix()`; probabilities that sum to 1 in their own type."""
    own = np.dtype(g.form.dtype)
    if g.form.one_column:
        other = (
            g("Mul", row, own.type(0)) if g.form.kind == "logits" else g("Sub", own.type(1), row)
        )
        return g.double(g("Concat", other, row, axis=1))
    wide = g.double(row)
    if g.form.kind == "logits":
        return wide
    total = g.total(wide)
    if not g.form.exact:
        return g("Div", wide, total)
    is_one = g("Equal", g.double(g.cast(total, own)), 1.0)
    scaled = g("Div", wide, g("Where", is_one, 1.0, total))
    return g.double(g.cast(scaled, own))


# ------------------------------------------------------------------ what maps and curves look at


def log_probs_of_logits(g: Graph, z: str) -> str:
    """(N, K) z - log sum exp z."""
    shifted = g("Sub", z, g.highest(z))
    return g("Sub", shifted, g("Log", g.total(g("Exp", shifted))))


def look(g: Graph, name: str, row: str, floor: float) -> str:
    """As `calibtool.calibrators.inputs`: (N, K)."""
    logits = g.form.kind == "logits"
    if name == "log-odds":
        return _log_odds(g, look(g, "log-probs", row, floor))
    if name == "probs":
        return g("Softmax", row, axis=1) if logits else row
    if logits:
        return row if name == "logits" else log_probs_of_logits(g, row)
    return g("Log", g("Max", row, floor))


def _log_odds(g: Graph, log_p: str) -> str:
    is_top = g.is_top(g("ArgMax", log_p, axis=1, keepdims=1))
    others = g("Where", is_top, -np.inf, log_p)
    highest = g.highest(others)
    rest = g("Add", highest, g("Log", g.total(g("Exp", g("Sub", others, highest)))))
    plain = g("Sub", log_p, g("Log", g("Sub", 1.0, g("Min", g("Exp", log_p), 1.0))))
    return g("Where", is_top, g("Sub", log_p, rest), plain)


# ------------------------------------------------------------------ maps


def _power(one: Power, g: Graph, row: str) -> tuple[str, str]:
    z = row if g.form.kind == "logits" else g("Log", row)
    return "logits", g("Div", z, one.temperature)


def _affine(one: Affine, g: Graph, row: str) -> tuple[str, str]:
    if one.temperature == 1:
        z = look(g, one.look, row, one.floor)
    else:
        scaled = g("Div", look(g, "log-probs", row, one.floor), one.temperature)
        z = log_probs_of_logits(g, scaled)
    product = g("MatMul", z, one.weight.T) if one.weight.ndim == 2 else g("Mul", z, one.weight)
    return "logits", g("Add", product, one.bias)


def _mixture(one: Mixture, g: Graph, row: str) -> tuple[str, str]:
    scaled = g("Softmax", _power(Power(one.temperature), g, row)[1], axis=1)
    plain = g("Softmax", row, axis=1) if g.form.kind == "logits" else row
    a, b, c = one.shares.tolist()
    return "probs", g("Add", g("Add", g("Mul", scaled, a), g("Mul", plain, b)), c / g.classes)


def _monotone(one: Monotone, g: Graph, row: str) -> tuple[str, str]:
    log_p = look(g, "log-probs", row, one.floor)
    return "logits", nodes_of_bend(g, Table(g, [[bend(one.curve)]]), log_p, g.constant([0]))


def _shifted(one: Shifted, g: Graph, row: str) -> tuple[str, str]:
    kind, made = MAPS[type(one.inner)](one.inner, g, row)
    if kind == "logits":
        return kind, g("Add", made, np.log(one.target / one.prior))
    moved = g("Mul", made, one.target / one.prior)
    return kind, g("Div", moved, g.total(moved))


def _curves(one: Curves, g: Graph, row: str) -> tuple[str, str]:
    numbers = Table(g, numbers_of(one.curves, g.form))
    curve = CURVES[type(one.curves[0])]
    score = look(g, one.curves[0].look, row, one.floor)
    many = len(one.curves) > 1
    if one.multiclass in ("top-label", "confidence"):
        top = g("ArgMax", row, axis=1, keepdims=1)
        own = g("GatherElements", score, top, axis=1)
        new = curve(g, numbers, own, top if many else g.constant([0]))
        return "probs", _with_top(g, look(g, "probs", row, 0.0), top, new)
    if len(one.prior) == 2:
        new = curve(g, numbers, g("Gather", score, np.array([1]), axis=1), g.constant([0]))
        return "probs", g("Concat", g("Sub", 1.0, new), new, axis=1)
    which = np.arange(g.classes) if many else np.array([0])
    made = curve(g, numbers, score, g.constant(which))
    total = g.total(made)
    return "probs", g("Where", g("Greater", total, 0.0), g("Div", made, total), one.prior)


def _with_top(g: Graph, p: str, top: str, new: str) -> str:
    """The top class gets a new probability; the others share the rest as they did."""
    is_top = g.is_top(top)
    others = g("Where", is_top, 0.0, p)
    rest = g.total(others)
    left = g("Sub", 1.0, new)
    shared = g("Div", g("Mul", others, left), rest)
    even = g("Div", left, float(g.classes - 1))
    return g("Where", is_top, new, g("Where", g("Greater", rest, 0.0), shared, even))


MAPS: dict[type[Map], Callable[[Any, Graph, str], tuple[str, str]]] = {
    Power: _power,
    Affine: _affine,
    Mixture: _mixture,
    Monotone: _monotone,
    Curves: _curves,
    Shifted: _shifted,
}
