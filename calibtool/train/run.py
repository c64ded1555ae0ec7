"""A run from its settings to its report: read, split, build, train, measure, write."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calibtool.errors import FitError, UsageError
from calibtool.files import write_predictions, write_text
from calibtool.predictions import Predictions
from calibtool.render import listing as ink
from calibtool.train import checkpoint, config, folder, models, rows, tensors, weights
from calibtool.train.augment import augmentation
from calibtool.train.data import read
from calibtool.train.feed import Feed
from calibtool.train.loop import State, Watch, fit, predict
from calibtool.train.losses import make_loss
from calibtool.train.optimise import optimizer
from calibtool.train.prepare import Prepared, require_fit, standardisation
from calibtool.train.report import METRICS, Trained, listing
from calibtool.train.rows import Data
from calibtool.train.settings import Settings
from calibtool.train.split import Splits, split
from calibtool.train.world import World, choose_precision, seeded, threads, world


class Silent:
    """Tells nobody."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        pass

    def epoch(self, row: dict[str, Any]) -> None:
        pass


def run(settings: Settings, *, resume: bool = False, watch: Watch | None = None) -> Trained:
    """Train, measure and write everything to `settings.out`.

    With `resume`, go on from the folder's checkpoint. Under torchrun, each process calls this.

    Raises InputError, UsageError, FitError.
    """
    with world(settings.device) as place, seeded(settings.seed, place.device):
        out = Path(settings.out)
        if place.first:
            folder.take_up(out, settings) if resume else folder.start(out)
        place.agree()
        data = models.tokenized(settings.model, read(settings))
        parts = split(
            data,
            val_share=settings.val_share,
            test_share=settings.test_share,
            seed=settings.seed,
        )
        with threads(cpu_threads(settings, data)):
            return train(settings, data, parts, place, resume=resume, watch=watch or Silent())


def cpu_threads(settings: Settings, data: Data) -> int:
    """How many threads compute on the CPU: one where the inputs are no images.

    Layers on features take less time than threads take to meet, above all on a busy machine.
    """
    return settings.threads or (torch.get_num_threads() if data.images else 1)


def train(
    settings: Settings, data: Data, parts: Splits, place: World, *, resume: bool, watch: Watch
) -> Trained:
    """A run on data that are split."""
    out = Path(settings.out)
    state = begin(settings, data, parts, place)
    about = describe(settings, data, parts, place, state)
    if resume:
        folder.require_same_data(out, about["data_fingerprint"])
        if (out / folder.CHECKPOINT).exists():
            checkpoint.load(out / folder.CHECKPOINT, state)
    elif place.first:
        config.write(out / config.NAME, settings, about)
    place.agree()

    def keep(now: State) -> None:
        if place.first:
            checkpoint.save(out / folder.CHECKPOINT, now)
            folder.write_history(out, now.history)

    began = time.monotonic()
    fit(
        state,
        Feed(parts.train, place.device),
        val := Feed(parts.val, place.device),
        settings,
        place,
        watch=watch,
        keep=keep,
        augment=augmentation(settings.augment),
    )
    seconds = time.monotonic() - began
    val_logits = predict(state.model, val, settings, place)
    test_logits = predict(state.model, Feed(parts.test, place.device), settings, place)
    about |= {"epochs_trained": state.epoch, "seconds": round(seconds, 1)}
    if settings.patience:
        about["best_epoch"] = int(np.argmin([row["val_nll"] for row in state.history])) + 1
    found = measure(out, data, parts, val_logits, test_logits, about)
    if place.first:
        write(out, state, found)
    place.agree()
    return found


def begin(settings: Settings, data: Data, parts: Splits, place: World) -> State:
    """The network, the loss and the optimizer at the start."""
    if settings.augment and not data.images:
        raise UsageError(f"--augment needs images, {data.source} has none")
    network = models.build(settings.model, data)
    if settings.checkpoint:
        weights.load(network.module, settings.checkpoint, settings.fresh)
    weights.freeze(network.module, settings.freeze)
    mean, deviation = standardisation(settings.normalize, network, data, parts, settings.seed)
    model = Prepared(network, mean, deviation).to(place.device)
    require_fit(model, data, parts, place.device)
    loss = make_loss(
        settings.loss,
        classes=data.classes,
        class_weights=class_weights(settings.class_weights, parts.train.labels, data.classes),
    ).to(place.device)
    scaled = choose_precision(settings.precision, place.device) is torch.float16
    scaler = torch.amp.GradScaler(place.device.type, enabled=scaled)
    return State(model, loss, optimizer(model, settings), scaler)


