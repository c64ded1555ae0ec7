"""The numbers of TRUTH.json, computed from predictions with plain NumPy."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calibtool.data.files.pairs import completed
from calibtool.data.files.roles import Choice, resolve
from calibtool.data.files.source import Source

BINS = 15


def source(table, **keys):
    """Return the source of an open table."""
    choice = completed(table, Choice(**keys))
    return Source(table, resolve(table, choice), choice)


def numbers(predictions):
    """Return accuracy, confidence, ece15, nll and brier of classes, in float64."""
    values = np.asarray(predictions.values, np.float64)
    if predictions.kind == "logits":
        values = np.exp(values - values.max(axis=1, keepdims=True))
        values /= values.sum(axis=1, keepdims=True)
    rows, labels = np.arange(len(values)), np.asarray(predictions.labels)
    top, hit = values.max(axis=1), values.argmax(axis=1) == labels
    # (lo, hi] between multiples of 1/15
    bins = np.searchsorted(np.arange(1, BINS) / BINS, top, side="left")
    gaps = np.bincount(bins, top - hit, BINS)
    return {
        "rows": len(values),
        "accuracy": hit.mean(),
        "confidence": top.mean(),
        "ece15": np.abs(gaps).sum() / len(values),
        "nll": -np.log(values[rows, labels]).mean(),
        "brier": ((values - np.eye(values.shape[1])[labels]) ** 2).sum(axis=1).mean(),
    }


def assert_true(predictions, folder, file, view=None):
    """Check the numbers of predictions against those of a file, or of a view of it."""
    expected = json.loads((folder / "logs" / "TRUTH.json").read_text())[file]
    if view is not None:
        expected = expected["views"][view]
    found = numbers(predictions)
    assert found == pytest.approx({name: expected[name] for name in found}, abs=1e-9)
