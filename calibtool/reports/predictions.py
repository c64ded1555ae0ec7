"""The table of predictions: what they are, not the rows themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from calibtool.data.predictions import KIND_NAMES, Predictions
from calibtool.formatting import number
from calibtool.reports import json
from calibtool.reports.table import Table


def table(predictions: Predictions, width: int | None) -> Table:
    """Return a row per property: what is known without measuring any metric but the accuracy."""
    record = _record(predictions)
    shown = {
        "rows": f"{predictions.rows:,}",
        "classes": f"{predictions.classes:,}" if predictions.classes else "",
        "kind": KIND_NAMES[predictions.kind],
        "weighted": "yes" if record["weighted"] else "",
        "columns": ", ".join(predictions.extra),
        "accuracy": number(record["accuracy"]),
    }
    return Table(
        kind="calibtool-predictions",
        head=predictions.source,
        titles=("property", "value"),
        cells=[[name, text] for name, text in shown.items() if text],
        records=[record],
        key="",
        body={name: json.finite(value) for name, value in record.items()},
        left=("value",),
    )


def _record(predictions: Predictions) -> dict[str, Any]:
    return {
        "source": predictions.source,
        "rows": predictions.rows,
        "classes": predictions.classes,
        "kind": predictions.kind,
        "weighted": predictions.weights is not None,
        "columns": list(predictions.extra),
        "accuracy": _accuracy(predictions),
    }


def _accuracy(predictions: Predictions) -> float | None:
    """Return the weighted share of rows whose predicted class is the label, if that is known."""
    correct = predictions.correct
    if correct is None and predictions.labels is not None:
        correct = predictions.matrix().argmax(axis=1) == predictions.labels
    if correct is None or (predictions.weights is not None and not predictions.weights.any()):
        return None
    return float(np.average(correct, weights=predictions.weights))
