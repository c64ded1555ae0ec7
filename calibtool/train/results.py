"""The end of a run: its logits to `finish`, and the files that only `calibtool train` writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from calibtool.analysis.evaluate import evaluate
from calibtool.calibrators.fit import load_calibrator
from calibtool.data.files.document import Document
from calibtool.data.files.open import load
from calibtool.data.predictions import Predictions
from calibtool.train import folder, grammar, tensors
from calibtool.train.conclusion import TEMPERATURE, TEST, VAL, conclude, write_results
from calibtool.train.data.dataset import Data, Rows
from calibtool.train.data.split import Splits
from calibtool.train.loop import TrainingState
from calibtool.train.models import packages
from calibtool.train.prepare import Prepared
from calibtool.train.trained import METRICS, Trained


def measure(
    out: Path, data: Data, parts: Splits, val: Tensor, test: Tensor, about: dict[str, Any]
) -> Trained:
    """Fit a temperature on validation rows, and measure the test rows before and after it.

    `val` and `test` are (N, K) logits, `about` describes the run in the report.
    """
    on_val = _predictions(val, parts.val, data, out / VAL)
    on_test = _predictions(test, parts.test, data, out / TEST)
    return conclude(out, on_val, on_test, about, parts.notes)


def _predictions(logits: Tensor, rows: Rows, data: Data, path: Path) -> Predictions:
    predictions = Predictions.from_logits(logits.numpy(), rows.labels, class_names=data.class_names)
    return replace(predictions, extra={"ids": rows.ids}, source=str(path))


def write(out: Path, state: TrainingState, trained: Trained) -> None:
    """Write the files of a finished run.

    report.json is written last: a run that is killed before it resumes from the checkpoint. The
    checkpoint stays, since more epochs train on from it.
    """
    tensors.write(out / folder.MODEL, saved(state.model))
    model, kind = trained.about["model"], trained.about["kind"]
    if model.startswith("hf:"):
        packages.keep(state.model.network, grammar.parse(model)[0], kind, out / folder.HF)
    write_results(out, trained)


def saved(model: Prepared) -> dict[str, Tensor]:
    """Return the weights of the network under their own names, and the standardisation."""
    moments = {f"{folder.PREFIX}{k}": getattr(model, k) for k in ("mean", "deviation")}
    moments = {name: tensor for name, tensor in moments.items() if tensor is not None}
    return {**model.network.state_dict(), **moments}


def finished(out: Path) -> Trained | None:
    """Return the finished run of a folder, measured again from its files to the same digits.

    None if the run is not finished.
    """
    if not (out / folder.REPORT).is_file():
        return None
    document = Document(str(out / folder.REPORT), "the report of a run").read_json()
    val, test = (load(out / name, extra=["ids"]) for name in (VAL, TEST))
    has_temperature = (out / TEMPERATURE).is_file()
    calibrator = load_calibrator(out / TEMPERATURE) if has_temperature else None
    report = evaluate(test, METRICS, calibrator=calibrator)
    notes, training = document["notes"].texts(), document["training"]
    for key in ("model", "loss"):  # those that tables show
        training[key].text()
    for key in ("seed", "classes", "val_rows", "epochs_trained"):
        training[key].whole()
    if best := training.get("best_epoch"):
        best.whole()
    return Trained(str(out), report, training.plain(), notes, calibrator, val, test)
