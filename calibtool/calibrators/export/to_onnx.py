"""Export as an ONNX graph that computes in double: from logits or probabilities to float32
probabilities, for any number of rows."""

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
from calibtool.calibrators.nested_maps import Patched, Shifted


def write(
    calibrator: Calibrator,
    form: Form,
    source: str,
    *,
    after: str | Path | None = None,
    output_name: str | None = None,
) -> bytes:
    """Return the serialised model: the calibrator by itself, or behind the model `after`."""
    about = f"{calibrator.describe()}, from {source}"
    if after is None:
        g = Graph(Form(form.kind, form.one_column, np.float32), calibrator.width)
        calibrate(g, calibrator.map, form.kind, "probabilities")
        return onnx_model.alone(g, form.kind, "probabilities", about)
    classes = calibrator.width
    host = onnx_model.Host.read(after, output_name, classes, one_column=form.one_column)
    g = Graph(Form(form.kind, host.one_column, host.dtype), classes, host.opset, host.prefix)
    calibrate(g, calibrator.map, host.output, host.result)
    return host.extended(g, about)


def calibrate(g: Graph, fitted_map: Map, row: str, out: str) -> None:
    """Add the nodes from the input called `row` to the probabilities called `out`."""
    wide = _rows(g, row)
    kind, result = MAPS[type(fitted_map)](fitted_map, g, wide)
    p = g("Softmax", result, axis=1) if kind == "logits" else result
    g("Cast", p, to=np.dtype(np.float32), out=out)


def _rows(g: Graph, row: str) -> str:
    """Add the nodes that make the input (N, K) double, as `Predictions` would have it.

    Probabilities are renormalised in their own dtype, unless they sum to 1 in it, so that they
    equal those of the fit data to the bit.
    """
    dtype = np.dtype(g.form.dtype)
    if g.form.one_column:
        other = (
            g("Mul", row, dtype.type(0))
            if g.form.kind == "logits"
            else g("Sub", dtype.type(1), row)
        )
        return g.double(g("Concat", other, row, axis=1))
    wide = g.double(row)
    if g.form.kind == "logits":
        return wide
    total = g.total(wide)
    if not g.form.exact:
        return g("Div", wide, total)
    is_one = g("Equal", g.double(g.cast(total, dtype)), 1.0)
    scaled = g("Div", wide, g("Where", is_one, 1.0, total))
    return g.double(g.cast(scaled, dtype))


# ------------------------------------------------------------------ what maps and curves look at


def log_probs_of_logits(g: Graph, z: str) -> str:
    """Add the nodes of z - log sum exp z, (N, K)."""
    shifted = g("Sub", z, g.highest(z))
    return g("Sub", shifted, g("Log", g.total(g("Exp", shifted))))


def look(g: Graph, name: str, row: str, floor: float) -> str:
    """Add the nodes of a look, (N, K), as in `calibtool.calibrators.inputs`."""
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


def _power(fitted_map: Power, g: Graph, row: str) -> tuple[str, str]:
    z = row if g.form.kind == "logits" else g("Log", row)
    return "logits", g("Div", z, fitted_map.temperature)


def _affine(fitted_map: Affine, g: Graph, row: str) -> tuple[str, str]:
    if fitted_map.temperature == 1 and not fitted_map.uniform:
        z = look(g, fitted_map.look, row, fitted_map.floor)
    else:
        log_p = look(g, "log-probs", row, fitted_map.floor)
        if fitted_map.uniform:
            log_p = g("Max", log_p, float(np.log(fitted_map.floor)))
        z = log_probs_of_logits(g, g("Div", log_p, fitted_map.temperature))
    if fitted_map.uniform:
        kept = g("Mul", g("Exp", z), 1 - fitted_map.uniform)
        z = g("Log", g("Add", kept, fitted_map.uniform / g.classes))
    weight = fitted_map.weight
    product = g("MatMul", z, weight.T) if weight.ndim == 2 else g("Mul", z, weight)
    return "logits", g("Add", product, fitted_map.bias)


def _mixture(fitted_map: Mixture, g: Graph, row: str) -> tuple[str, str]:
    scaled = g("Softmax", _power(Power(fitted_map.temperature), g, row)[1], axis=1)
    plain = g("Softmax", row, axis=1) if g.form.kind == "logits" else row
    a, b, c = fitted_map.shares.tolist()
    return "probs", g("Add", g("Add", g("Mul", scaled, a), g("Mul", plain, b)), c / g.classes)


def _monotone(fitted_map: Monotone, g: Graph, row: str) -> tuple[str, str]:
    log_p = look(g, "log-probs", row, fitted_map.floor)
    return "logits", nodes_of_bend(g, Table(g, [[bend(fitted_map.curve)]]), log_p, g.constant([0]))


def _shifted(fitted_map: Shifted, g: Graph, row: str) -> tuple[str, str]:
    kind, result = MAPS[type(fitted_map.inner)](fitted_map.inner, g, row)
    if kind == "logits":
        return kind, g("Add", result, np.log(fitted_map.target / fitted_map.prior))
    moved = g("Mul", result, fitted_map.target / fitted_map.prior)
    return kind, g("Div", moved, g.total(moved))


def _curves(fitted_map: Curves, g: Graph, row: str) -> tuple[str, str]:
    numbers = Table(g, numbers_of(fitted_map.curves, g.form))
    curve = CURVES[type(fitted_map.curves[0])]
    score = look(g, fitted_map.curves[0].look, row, fitted_map.floor)
    many = len(fitted_map.curves) > 1
    if fitted_map.multiclass in ("top-label", "confidence"):
        top = g("ArgMax", row, axis=1, keepdims=1)
        top_score = g("GatherElements", score, top, axis=1)
        new = curve(g, numbers, top_score, top if many else g.constant([0]))
        return "probs", _with_top(g, look(g, "probs", row, 0.0), top, new)
    if len(fitted_map.prior) == 2:
        new = curve(g, numbers, g("Gather", score, np.array([1]), axis=1), g.constant([0]))
        return "probs", g("Concat", g("Sub", 1.0, new), new, axis=1)
    which = np.arange(g.classes) if many else np.array([0])
    values = curve(g, numbers, score, g.constant(which))
    total = g.total(values)
    return "probs", g("Where", g("Greater", total, 0.0), g("Div", values, total), fitted_map.prior)


def _with_top(g: Graph, p: str, top: str, new: str) -> str:
    """Add the nodes that give the top class a new probability and scale the others to the rest."""
    is_top = g.is_top(top)
    others = g("Where", is_top, 0.0, p)
    rest = g.total(others)
    left = g("Sub", 1.0, new)
    shared = g("Div", g("Mul", others, left), rest)
    even = g("Div", left, float(g.classes - 1))
    return g("Where", is_top, new, g("Where", g("Greater", rest, 0.0), shared, even))


# `export` lets no map with patches pass: one without is its inner map
MAPS: dict[type[Map], Callable[[Any, Graph, str], tuple[str, str]]] = {
    Power: _power,
    Affine: _affine,
    Mixture: _mixture,
    Monotone: _monotone,
    Curves: _curves,
    Patched: lambda fitted_map, g, row: MAPS[type(fitted_map.inner)](fitted_map.inner, g, row),
    Shifted: _shifted,
}
