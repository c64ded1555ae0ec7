"""Export thresholds as code without calibtool: the export of the calibrator, or of the plain
softmax, with a decision added."""

from __future__ import annotations

import math
import textwrap
from typing import Any, Literal

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.export.onnx_model import require_onnx
from calibtool.calibrators.export.text_targets import comment, renamed, require_name
from calibtool.calibrators.export.write import export
from calibtool.calibrators.maps import Power
from calibtool.calibrators.nested_maps import patched_in
from calibtool.decisions.promise import promise, rule
from calibtool.decisions.threshold import PREDICTED, SEPARATOR, Threshold
from calibtool.errors import UsageError

PYTHON = '''

{constant}


def {name}(row: list[float]) -> tuple[int, bool]:
    """Return the class, and whether it is accepted.

    {about}
    """
    p = {name}_calibrate(row)
    {choose}
    return {answer}
'''
C = """
/* Returns the class; `*accepted` gets whether it is accepted.

   {about} */
static inline int decide(const double *in, int *accepted) {{
    double out[DECIDE_CALIBRATE_K];
    {constant}
    int top = 0;
    decide_calibrate(in, out);
{choose}
    *accepted = {accepted};
    return {answer};
}}
"""
C_TOP = """    for (int k = 1; k < DECIDE_CALIBRATE_K; k++) {
        if (out[k] > out[top]) {
            top = k;
        }
    }"""


def export_threshold(
    threshold: Threshold,
    to: str,
    *,
    kind: Literal["logits", "probs", "confidence"] | None = None,
    one_column: bool = False,
    name: str | None = None,
    source: str = "a threshold in memory",
    **more: Any,
) -> bytes:
    """Return the content of the exported file; text is UTF-8.

    Python and C get a function that decides, and `NAME_calibrate` for the probabilities; ONNX gets
    the outputs `prediction` and `accepted`. Of confidences there is no class; 1 stands for it.

    Args:
        threshold: one for all rows, or one per predicted class.
        to: "python", "c" or "onnx".
        kind: what will be given, (N, K) logits or probabilities; by default what it was chosen on.
        one_column: whether, of two classes, only that of class 1 will be given.
        name: the function, "decide" by default. Python and C only.
        source: the name of the threshold's file, for the comment at the top and for errors.
        more: options that only calibrators have.

    Raises UsageError for thresholds by other columns, and as `export` of calibrators does.

    >>> from calibtool.decisions.choose import choose_threshold
    >>> chosen = choose_threshold(([[3.0, 0.0]] * 60, [0] * 60), target="risk <= 5 %")
    >>> module = {}
    >>> exec(export_threshold(chosen, "python").decode(), module)
    >>> module["decide"]([0.0, 2.0])
    (1, True)
    """
    threshold.require_found()
    if any(value is not None for value in more.values()):
        raise UsageError("--after and --output-name are for calibrators, not for thresholds")
    if threshold.by not in ((), (PREDICTED,)):
        raise UsageError(
            f"{source}: holds one threshold per group ({SEPARATOR.join(threshold.by)}), which "
            "cannot be exported as one function; choose one for the rows of each group, and export "
            "each"
        )
    if threshold.calibrator and patched_in(threshold.calibrator.map):
        raise UsageError(
            f"{source}: its calibrator holds patches of slices, which need columns; export the "
            "calibrator by itself, with --to python, and compare what it gives with the threshold"
        )
    plain = Calibrator("temperature", Power(1.0), threshold.classes, threshold.class_names)
    calibrator = threshold.calibrator or plain
    if kind is None and threshold.data.kind != "correct":
        kind = threshold.data.kind
    if to == "onnx":
        data = export(calibrator, to, kind=kind, one_column=one_column, name=name, source=source)
        return _onnx(data, threshold)
    name = "decide" if name is None else name
    require_name(name, to)
    inner = f"{name}_calibrate"
    data = export(calibrator, to, kind=kind, one_column=one_column, name=inner, source=source)
    text = data.decode()
    if to == "python":
        return (text.rstrip("\n") + "\n" + _python(threshold, name)).encode()
    head, end = text[: text.rindex("\n#endif")], text[text.rindex("\n#endif") :]
    return (head + _c(threshold, name) + end).encode()


