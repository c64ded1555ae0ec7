"""Several files: paired differences where their rows are the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibtool.calibrators.crossfit import CrossFitted, numbered
from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Variant
from calibtool.evaluation.evaluate import evaluate_rows
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.reports.page.collect import loaded
from calibtool.reports.page.model import Comparison
from calibtool.types import Array, Progress


def compare(
    files: Sequence[Source | Predictions],
    names: Sequence[str],
    metrics: str | Sequence[str],
    resampling: Resampling,
    progress: Progress,
) -> Comparison:
    """The metrics of every file minus those of the first, by the same draws of the same rows."""
    first, *others = [loaded(file) for file in files]
    for name, other in zip(names[1:], others, strict=True):
        why = _differs(first, other)
        if why:
            text = f"{name} {why} {names[0]}: not the same rows, so no paired differences."
            return Comparison((), text)
    systems = [
        Variant.of(CrossFitted(other.kind, other.values, name))
        for name, other in zip(names[1:], others, strict=True)
    ]
    request = Request.of(
        numbered(first),
        metrics,
        [Variant(), *systems],
        resampling=resampling,
        execution=Execution.of(progress=progress),
    )
    found = evaluate_rows(request)
    changes = [(name, found.change(k)) for k, name in enumerate(names[1:], start=1)]
    return Comparison(tuple(changes), "")


def _differs(first: Predictions, other: Predictions) -> str:
    """Why two files cannot be of the same rows; "" if they can be."""
    if first.rows != other.rows:
        return f"has {other.rows:,} rows, unlike the {first.rows:,} of"
    if first.classes != other.classes:
        return "has other classes than"
    if first.one_column != other.one_column:
        return "gives its two classes in another form than"
    if first.labels is None or other.labels is None:
        return "holds no labels to be held against those of"
    if not np.array_equal(first.labels, other.labels):
        return "has other labels than"
    return "" if _same(first.weights, other.weights) else "has other weights than"


def _same(a: Array | None, b: Array | None) -> bool:
    return a is b if a is None or b is None else bool(np.array_equal(a, b))
