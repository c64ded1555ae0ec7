"""Export calibrators as code without calibtool: an ONNX graph, a Python module, a C header.

A calibrator is a map, and there are few maps, so each target is a table: map class -> function, and
for the map that holds curves, curve class -> function.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from calibtool.errors import UsageError

if TYPE_CHECKING:
    from calibtool.calibrators.calibrator import Calibrator


@dataclass(frozen=True)
class Target:
    """A line of the table of targets; its module is `to_NAME`.

    Attributes:
        title: the name in prose.
        suffix: the suffix of its files.
    """

    title: str
    suffix: str


TARGETS: dict[str, Target] = {
    "onnx": Target("an ONNX graph", ".onnx"),
    "python": Target("a Python module", ".py"),
    "c": Target("a C header", ".h"),
}


def target_of(to: str) -> Target:
    """Return a target; raise UsageError for a name that is not in the table."""
    if to not in TARGETS:
        raise UsageError(f"the export target must be one of {', '.join(TARGETS)} (got {to!r})")
    return TARGETS[to]


def export(
    calibrator: Calibrator,
    to: str,
    *,
    kind: Literal["logits", "probs", "confidence"] | None = None,
    one_column: bool = False,
    after: str | Path | None = None,
    output_name: str | None = None,
    name: str | None = None,
    source: str = "a calibrator in memory",
) -> bytes:
    """Return the content of the exported file; text is UTF-8.

    Args:
        calibrator: of K classes; or of confidences, (N, 1), for which it gives the probabilities of
            being wrong and of being right, (N, 2).
        to: a key of TARGETS.
        kind: what will be calibrated, (N, K) logits or probabilities; by default logits.
        one_column: whether, of two classes, only that of class 1 will be given, (N, 1).
        after: an ONNX model, behind which the calibrator is put. ONNX only.
        output_name: the output of that model to calibrate, if it has several.
        name: the function to call, "calibrate" by default; in C, all other names and macros begin
            with it too, so that several headers can be included. Python and C only.
        source: the name of the calibrator's file, for the comment at the top and for errors.

    A calibrator with patches of slices becomes a Python module only, whose function also takes the
    values of columns.

    Raises UsageError for a calibrator by groups, for a model that does not fit, or if `to` is
    "onnx" and that package is not installed.

    >>> from calibtool.calibrators.calibrator import Calibrator
    >>> from calibtool.calibrators.maps import Power
    >>> text = export(Calibrator("temperature", Power(2.0), 3), "python").decode()
    >>> module = {}
    >>> exec(text, module)
    >>> module["calibrate"]([7.0, 7.0, -9000.0])
    [0.5, 0.5, 0.0]
    """
    from calibtool.calibrators.export.form import Form, needs_logits
    from calibtool.calibrators.export.text_targets import require_name
    from calibtool.calibrators.nested_maps import columns_of, patched_in

    target_of(to)
    if calibrator.classes is None:
        if kind not in (None, "confidence"):
            raise UsageError(
                f"{source}: was fitted to confidences; what it calibrates cannot be {kind}"
            )
        kind, one_column = "probs", True  # of the two classes wrong and right, the column of right
    elif kind == "confidence":
        raise UsageError(f"{source}: was fitted to classes, not to confidences")
    columns = columns_of(calibrator.map)
    patched = patched_in(calibrator.map)
    if patched and to != "python":
        raise UsageError(
            f"{source}: holds patches of the slices by {', '.join(columns) or 'no columns'}, and "
            f"{TARGETS[to].title} takes scores only; export it with --to python, whose function "
            "also takes the values of columns"
        )
    if columns_of(patched.inner) if patched else columns:
        raise UsageError(
            f"{source}: holds one calibrator per group ({columns[0]}), which cannot be exported as "
            "one function; fit the rows of each group by themselves, without --by, and export each"
        )
    if one_column and calibrator.width != 2:
        raise UsageError(f"{source}: has {calibrator.classes} classes; --one-column needs two")
    if kind == "probs" and needs_logits(calibrator.map):
        raise UsageError(
            f"{source}: was fitted on logits, which probabilities do not determine; export it for "
            "logits, or fit it on probabilities"
        )
    if to != "onnx" and (after is not None or output_name is not None):
        raise UsageError(f"--after and --output-name are for ONNX models, not for {to}")
    if output_name is not None and after is None:
        raise UsageError("--output-name names an output of the model given by --after; give both")
    if to == "onnx":
        if name is not None:
            raise UsageError("--name names a function of Python or C; an ONNX graph has none")
        options: dict[str, Any] = {"after": after, "output_name": output_name}
    else:
        options = {"name": "calibrate" if name is None else name}
        require_name(options["name"], to)
    target = import_module(f"calibtool.calibrators.export.to_{to}")
    data: bytes = target.write(calibrator, Form(kind or "logits", one_column), source, **options)
    return data
