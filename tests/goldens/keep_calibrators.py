"""Keep a calibrator file of each method, and what it makes of some rows, for ever.

python tests/goldens/keep_calibrators.py [NAME ...]

A file that is here already is never written again: whatever comes, calibtool must read it and give
the same numbers (tests/calibrators/test_kept_calibrators.py).
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import calibtool as ct
from calibtool.calibrators.registry import METHODS, WITH_COLUMNS
from calibtool.data.rows import to_probs

FOLDER = Path(__file__).parent / "calibrators-v1"


def rows(count: int, classes: int, seed: int, kind: str) -> ct.Predictions:
    """Overconfident logits with a column to group by."""
    rng = np.random.Generator(np.random.PCG64(seed))
    z = rng.normal(0, 1.5, (count, classes)).round(3)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1).clip(0, classes - 1)
    made = ct.Predictions.from_logits(2 * z, labels)
    if kind == "confidence":
        confidence, correct = (
            to_probs(made).values.max(axis=1),
            made.values.argmax(axis=1) == labels,
        )
        made = ct.Predictions.from_confidence(confidence, correct)
    group = np.array(["a", "b"])[rng.integers(0, 2, count)]
    age = np.where(rng.random(count) < 0.1, np.nan, rng.normal(40, 10, count).round(1))
    made = replace(made, extra={"group": group, "country": group, "age": age})
    return to_probs(made) if kind == "probs" else made


def planted(count: int, classes: int, seed: int, kind: str) -> ct.Predictions:
    """Rows of which those of country b, and those that are young, are off."""
    made = rows(count, classes, seed, kind)
    off = (made.extra["country"] == "b") & (np.arange(count) % 3 == 0)
    off |= (made.extra["age"] < 30) & (np.arange(count) % 2 == 0)
    if made.correct is not None:
        return replace(made, correct=made.correct & ~off)
    return replace(made, labels=np.where(off, 0, made.labels))


def cases() -> dict[str, tuple[str, int, str, dict[str, object]]]:
    """Name of the file -> method, classes, kind, options."""
    made: dict[str, tuple[str, int, str, dict[str, object]]] = {
        name: (name, 3, "logits", {}) for name in METHODS
    }
    for name, line in METHODS.items():
        if line.binary:
            made[f"{name}-two-classes"] = (name, 2, "probs", {})
        if line.to_confidences:  # of version 2
            made[f"{name}-confidence"] = (name, 3, "confidence", {})
    made["histogram-top-label"] = ("histogram", 3, "logits", {"multiclass": "top-label"})
    made["isotonic-shared"] = ("isotonic", 3, "probs", {"multiclass": "shared"})
    made["venn-abers-crossed"] = ("venn-abers", 3, "logits", {"folds": 3})
    # of version 3: those named after the methods began at temperature scaling itself
    for name in ("structured-vector", "structured-matrix"):
        made[f"{name}-uniform"] = (name, 3, "probs", {})
    for name, classes, kind in (
        ("multicalibration", 3, "logits"),
        ("multicalibration-two-classes", 2, "probs"),
        ("multicalibration-confidence", 3, "confidence"),
    ):
        made[name] = ("multicalibration", classes, kind, {"by": "country,age"})
    made["platt-by-group"] = ("platt", 3, "logits", {"by": "group"})
    return made


def main() -> None:
    """Write what is not here yet."""
    FOLDER.mkdir(exist_ok=True)
    for name, (method, classes, kind, options) in cases().items():
        path = FOLDER / f"{name}.json"
        wanted = not sys.argv[1:] or name in sys.argv[1:]
        if path.exists() or not wanted:
            continue
        # 150 rows of slices are too few for patches
        data = (
            planted(3000, classes, 0, kind)
            if method in WITH_COLUMNS
            else rows(150, classes, 0, kind)
        )
        fitted = ct.fit(method, data, **options)
        if name == "temperature":
            fitted = fitted.for_prior([0.2, 0.3, 0.5])
        fitted.save(path)
        after = to_probs(fitted(rows(4, classes, 1, kind))).matrix()
        expected = FOLDER / f"{name}.expected.json"
        expected.write_text(json.dumps({"classes": classes, "kind": kind, "probs": after.tolist()}))


if __name__ == "__main__":
    main()
