"""A run from its settings to its report: read, split, build, train, measure, write."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from calibtool.errors import CalibtoolError, UsageError
from calibtool.train import checkpoint, config, folder, gamma_search, grammar
from calibtool.train.data import dataset
from calibtool.train.data.dataset import Data
from calibtool.train.data.read import read
from calibtool.train.data.split import Splits, split
from calibtool.train.feed import Feed, watched
from calibtool.train.forward import predict
from calibtool.train.loop import Silent, TrainingState, Watch, fit, is_over
from calibtool.train.models import registry
from calibtool.train.results import finished, measure, write
from calibtool.train.settings import Settings
from calibtool.train.start import begin
from calibtool.train.trained import Trained
from calibtool.train.world import World, choose_precision, open_world, seeded, threads


def run(
    settings: Settings,
    *,
    resume: bool = False,
    watch: Watch | None = None,
    data: Data | None = None,
) -> Trained:
    """Train, measure, and write everything to `settings.out`.

    Under torchrun every process calls this.

    Args:
        settings: what to do.
        resume: continue from the checkpoint in the folder; a finished run is only read.
        watch: the observer of the run.
        data: the data of the settings, if they are already read.

    Raises InputError, UsageError, TrainingError.
    """
    with open_world(settings.device) as world:
        out = Path(settings.out)
        if done := open_folder(out, settings, world, resume=resume):
            return done
        data = registry.tokenized(settings.model, data or read(settings), settings.max_length)
        return train(settings, data, world, resume=resume, watch=watch or Silent())


def open_folder(out: Path, settings: Settings, world: World, *, resume: bool) -> Trained | None:
    """Check that a run can begin in a folder, or that the run in it can be resumed.

    Return the run if it is finished, and not asked for more epochs.
    """
    if not resume:
        world.first_alone(folder.require_empty, out)
        return None
    world.first_alone(folder.require_resumable, out, settings)
    more = settings.epochs > config.read(out / config.NAME)[0].epochs
    return None if more else finished(out)


def train(settings: Settings, data: Data, world: World, *, resume: bool, watch: Watch) -> Trained:
    """Train on data in memory, in a folder that `open_folder` has checked."""
    parts = split(
        data, val_share=settings.val_share, test_share=settings.test_share, seed=settings.seed
    )
    count = cpu_threads(settings, data)
    world.first_alone(folder.make, Path(settings.out))
    try:
        with threads(count), seeded(settings.seed, world.device), watched():
            return _train(settings, data, parts, world, resume=resume, watch=watch)
    except torch.OutOfMemoryError as error:
        raise UsageError(
            f"{world.device}: out of memory; try a smaller --batch-size, or --precision bfloat16"
        ) from error
    except CalibtoolError:
        if world.first and not resume:
            folder.clear(Path(settings.out))
        raise


def cpu_threads(settings: Settings, data: Data) -> int:
    """Return the number of threads on the CPU: torch's own for networks on images, otherwise 1.

    A layer on features takes less time than threads need to synchronise, above all on a busy
    machine. With several threads, the last digits depend on their number.
    """
    model = registry.MODELS.get(grammar.parse(settings.model)[0])
    flat = model is not None and "features" in model.takes  # pixels are its features
    return settings.threads or (torch.get_num_threads() if data.images and not flat else 1)


def _train(
    original: Settings, data: Data, parts: Splits, world: World, *, resume: bool, watch: Watch
) -> Trained:
    out = Path(original.out)
    settings = original
    if original.gamma_search:
        loss = gamma_search.chosen_loss(original, data, parts, world, watch)
        settings = replace(original, loss=loss)
    state = begin(settings, data, parts, world)
    about = describe(settings, data, parts, world, state)
    if resume:
        about |= _restore(out, settings, about, state)
    world.first_alone(config.write, out / config.NAME, original, about)
    watch.start(settings.loss, settings.epochs)
    began = time.monotonic()
    fit(
        state,
        Feed(parts.train, world.device, settings.workers),
        val := Feed(parts.val, world.device, settings.workers),
        settings,
        world,
        watch=watch,
        save=Saver(out, settings, world),
    )
    about |= {"epochs_trained": state.epoch, "seconds": round(time.monotonic() - began, 1)}
    if settings.patience:
        about["best_epoch"] = int(np.argmin([row["val_nll"] for row in state.history])) + 1
    val_logits = predict(state.model, val, settings, world)
    test_logits = predict(
        state.model, Feed(parts.test, world.device, settings.workers), settings, world
    )
    parts = replace(parts, notes=parts.notes + state.model.notes)
    trained = measure(out, data, parts, val_logits, test_logits, about)
    world.first_alone(write, out, state, trained)
    return trained


def _restore(
    out: Path, settings: Settings, about: dict[str, Any], state: TrainingState
) -> dict[str, Any]:
    """Restore the checkpoint of a run, if it has one; return what the run resolved to before."""
    original, resolved = config.read(out / config.NAME)
    folder.require_same_data(out, resolved, about["data_fingerprint"])
    before = resolved.get("trained_on_from")
    if (out / folder.CHECKPOINT).exists():
        checkpoint.load(out / folder.CHECKPOINT, state)
    if settings.epochs == original.epochs:
        return {} if before is None else {"trained_on_from": before.whole()}
    over = is_over(state, settings)
    folder.require_more_to_do(out, settings, state.epoch, over=over)
    (out / folder.REPORT).unlink(missing_ok=True)  # the run is not finished any more
    return {"trained_on_from": state.epoch} if state.epoch else {}


@dataclass
class Saver:
    """Saves checkpoints and the history so far, in the first process.

    Of epochs that are quickly over, some are left out, so that saving takes at most a tenth of the
    time: a run that is killed then resumes from an earlier one, to the same bits. The last epoch is
    always saved.
    """

    out: Path
    settings: Settings
    world: World
    next: float = 0.0  # time of the next save between epochs

    def __call__(self, state: TrainingState) -> None:
        more = state.epoch < self.settings.epochs and not is_over(state, self.settings)
        began = time.monotonic()
        if not self.world.first or (more and not state.step and began < self.next):
            return
        checkpoint.save(self.out / folder.CHECKPOINT, state)
        folder.write_history(self.out, state.history)
        now = time.monotonic()
        self.next = now + 10 * (now - began)


def describe(
    settings: Settings, data: Data, parts: Splits, world: World, state: TrainingState
) -> dict[str, Any]:
    """Return what the settings resolved to, for config.toml and the report."""
    return {
        "model": settings.model,
        "loss": settings.loss,
        "seed": settings.seed,
        "classes": data.classes,
        "class_names": data.class_names,
        "shape": data.shape,
        "kind": data.kind,
        "columns": data.columns,
        "train_rows": len(parts.train),
        "val_rows": len(parts.val),
        "test_rows": len(parts.test),
        "parameters": sum(p.numel() for p in state.model.parameters()),
        "parameters_trained": sum(p.numel() for p in state.model.parameters() if p.requires_grad),
        "learning_rate": settings.learning_rate,
        "weight_decay": settings.decay,
        "device": str(world.device.type),
        "processes": world.size,
        "threads": torch.get_num_threads(),
        "precision": str(choose_precision(settings.precision, world.device)).removeprefix("torch."),
        "torch": torch.__version__,
        "data_fingerprint": dataset.fingerprint(data),
    }
