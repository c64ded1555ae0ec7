"""The end of a run: a temperature, the test rows measured, everything written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from calibtool.calibrators.fit import fit as fit_calibrator
from calibtool.calibrators.fit import load_calibrator
from calibtool.data.files.open import load
from calibtool.data.files.write import write_predictions, write_text
from calibtool.data.predictions import Predictions
from calibtool.errors import FitError
from calibtool.evaluation.evaluate import evaluate
from calibtool.reports.render import render
from calibtool.train import folder, tensors
from calibtool.train.data import dataset
from calibtool.train.data.dataset import Data
from calibtool.train.data.split import Splits
from calibtool.train.loop import TrainingState
from calibtool.train.prepare import Prepared
from calibtool.train.trained import METRICS, Trained, listing

VAL, TEST, TEMPERATURE = "val_logits.npz", "test_logits.npz", "temperature.json"


def measure(
    out: Path, data: Data, parts: Splits, val: Tensor, test: Tensor, about: dict[str, Any]
) -> Trained:
    """Temperature from validation rows, and the test rows before and after it."""
    notes = list(parts.notes)
    on_val = _predictions(val, parts.val, data, out / VAL)
    on_test = _predictions(test, parts.test, data, out / TEST)
    calibrator = None
    try:
        calibrator = fit_calibrator("temperature", on_val)
        notes += calibrator.fitted.notes
    except FitError as error:
        notes.append(f"No temperature was fitted: {error}")
    report = evaluate(on_test, METRICS, calibrator=calibrator)
    return Trained(str(out), report, about, tuple(notes), calibrator, on_val, on_test)


def _predictions(logits: Tensor, of: dataset.Rows, data: Data, path: Path) -> Predictions:
    made = Predictions.from_logits(logits.numpy(), of.labels, class_names=data.class_names)
    return replace(made, extra={"ids": of.ids}, source=str(path))


def write(out: Path, state: TrainingState, found: Trained) -> None:
    """Everything a user keeps; the checkpoint goes last, when nothing needs it."""
    tensors.write(out / folder.MODEL, saved(state.model))
    write_predictions(found.val, out / VAL)
    write_predictions(found.test, out / TEST)
    if found.calibrator:
        found.calibrator.save(out / TEMPERATURE)
    shown = listing(found)
    for name, format_ in (("report.txt", "table"), ("report.md", "markdown")):
        write_text(out / name, render(shown, format_, width=80, colour=False))
    write_text(out / folder.REPORT, render(shown, "json", width=80, colour=False))
    (out / folder.CHECKPOINT).unlink(missing_ok=True)


def saved(model: Prepared) -> dict[str, Tensor]:
    """The network's weights under their own names, and the standardisation beside them."""
    found = {f"{folder.PREFIX}{k}": getattr(model, k) for k in ("mean", "deviation")}
    found = {name: tensor for name, tensor in found.items() if tensor is not None}
    return {**model.network.state_dict(), **found}


def finished(out: Path) -> Trained | None:
    """The run in a folder, if it is done: measured again from its own files, to the same digits."""
    if not (out / folder.REPORT).is_file() or (out / folder.CHECKPOINT).exists():
        return None
    document = json.loads((out / folder.REPORT).read_text(encoding="utf-8"))
    val, test = (load(out / name, extra=["ids"]) for name in (VAL, TEST))
    fitted = (out / TEMPERATURE).is_file()
    calibrator = load_calibrator(out / TEMPERATURE) if fitted else None
    report = evaluate(test, METRICS, calibrator=calibrator)
    notes = tuple(document["notes"])
    return Trained(str(out), report, document["training"], notes, calibrator, val, test)
