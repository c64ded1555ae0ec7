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

from calibtool.checks import Array
from calibtool.errors import TrainingError
from calibtool.evaluation import evaluate
from calibtool.predictions import Predictions
from calibtool.train.feed import Feed
from calibtool.train.optimise import schedule, set_rate
from calibtool.train.prepare import Prepared
from calibtool.train.settings import Settings
from calibtool.train.world import World, choose_precision, reseed

LOOK = 32  # steps between looks at the loss on an accelerator, where each look waits for it


class Watch(Protocol):
    """Who is told how a run goes."""

    def start(self, title: str, epochs: int) -> None: ...
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, row: dict[str, Any]) -> None: ...


@dataclass
class State:
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


def fit(
    state: State,
    train: Feed,
    val: Feed,
    settings: Settings,
    world: World,
    *,
    watch: Watch,
    keep: Callable[[State], None],
    augment: Callable[[Tensor], Tensor] | None = None,
) -> None:
    """Train to the last epoch, or until validation NLL stops falling; `keep` is called with what
    a checkpoint holds. With patience, the weights of the best epoch are left in the model.

    Raises TrainingError where the loss is no longer a number.
    """
    model = parallel(state.model, world)
    while state.epoch < settings.epochs and not _is_over(state, settings):
        began = time.monotonic()
        _start_epoch(state, settings)
        _epoch(state, model, train, settings, world, watch, keep, augment)
        _validate(state, val, settings, world, time.monotonic() - began)
        watch.epoch(state.history[-1])
        keep(state)
    if settings.patience and state.best:
        state.model.load_state_dict(state.best)


def parallel(model: Prepared, world: World) -> nn.Module:
    """The model as the processes share it."""
    trained = any(p.requires_grad for p in model.parameters())
    if world.size == 1 or not trained:
        return model
    ids = [world.device.index] if world.device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=ids)


def _start_epoch(state: State, settings: Settings) -> None:
    start = getattr(state.loss, "start_epoch", None)
    if start is not None:
        start(state.epoch, settings.epochs)


def _epoch(
    state: State,
    model: nn.Module,
    train: Feed,
    settings: Settings,
    world: World,
    watch: Watch,
    keep: Callable[[State], None],
    augment: Callable[[Tensor], Tensor] | None,
) -> None:
    order = np.random.default_rng([settings.seed, state.epoch]).permutation(len(train))
    batches = list(train.batches(order, settings.batch_size))
    rate = schedule(settings, len(batches))
    precision = choose_precision(settings.precision, world.device)
    train_mode(state.model)
    pending: list[tuple[int, Tensor, int]] = []
    for step in range(state.step, len(batches)):
        reseed(settings.seed, state.epoch, step, world.rank)
        at = settings.learning_rate * rate(state.epoch * len(batches) + step)
        set_rate(state.optimizer, at)
        rows = batches[step]
        own, weight = share(rows, world)
        x, y = train.batch(own)
        x = augment(x) if augment else x
        state.optimizer.zero_grad(set_to_none=True)
        with autocast(world.device, precision):
            logits = model(x)
        loss = state.loss(logits, y)
        state.scaler.scale(loss * weight).backward()
        _update(state, settings.clip)
        pending.append((step, loss.detach() * weight, len(rows)))
        if world.device.type == "cpu" or len(pending) == LOOK or step == len(batches) - 1:
            _look(state, pending, batches, train, at, world)
            pending.clear()
            watch.step(state.epoch, step + 1, len(batches), state.loss_sum / state.loss_rows)
        state.step = step + 1
        if settings.save_every and not pending and (step + 1) % settings.save_every == 0:
            keep(state)


def share(rows: Array, world: World) -> tuple[Array, float]:
    """A process's own rows of a batch, and the weight that makes the mean of the processes'
    gradients that of the batch."""
    own = world.share(rows)
    if not len(own):
        return rows[:1], 0.0
    return own, len(own) * world.size / len(rows)


