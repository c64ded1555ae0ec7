"""Export as a C99 header that needs only <math.h>: its parameters, the functions that it calls, and
`calibrate(in, out)`, which may be renamed, and all other names with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Bend, Crossed, Line, Pair, Parabola, Sigmoid, Steps
from calibtool.calibrators.export.form import Form, Numbers, bend, numbers_of
from calibtool.calibrators.export.text_targets import (
    comment,
    needed,
    renamed,
    require_size,
    wrapped,
)
from calibtool.calibrators.maps import Affine, Map, Mixture, Monotone, Power
from calibtool.calibrators.multiclass_curves import Curves
from calibtool.calibrators.nested_maps import Patched, Shifted
from calibtool.types import Array
from calibtool.version import __version__

ABOUT = """/* Calibration of {outputs} classes: {described}.

   Made from {source} by calibtool {version}. `{name}` calibrates a row. */
"""
HEADER = """
#ifndef CALIBRATE_H
#define CALIBRATE_H

#include <math.h>

#define CALIBRATE_VERSION "{version}"
#define CALIBRATE_K {outputs}

{parts}

/* `out` gets {outputs} calibrated probabilities of {inputs} {kind}, `in`. */
static inline void calibrate(const double *in, double *out) {{
    double z[CALIBRATE_K];
{lines}
}}