def class_weights(text: str | None, labels: Any, classes: int) -> Tensor | None:
    """A weight a class: None, "balanced" (N / (K n_k)), or numbers."""
    if text is None:
        return None
    if text == "balanced":
        counts = np.bincount(labels, minlength=classes)
        return torch.tensor(len(labels) / (classes * np.maximum(counts, 1)), dtype=torch.float32)
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(
            f"--class-weights {text!r}: give balanced, or a number a class such as 1,2.5"
        ) from error
    if len(numbers) != classes or min(numbers) <= 0:
        raise UsageError(
            f"--class-weights: {len(numbers)} weights for {classes} classes; each must be above 0"
        )
    return torch.tensor(numbers)


def describe(
    settings: Settings, data: Data, parts: Splits, place: World, state: State
) -> dict[str, Any]:
    """What the settings came to."""
    return {
        "model": settings.model,
        "loss": settings.loss,
        "classes": data.classes,
        "class_names": data.class_names,
        "shape": data.shape,
        "kind": data.kind,
        "train_rows": len(parts.train),
        "val_rows": len(parts.val),
        "test_rows": len(parts.test),
        "parameters": sum(p.numel() for p in state.model.parameters()),
        "parameters_trained": sum(p.numel() for p in state.model.parameters() if p.requires_grad),
        "learning_rate": settings.learning_rate,
        "weight_decay": settings.decay,
        "device": str(place.device.type),
        "processes": place.size,
        "threads": torch.get_num_threads(),
        "precision": str(choose_precision(settings.precision, place.device)).removeprefix("torch."),
        "torch": torch.__version__,
        "data_fingerprint": rows.fingerprint(data),
    }


def measure(
    out: Path, data: Data, parts: Splits, val: Tensor, test: Tensor, about: dict[str, Any]
) -> Trained:
    """Temperature from validation rows, and the test rows before and after it."""
    from calibtool.calibrators import fit as fit_calibrator
    from calibtool.evaluation import evaluate

    notes = list(parts.notes)
    pairs = ((val, parts.val), (test, parts.test))
    on_val, on_test = (_predictions(logits, rows_, data) for logits, rows_ in pairs)
    on_test = replace(on_test, source=str(out / "test_logits.npz"))
    calibrator = None
    try:
        calibrator = fit_calibrator("temperature", on_val)
    except FitError as error:
        notes.append(f"No temperature was fitted: {error}")
    report = evaluate(on_test, METRICS, calibrator=calibrator)
    temperature = calibrator.parameters()["temperature"] if calibrator else None
    return Trained(str(out), report, temperature, about, tuple(notes), calibrator, on_val, on_test)


def _predictions(logits: Tensor, rows_: rows.Rows, data: Data) -> Predictions:
    made = Predictions.from_logits(logits.numpy(), rows_.labels, class_names=data.class_names)
    return replace(made, extra={"ids": rows_.ids})


def write(out: Path, state: State, found: Trained) -> None:
    """Everything a user keeps; the checkpoint goes last, when nothing needs it."""
    tensors.write(out / folder.MODEL, saved(state.model))
    write_predictions(found.val, out / "val_logits.npz")
    write_predictions(found.test, out / "test_logits.npz")
    if found.calibrator:
        found.calibrator.save(out / "temperature.json")
    shown = listing(found)
    for name, format_ in (("report.txt", "table"), ("report.md", "markdown")):
        write_text(out / name, ink.render(shown, format_, width=80, colour=False))
    write_text(out / folder.REPORT, ink.render(shown, "json", width=80, colour=False))
    (out / folder.CHECKPOINT).unlink(missing_ok=True)


def saved(model: Prepared) -> dict[str, Tensor]:
    """The network's weights under their own names, and the standardisation beside them."""
    found = {f"calibtool.{k}": getattr(model, k) for k in ("mean", "deviation")}
    found = {name: tensor for name, tensor in found.items() if tensor is not None}
    return {**model.network.state_dict(), **found}