def train_mode(model: Prepared) -> None:
    """Training mode, but for modules that are frozen whole: their statistics stay as they are."""
    model.train()
    for module in model.network.modules():
        own = list(module.parameters())
        if own and not any(p.requires_grad for p in own):
            module.eval()


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Mixed precision, where it is wanted."""
    mixed = precision is not torch.float32
    return torch.autocast(device.type, dtype=precision if mixed else None, enabled=mixed)


def _update(state: State, clip: float | None) -> None:
    if clip is not None:
        state.scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(state.model.parameters(), clip)
    state.scaler.step(state.optimizer)
    state.scaler.update()


def _look(
    state: State,
    pending: list[tuple[int, Tensor, int]],
    batches: list[Array],
    train: Feed,
    rate: float,
    world: World,
) -> None:
    """Add the losses of the last steps up, or say which of them is no number."""
    losses = world.mean(torch.stack([loss for _, loss, _ in pending]))
    values = losses.cpu().double().tolist()
    for value, (step, _, rows) in zip(values, pending, strict=True):
        if not np.isfinite(value):
            raise TrainingError(_not_finite(value, state.epoch, step, batches[step], train, rate))
        state.loss_sum += value * rows
        state.loss_rows += rows


def _not_finite(value: float, epoch: int, step: int, rows: Array, train: Feed, rate: float) -> str:
    x, _ = train.batch(rows)
    ids = ", ".join(str(one) for one in train.rows.ids[rows[:5]].tolist())
    return (
        f"the loss became {value} in epoch {epoch + 1}, batch {step + 1} (rows {ids}, ...; inputs "
        f"from {x.min().item():g} to {x.max().item():g}; learning rate {rate:.3g}). Try --lr "
        f"{rate / 10:.2g}, --clip 1, --warmup 1, or --precision float32"
    )


def _validate(state: State, val: Feed, settings: Settings, world: World, seconds: float) -> None:
    """Measure on validation rows, and begin the next epoch."""
    logits = predict(state.model, val, settings, world)
    if not torch.isfinite(logits).all():
        raise TrainingError(
            f"validation logits are no longer finite after epoch {state.epoch + 1}. Try a smaller "
            "--lr, --clip 1, or --precision float32"
        )
    after = getattr(state.loss, "after_validation", None)
    if after is not None:
        after(logits.to(world.device), val.labels)
    found = evaluate(
        Predictions.from_logits(logits.numpy(), val.rows.labels), "nll,accuracy,ece", ci="none"
    )
    nll = found["nll"].value
    assert nll is not None
    row = {
        "epoch": state.epoch + 1,
        "lr": state.optimizer.param_groups[0]["lr"],
        "train_loss": state.loss_sum / state.loss_rows,
        "val_nll": nll,
        "val_accuracy": found["accuracy"].value,
        "val_ece": found["ece"].value,
        "seconds": round(seconds, 3),
    }
    state.history.append(row)
    if settings.patience and nll < state.best_nll:
        state.best_nll = nll
        state.best = {k: v.detach().clone() for k, v in state.model.state_dict().items()}
    state.epoch, state.step, state.loss_sum, state.loss_rows = state.epoch + 1, 0, 0.0, 0


def _is_over(state: State, settings: Settings) -> bool:
    """Whether validation NLL has not fallen for as long as patience lasts."""
    if not settings.patience or not state.history:
        return False
    nll = [row["val_nll"] for row in state.history]
    return len(nll) - 1 - int(np.argmin(nll)) >= settings.patience


@torch.no_grad()
def predict(model: nn.Module, feed: Feed, settings: Settings, world: World) -> Tensor:
    """(N, K) float32 logits of all rows in order, on the CPU, in every process."""
    model.eval()
    precision = choose_precision(settings.precision, world.device)
    found = []
    for batch in feed.batches(np.arange(len(feed)), 4 * settings.batch_size * world.size):
        x, _ = feed.batch(share(batch, world)[0])
        with autocast(world.device, precision):
            found.append(world.gather(model(x)[: len(world.share(batch))], len(batch)))
    return torch.cat(found)
