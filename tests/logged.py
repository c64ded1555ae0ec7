"""Logs in tests: files as readers get them, and the numbers that a log has by plain NumPy."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calibtool.data.logs.log import LogFile


def file_of(path):
    return LogFile(path.name, str(path), path.suffix, lambda: path.open("rb"))


def pairs(log):
    """Return confidences and outcomes of a log, and p(label) where it has classes."""
    if "logits" not in log.columns:
        return np.asarray(log.columns["confidence"]), np.array(log.columns["correct"], float), None
    z = log.columns["logits"]
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    y = np.array(log.columns["labels"])
    return p.max(1), (p.argmax(1) == y).astype(float), (p, y)


def numbers(log):
    confidence, correct, classes = pairs(log)
    bins = np.digitize(confidence, np.arange(1, 15) / 15, right=True)
    gap = [abs((confidence - correct)[bins == b].sum()) for b in range(15)]
    if classes:
        p, y = classes
        nll = -np.log(p[np.arange(len(y)), y]).mean()
        brier = ((p - np.eye(p.shape[1])[y]) ** 2).sum(1).mean()
    else:
        nll = -np.log(np.where(correct == 1, confidence, 1 - confidence)).mean()
        brier = ((confidence - correct) ** 2).mean()
    return {
        "rows": len(correct),
        "accuracy": correct.mean(),
        "confidence": confidence.mean(),
        "ece15": sum(gap) / len(correct),
        "nll": nll,
        "brier": brier,
    }


def right_numbers(published, name, view=None):
    """Return the path of a sample and its right numbers; skip the test without the samples."""
    truth = published / "logs" / "TRUTH.json"
    if not truth.is_file():
        pytest.skip(f"no logs in {published}")
    entry = json.loads(truth.read_text())[name]
    return published / "logs" / name, entry["views"][view] if view else entry