def _about(threshold: Threshold, indent: int) -> str:
    """Return the rule and the promise as a comment; lines after the first are indented."""
    promised = promise(
        threshold.target, threshold.delta, threshold.data.rows, len(threshold.points)
    )
    text = comment(threshold.named(f"Accepted: {rule(threshold.target)}. {promised}"))
    return textwrap.fill(text, 90).replace("\n", f"\n{' ' * indent}")


def _lines(threshold: Threshold) -> list[float]:
    """Return the threshold of each predicted class, or the only one; infinity where there is
    none."""
    if not threshold.by:
        line = threshold.points[0].threshold
        assert line is not None
        return [line]
    names = threshold.class_names or tuple(map(str, range(threshold.classes or 0)))
    known = {point.group: point.threshold for point in threshold.points}
    lines = [known.get(name) for name in names]
    return [math.inf if line is None else line for line in lines]


def _python(threshold: Threshold, name: str) -> str:
    lines = _lines(threshold)
    inf = "math.inf"
    texts = [inf if math.isinf(line) else repr(line) for line in lines]
    many = len(lines) > 1
    accepts, top = threshold.target.subject.accepts, "p.index(max(p))"
    choose = f"top = {top}" if accepts == "confident" else "top = 1"
    if threshold.classes is None:
        choose = "top = 1"
    line = "THRESHOLD[top]" if many else "THRESHOLD"
    if accepts == "confident":
        answer = f"top, p[top] >= {line}"
    elif accepts == "high":
        answer = f"int(p[top] >= {line}), p[top] >= {line}"
    else:
        answer = f"int(p[top] > {line}), p[top] <= {line}"
    constant = f"THRESHOLD = [{', '.join(texts)}]" if many else f"THRESHOLD = {texts[0]}"
    return PYTHON.format(
        constant=constant, about=_about(threshold, 4), choose=choose, answer=answer, name=name
    ).replace(inf, "float('inf')")


def _c(threshold: Threshold, name: str) -> str:
    lines = _lines(threshold)
    texts = ["HUGE_VAL" if math.isinf(line) else repr(line) for line in lines]
    accepts = threshold.target.subject.accepts
    top = accepts == "confident" and threshold.classes is not None
    line = "threshold[top]" if len(lines) > 1 else "threshold[0]"
    accepted = f"out[top] {'<=' if accepts == 'low' else '>='} {line}"
    answers = {"confident": "top", "high": "*accepted", "low": "!*accepted"}
    return renamed(C, "decide", name).format(
        about=_about(threshold, 3),
        constant=f"const double threshold[] = {{{', '.join(texts)}}};",
        choose=renamed(C_TOP, "decide", name) if top else "    top = 1;",
        accepted=accepted,
        answer=answers[accepts],
    )


def _onnx(data: bytes, threshold: Threshold) -> bytes:
    """Return the model with the outputs `prediction` and `accepted`, which look at the
    probabilities before they are rounded to float32."""
    onnx = require_onnx()
    helper, kinds = onnx.helper, onnx.TensorProto
    model = onnx.load_from_string(data)
    graph = model.graph
    (last,) = (node for node in graph.node if "probabilities" in node.output)
    p, accepts = last.input[0], threshold.target.subject.accepts

    def constant(name: str, value: Any) -> str:
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), f"decide/{name}"))
        return f"decide/{name}"

    def node(op: str, *inputs: str, out: str, **attributes: Any) -> str:
        graph.node.append(helper.make_node(op, list(inputs), [out], **attributes))
        return out

    lines = constant("threshold", np.array(_lines(threshold), np.float64))
    if accepts == "confident" and threshold.classes is not None:
        top = node("ArgMax", p, out="prediction", axis=1, keepdims=0)
        score = node("ReduceMax", p, out="decide/score", axes=[1], keepdims=0)
        line = node("Gather", lines, top, out="decide/line") if threshold.by else lines
        node("GreaterOrEqual", score, line, out="accepted")
    else:
        score = node("Gather", p, constant("one", np.int64(1)), out="decide/score", axis=1)
        op = "LessOrEqual" if accepts == "low" else "GreaterOrEqual"
        accepted = node(op, score, lines, out="accepted")
        flagged = node("Not", accepted, out="decide/flagged") if accepts == "low" else accepted
        node("Cast", flagged, out="prediction", to=kinds.INT64)
    for name, kind in (("prediction", kinds.INT64), ("accepted", kinds.BOOL)):
        graph.output.append(helper.make_tensor_value_info(name, kind, ["N"]))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
