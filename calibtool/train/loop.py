"""The training loop: plain torch.

Every random number of an epoch comes from (seed, epoch), so a run that is resumed at a checkpoint
goes on exactly as one that was never broken.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from calibtool.data.predictions import Predictions
from calibtool.errors import TrainingError
from calibtool.evaluation.evaluate import evaluate
from calibtool.train.feed import Feed
from calibtool.train.forward import autocast, parallel, predict, share, train_mode
from calibtool.train.optimise import schedule, set_rate
from calibtool.train.prepare import Prepared
from calibtool.train.settings import Settings
from calibtool.train.world import World, reseed
from calibtool.types import Array

LOOK = 32  # steps between looks at the loss on an accelerator, where each look waits for it


class Watch(Protocol):
    """Who is told how a run goes."""

    def start(self, title: str, epochs: int) -> None: ...
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, row: dict[str, Any]) -> None: ...


@dataclass
class TrainingState:
    """Where a run stands; what a checkpoint keeps."""

    model: Prepared
    loss: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    epoch: int = 0
    step: int = 0  # within the epoch
    loss_sum: float = 0.0  # of the epoch so far, over `loss_rows` rows
    loss_rows: int = 0
    best_nll: float = float("inf")
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Job:
    """What a loop works with, and does not change."""

    model: nn.Module
    train: Feed
    val: Feed
    settings: Settings
    world: World
    watch: Watch
    keep: Callable[[TrainingState], None]
    augment: Callable[[Tensor], Tensor] | None


def fit(
    state: TrainingState,
    train: Feed,
    val: Feed,
    settings: Settings,
    world: World,
    *,
    watch: Watch,
    keep: Callable[[TrainingState], None],
    augment: Callable[[Tensor], Tensor] | None = None,
) -> None:
    """Train to the last epoch, or until validation NLL stops falling; `keep` is called with what
    a checkpoint holds. With patience, the weights of the best epoch are left in the model.

    Raises TrainingError where the loss is no longer a number.
    """
    model = parallel(state.model, world)
    job = Job(model, train, val, settings, world, watch, keep, augment)
    while state.epoch < settings.epochs and not _is_over(state, settings):
        began = time.monotonic()
        _tell(state.loss, "start_epoch", state.epoch, settings.epochs)
        _epoch(state, job)
        _validate(state, job, time.monotonic() - began)
        watch.epoch(state.history[-1])
        keep(state)
    if settings.patience and state.best:
        state.model.load_state_dict(state.best)


def _tell(loss: nn.Module, name: str, *what: object) -> None:
    """Call a method of the loss, if it has it."""
    if (method := getattr(loss, name, None)) is not None:
        method(*what)


def _epoch(state: TrainingState, job: Job) -> None:
    settings, world = job.settings, job.world
    order = np.random.default_rng([settings.seed, state.epoch]).permutation(len(job.train))
    batches = list(job.train.batches(order, settings.batch_size))
    rate = schedule(settings, len(batches))
    pending: list[tuple[int, Tensor]] = []
    train_mode(state.model)
    for step in range(state.step, len(batches)):
        reseed(settings.seed, state.epoch, step, world.rank)
        done = state.epoch * len(batches) + step
        set_rate(state.optimizer, settings.learning_rate * rate(done))
        pending.append((step, _step(state, job, batches[step])))
        state.step = step + 1
        due = state.step % settings.save_every == 0 if settings.save_every else False
        last = state.step == len(batches)
        if due or last or world.device.type == "cpu" or len(pending) == LOOK:
            _look(state, job, pending, batches)
            pending.clear()
        if due and not last:
            job.keep(state)


def _step(state: TrainingState, job: Job, rows: Array) -> Tensor:
    """One step of the optimizer, and this process's part of the batch's loss."""
    own, weight = share(rows, job.world)
    x, y = job.train.batch(own)
    x = job.augment(x) if job.augment else x
    state.optimizer.zero_grad(set_to_none=True)
    with autocast(job.settings, job.world.device):
        logits = job.model(x)
    loss: Tensor = state.loss(logits, y) * weight
    state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    if job.settings.clip is not None:
        state.scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(state.model.parameters(), job.settings.clip)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    return loss.detach()


def _look(
    state: TrainingState, job: Job, pending: list[tuple[int, Tensor]], batches: list[Array]
) -> None:
    """Add the losses of the last steps up, or say which of them is no number."""
    losses = job.world.mean(torch.stack([loss for _, loss in pending]))
    for value, (step, _) in zip(losses.cpu().double().tolist(), pending, strict=True):
        if not np.isfinite(value):
            raise TrainingError(_not_finite(value, state, job, step, batches[step]))
        state.loss_sum += value * len(batches[step])
        state.loss_rows += len(batches[step])
    job.watch.step(state.epoch, state.step, len(batches), state.loss_sum / state.loss_rows)


def _not_finite(value: float, state: TrainingState, job: Job, step: int, rows: Array) -> str:
    x, _ = job.train.batch(rows)
    ids = ", ".join(str(one) for one in job.train.rows.ids[rows[:5]].tolist())
    rate = state.optimizer.param_groups[0]["lr"]
    return (
        f"the loss became {value} in epoch {state.epoch + 1}, batch {step + 1} (rows {ids}, ...; "
        f"inputs from {x.min().item():g} to {x.max().item():g}; learning rate {rate:.3g}). Try "
        f"--lr {rate / 10:.2g}, --clip 1, --warmup 1, or --precision float32"
    )


def _validate(state: TrainingState, job: Job, seconds: float) -> None:
    """Measure on validation rows, and begin the next epoch."""
    logits = predict(state.model, job.val, job.settings, job.world)
    if not torch.isfinite(logits).all():
        raise TrainingError(
            f"validation logits are no longer finite after epoch {state.epoch + 1}. Try a smaller "
            "--lr, --clip 1, or --precision float32"
        )
    _tell(state.loss, "after_validation", logits.to(job.world.device), job.val.labels)
    on_val = Predictions.from_logits(logits.numpy(), job.val.rows.labels)
    found = evaluate(on_val, "nll,accuracy,ece", ci="none")
    nll = found["nll"].value
    assert nll is not None
    state.history.append(
        {
            "epoch": state.epoch + 1,
            "lr": state.optimizer.param_groups[0]["lr"],
            "train_loss": state.loss_sum / state.loss_rows,
            "val_nll": nll,
            "val_accuracy": found["accuracy"].value,
            "val_ece": found["ece"].value,
            "seconds": round(seconds, 3),
        }
    )
    if job.settings.patience and nll < state.best_nll:
        state.best_nll = nll
        state.best = {k: v.detach().clone() for k, v in state.model.state_dict().items()}
    state.epoch, state.step, state.loss_sum, state.loss_rows = state.epoch + 1, 0, 0.0, 0


def _is_over(state: TrainingState, settings: Settings) -> bool:
    """Whether validation NLL has not fallen for as long as patience lasts."""
    if not settings.patience or not state.history:
        return False
    nll = [row["val_nll"] for row in state.history]
    return len(nll) - 1 - int(np.argmin(nll)) >= settings.patience