#endif
"""
# (kind, one column) -> lines that read a row of logits or probabilities into z
READ = {
    ("logits", False): "each: z[k] = in[k];",
    ("logits", True): "z[0] = 0;\nz[1] = in[0];",
    ("probs", False): "each: z[k] = in[k];\ncalibrate_normalise(z);",
    ("probs", True): "z[0] = 1 - in[0];\nz[1] = in[0];",
}


@dataclass
class Body:
    """The parts of a header that a map fills: tables by name, functions, and lines of `calibrate`.

    The lines find the row in `z`, and leave logits in `z` or probabilities in `out`. A line that
    starts with "each:" is run for every class k.
    """

    form: Form
    tables: dict[str, Array] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def say(self, *lines: str) -> None:
        self.lines += lines

    def look(self, name: str, floor: float) -> None:
        """Add the lines that turn `z` into what a map or a curve looks at."""
        logits = self.form.kind == "logits"
        if name == "log-odds":
            self.look("log-probs", floor)
            self.say("calibrate_log_odds(z);")
        elif name == "probs" and logits:
            self.say("calibrate_softmax(z, z);")
        elif name == "log-probs" and logits:
            self.say("calibrate_log_probs(z, z);")
        elif name in ("logits", "log-probs") and not logits:
            self.say(f"calibrate_logs(z, {_number(floor)}, z);")


def write(calibrator: Calibrator, form: Form, source: str, name: str) -> bytes:
    """Return the header, UTF-8."""
    require_size(calibrator, source, "a C header")
    body = Body(form, lines=READ[form.kind, form.one_column].split("\n"))
    if MAPS[type(calibrator.map)](calibrator.map, body) == "z":
        body.say("calibrate_softmax(z, out);")
    lines = "\n".join(f"    {_line(line)}" for line in body.lines)
    runtime = needed("runtime.h", "\n".join([*body.functions, lines]))
    tables = "\n".join(_table(key, table) for key, table in body.tables.items())
    about = ABOUT.format(
        outputs=calibrator.width,
        described=comment(calibrator.describe()),
        source=comment(source),
        version=__version__,
        name=name,
    )
    code = HEADER.format(
        version=__version__,
        parts="\n\n".join([*([tables] if tables else []), *runtime, *body.functions]),
        outputs=calibrator.width,
        inputs=1 if form.one_column else calibrator.width,
        kind={"logits": "logits", "probs": "probabilities"}[form.kind],
        lines=lines,
    )
    return (about + renamed(code, "calibrate", name)).encode()


def _power(fitted_map: Power, body: Body) -> str:
    if body.form.kind == "probs":
        body.say("calibrate_logs(z, 0, z);")
    body.say(f"each: z[k] /= {_number(fitted_map.temperature)};")
    return "z"


def _affine(fitted_map: Affine, body: Body) -> str:
    body.tables |= {"weight": fitted_map.weight.ravel(), "bias": fitted_map.bias}
    if fitted_map.temperature == 1 and not fitted_map.uniform:
        body.look(fitted_map.look, fitted_map.floor)
    else:
        body.look("log-probs", fitted_map.floor)
        if fitted_map.uniform:
            body.say(f"each: z[k] = fmax(z[k], log({_number(fitted_map.floor)}));")
        body.say(f"each: z[k] /= {_number(fitted_map.temperature)};", "calibrate_log_probs(z, z);")
    if fitted_map.uniform:
        kept, each = _number(1 - fitted_map.uniform), _number(fitted_map.uniform)
        body.say(f"each: z[k] = log({kept} * exp(z[k]) + {each} / CALIBRATE_K);")
    if fitted_map.weight.ndim == 2:
        body.say(
            "each: out[k] = calibrate_bias[k];",
            "for (int k = 0; k < CALIBRATE_K; k++) {",
            "    for (int j = 0; j < CALIBRATE_K; j++) {",
            "        out[k] += calibrate_weight[k * CALIBRATE_K + j] * z[j];",
            "    }",
            "}",
            "each: z[k] = out[k];",
        )
    else:
        at = "k" if fitted_map.weight.ndim else "0"
        body.say(f"each: z[k] = calibrate_weight[{at}] * z[k] + calibrate_bias[k];")
    return "z"


def _mixture(fitted_map: Mixture, body: Body) -> str:
    a, b, c = map(_number, fitted_map.shares.tolist())
    body.say(
        "double plain[CALIBRATE_K];",
        "calibrate_softmax(z, plain);" if body.form.kind == "logits" else "each: plain[k] = z[k];",
    )
    _power(Power(fitted_map.temperature), body)
    body.say(
        "calibrate_softmax(z, out);",
        f"each: out[k] = {a} * out[k] + {b} * plain[k] + {c} / CALIBRATE_K;",
    )
    return "out"


def _monotone(fitted_map: Monotone, body: Body) -> str:
    _add(body, [[bend(fitted_map.curve)]], HEIGHT)
    body.look("log-probs", fitted_map.floor)
    body.say("each: z[k] = calibrate_curve(0, z[k]);")
    return "z"


def _curves(fitted_map: Curves, body: Body) -> str:
    _add(body, numbers_of(fitted_map.curves, body.form), CURVES[type(fitted_map.curves[0])])
    many = len(fitted_map.curves) > 1
    look = fitted_map.curves[0].look
    if fitted_map.multiclass in ("top-label", "confidence"):
        before = (
            "calibrate_softmax(z, out);" if body.form.kind == "logits" else "each: out[k] = z[k];"
        )
        body.say("const int top = calibrate_top(z);", before)
        body.look(look, fitted_map.floor)
        new = f"calibrate_curve({'top' if many else 0}, z[top])"
        body.say(f"calibrate_with_top(out, top, {new});")
        return "out"
    body.look(look, fitted_map.floor)
    if len(fitted_map.prior) == 2:
        body.say("out[1] = calibrate_curve(0, z[1]);", "out[0] = 1 - out[1];")
        return "out"
    body.tables["prior"] = fitted_map.prior
    body.say(
        "double total = 0;",
        f"each: total += out[k] = calibrate_curve({'k' if many else 0}, z[k]);",
        "each: out[k] = total > 0 ? out[k] / total : calibrate_prior[k];",
    )
    return "out"


def _add(body: Body, sets: list[list[Numbers]], function: str) -> None:
    """Add the tables of curves, one after another, and the function `calibrate_curve(k, x)`.

    A table NAME_at has where the entries of each curve begin, if the function needs it.
    """
    flat = [numbers for curve in sets for numbers in curve]
    for name in flat[0]:
        parts = [numbers[name].ravel() for numbers in flat]
        body.tables[name] = np.concatenate(parts)
        if f"calibrate_{name}_at" in function:
            body.tables[f"{name}_at"] = np.cumsum([0, *map(len, parts)])
    body.functions.append(function.strip().replace("FOLDS", str(len(sets[0]))))


def _shifted(fitted_map: Shifted, body: Body) -> str:
    result = MAPS[type(fitted_map.inner)](fitted_map.inner, body)
    if result == "z":
        body.tables["shift"] = np.log(fitted_map.target / fitted_map.prior)
        body.say("each: z[k] += calibrate_shift[k];")
    else:
        body.tables["ratio"] = fitted_map.target / fitted_map.prior
        body.say("each: out[k] *= calibrate_ratio[k];", "calibrate_normalise(out);")
    return result


# `export` lets no map with patches pass: one without is its inner map
MAPS: dict[type[Map], Callable[[Any, Body], str]] = {
    Power: _power,
    Affine: _affine,
    Mixture: _mixture,
    Monotone: _monotone,
    Curves: _curves,
    Patched: lambda fitted_map, body: MAPS[type(fitted_map.inner)](fitted_map.inner, body),
    Shifted: _shifted,
}

SIGMOID = """
/* The curve of class k. */
static inline double calibrate_curve(int k, double x) {
    return calibrate_sigmoid(x, calibrate_a[k], calibrate_b[k], calibrate_c[k]);
}
"""
PARABOLA = """
/* The curve of class k. */
static inline double calibrate_curve(int k, double x) {
    return calibrate_parabola(x, calibrate_a[k], calibrate_b[k], calibrate_c[k],
                              calibrate_low[k], calibrate_high[k]);
}
"""
STEPS = """
/* The curve of class k: one value per bin; an edge belongs to the bin below it. */
static inline double calibrate_curve(int k, double x) {
    const int at = calibrate_edges_at[k], n = calibrate_edges_at[k + 1] - at;
    return calibrate_values[at + k + calibrate_count_below(x, n, calibrate_edges + at)];
}
"""
LINE = """
/* The curve of class k. */
static inline double calibrate_curve(int k, double x) {
    const int at = calibrate_x_at[k], n = calibrate_x_at[k + 1] - at;
    return calibrate_line(x, n, calibrate_x + at, calibrate_y + at);
}
"""
HEIGHT = """
/* The curve of all classes. */
static inline double calibrate_curve(int k, double x) {
    const int at = calibrate_knots_at[k], n = calibrate_knots_at[k + 1] - at;
    return calibrate_bend(x, n, calibrate_knots + at, calibrate_heights + at,
                          calibrate_slopes + at, calibrate_bends + at);
}
"""
BEND = """
/* The curve of class k. */
static inline double calibrate_curve(int k, double x) {
    const int at = calibrate_knots_at[k], n = calibrate_knots_at[k + 1] - at;
    return calibrate_expit(calibrate_bend(x, n, calibrate_knots + at, calibrate_heights + at,
                                          calibrate_slopes + at, calibrate_bends + at));
}
"""
PAIRS = """
/* The curve of class k: between two step functions per fold, merged by geometric means. */
static inline double calibrate_curve(int k, double x) {
    double no = 0, yes = 0;
    for (int fold = k * FOLDS; fold < (k + 1) * FOLDS; fold++) {
        const int below = calibrate_below_at[fold], above = calibrate_above_at[fold];
        const int n = calibrate_below_at[fold + 1] - below;
        const int m = calibrate_above_at[fold + 1] - above;
        const int low = calibrate_count_up_to(x, n, calibrate_below + below);
        const int high = calibrate_count_below(x, m, calibrate_above + above);
        no += log(1 - calibrate_p0[below + fold + low]);
        yes += log(calibrate_p1[above + fold + high]);
    }
    no = exp(no / FOLDS);
    yes = exp(yes / FOLDS);
    return yes / (no + yes);
}
"""
# curve class -> the function over its tables
CURVES: dict[type[Any], str] = {
    Sigmoid: SIGMOID,
    Parabola: PARABOLA,
    Steps: STEPS,
    Line: LINE,
    Bend: BEND,
    Pair: PAIRS,
    Crossed: PAIRS,
}


def _number(value: float) -> str:
    """Return a C literal that keeps every bit: 17 digits tell all doubles apart."""
    return f"{value:.17g}"


def _table(name: str, values: Array) -> str:
    whole = values.dtype.kind == "i"
    # C has no arrays of length 0
    entries = [str(v) if whole else _number(v) for v in values.tolist()] or ["0"]
    head = f"static const {'int' if whole else 'double'} calibrate_{name}[{len(entries)}]"
    return wrapped(f"{head} = {{{', '.join(entries)}}};")


def _line(line: str) -> str:
    if not line.startswith("each: "):
        return line
    inner = line.removeprefix("each: ")
    return f"for (int k = 0; k < CALIBRATE_K; k++) {{\n        {inner}\n    }}"
