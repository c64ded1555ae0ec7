"""The training loop, in plain torch.

The order of an epoch comes from (seed, epoch), and every random number of a step from (seed, epoch,
step, rank). A run that is resumed from a checkpoint therefore continues exactly like one that was
never interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from calibtool.analysis.evaluate import evaluate
from calibtool.data.predictions import Predictions
from calibtool.errors import TrainingError
from calibtool.intervals.streams import Stream, generator, words
from calibtool.train.augment import augmentation
from calibtool.train.feed import Feed, cut
from calibtool.train.forward import alone, autocast, parallel, predict, share, train_mode, weight
from calibtool.train.optimise import scheduler
from calibtool.train.prepare import Prepared
from calibtool.train.settings import Settings
from calibtool.train.world import SEEDS, World, choose_precision, seed_generators
from calibtool.types import Array, silent

# Steps between reads of the loss on an accelerator: each read waits until it has caught up. With a
# larger number, a loss that is not finite is noticed later, and progress is shown less often.
READ_EVERY = 32


class Watch(Protocol):
    """The observer of a run: `start` of a run, then each `step` and each measured `epoch`."""

    def start(self, title: str, epochs: int) -> None: ...
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, row: dict[str, Any]) -> None: ...


class Silent:
    """The observer that does nothing."""

    def start(self, title: str, epochs: int) -> None:
        pass

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        pass

    def epoch(self, row: dict[str, Any]) -> None:
        pass


@dataclass
class TrainingState:
    """The state of a run, which a checkpoint saves."""

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
    """The constants of a loop: all that it uses and does not change."""

    model: nn.Module
    train: Feed
    val: Feed
    settings: Settings
    world: World
    watch: Watch
    save: Callable[[TrainingState], None]
    augment: Callable[[Tensor], Tensor] | None
    rows: int
    schedule: torch.optim.lr_scheduler.LRScheduler


def fit(
    state: TrainingState,
    train: Feed,
    val: Feed,
    settings: Settings,
    world: World,
    *,
    watch: Watch,
    save: Callable[[TrainingState], None],
    rows: int | None = None,
) -> None:
    """Train `state` to the last epoch, or until validation NLL stops falling.

    `save` is called with the state whenever a checkpoint is due: after each epoch, and every
    `save_every` steps. With patience, the model ends with the weights of its best epoch. An epoch
    takes as many steps as `rows` fill, by default those of `train`.

    Raises TrainingError if the loss or the validation logits are no longer finite.
    """
    model = parallel(state.model, world)
    rows = rows or len(train)
    steps = -(-rows // settings.batch_size)
    rates = scheduler(state.optimizer, settings, steps, state.epoch * steps + state.step)
    augment = augmentation(settings.augment)
    job = Job(model, train, val, settings, world, watch, save, augment, rows, rates)
    while state.epoch < settings.epochs and not is_over(state, settings):
        began = time.monotonic()
        _notify(state.loss, "start_epoch", state.epoch, settings.epochs)
        _epoch(state, job)
        _validate(state, job, time.monotonic() - began)
        watch.epoch(state.history[-1])
        save(state)
    if settings.patience and state.best:
        state.model.load_state_dict(state.best)


def _notify(loss: nn.Module, name: str, *arguments: object) -> None:
    """Call a method of the loss, if it has one of this name."""
    getattr(loss, name, silent)(*arguments)


def _epoch(state: TrainingState, job: Job) -> None:
    """Take the remaining steps of an epoch."""
    settings, world = job.settings, job.world
    order = _order(generator(Stream.ORDER, settings.seed, state.epoch), len(job.train), job.rows)
    batches = cut(order, settings.batch_size)
    pieces = [
        [piece for piece in np.array_split(share(rows, world), settings.accumulate) if len(piece)]
        for rows in batches
    ]
    key = (settings.seed, state.epoch + 1, world.rank)
    begun = sum(map(len, pieces[: state.step]))
    read = job.train.load([piece for of in pieces for piece in of], *key, first=begun)
    # the words of a pass are the same wherever a run was broken off
    passes = SEEDS * settings.accumulate * len(batches)
    seeds = words(Stream.STEP, settings.seed, state.epoch, world.rank, count=passes)
    pending: list[tuple[int, Tensor]] = []
    train_mode(state.model)
    for step in range(state.step, len(batches)):
        if job.schedule.last_epoch < state.epoch * len(batches) + step:
            job.schedule.step()
        pending.append((step, _step(state, job, batches[step], len(pieces[step]), read, seeds)))
        state.step = step + 1
        due = state.step % settings.save_every == 0 if settings.save_every else False
        last = state.step == len(batches)
        if due or last or world.device.type == "cpu" or len(pending) == READ_EVERY:
            _add_losses(state, job, pending, batches)
            pending.clear()
        if due and not last:
            job.save(state)


def _order(random: np.random.Generator, n: int, rows: int) -> Array:
    """Return `rows` of n rows, each as often as the others to within once, in random order."""
    return np.concatenate([random.permutation(n) for _ in range(-(-rows // n))])[:rows]


def _step(
    state: TrainingState,
    job: Job,
    rows: Array,
    pieces: int,
    read: Iterator[tuple[Tensor, Tensor]],
    seeds: Sequence[int],
) -> Tensor:
    """Take one step of the optimizer, and return this process's part of the loss of the batch.

    The batch is the next `pieces` of `read`; `seeds` are those of all passes of the epoch.
    """
    settings, world = job.settings, job.world
    state.optimizer.zero_grad(set_to_none=True)
    losses = []
    for piece in range(pieces):
        x, y = next(read)
        number = SEEDS * (state.step * settings.accumulate + piece)
        seed_generators(seeds[number : number + SEEDS])
        x = job.augment(x) if job.augment else x
        with alone(job.model, piece + 1 < pieces):
            with autocast(settings, world.device):
                logits = job.model(x)
            loss: Tensor = state.loss(logits, y) * weight(len(y), rows, world)
            total = loss * len(rows) if settings.reduction == "sum" else loss
            state.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
    if job.settings.clip is not None:  # the norm is that of the gradient itself, not the scaled one
        state.scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(state.model.parameters(), job.settings.clip)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    return torch.stack(losses).sum() if pieces > 1 else losses[0]


def _add_losses(
    state: TrainingState, job: Job, pending: list[tuple[int, Tensor]], batches: list[Array]
) -> None:
    """Add the losses of the last steps to the state; raise TrainingError if one is not finite."""
    losses = job.world.mean(torch.stack([loss for _, loss in pending]))
    for value, (step, _) in zip(losses.cpu().double().tolist(), pending, strict=True):
        if not np.isfinite(value):
            raise TrainingError(_not_finite(value, state, job, step, batches[step]))
        state.loss_sum += value * len(batches[step])
        state.loss_rows += len(batches[step])
    job.watch.step(state.epoch, state.step, len(batches), state.loss_sum / state.loss_rows)


def _not_finite(value: float, state: TrainingState, job: Job, step: int, rows: Array) -> str:
    """Return the message for a loss that is not finite: where it happened and what to try."""
    x, _ = job.train.batch(rows)
    ids = ", ".join(map(str, job.train.rows.ids[rows[:5]].tolist()))
    rate = state.optimizer.param_groups[0]["lr"]
    return (
        f"the loss became {value} in epoch {state.epoch + 1}, batch {step + 1} (rows {ids}, ...; "
        f"inputs from {x.min().item():g} to {x.max().item():g}; learning rate {rate:.3g}). "
        f"{_advice(state.model, job)}"
    )


def _advice(model: Prepared, job: Job) -> str:
    """Return what may keep numbers finite, of what the run does not do already."""
    settings = job.settings
    fixed = choose_precision(settings.precision, job.world.device) is torch.float32
    normalised = model.tokens or model.mean is not None
    options = {
        f"--lr {settings.learning_rate / 10:.2g}": True,
        "--reduction mean": settings.reduction == "sum",
        "--clip 1": settings.clip is None,
        f"--clip {(settings.clip or 0) / 10:g}": settings.clip is not None,
        "--warmup 1": not settings.warmup and settings.epochs > 1,
        "--normalize train": not normalised,
        "--precision float32": not fixed,
    }
    *most, last = [option for option, fits in options.items() if fits]
    return f"Try {', '.join(most)} or {last}"


def _validate(state: TrainingState, job: Job, seconds: float) -> None:
    """Measure the validation rows, add the epoch to the history, and begin the next epoch."""
    logits = predict(state.model, job.val, job.settings, job.world)
    if not torch.isfinite(logits).all():
        raise TrainingError(
            f"validation logits are no longer finite after epoch {state.epoch + 1}. "
            f"{_advice(state.model, job)}"
        )
    _notify(state.loss, "after_validation", logits.to(job.world.device), job.val.labels)
    on_val = Predictions.from_logits(logits.numpy(), job.val.rows.labels)
    report = evaluate(on_val, "nll,accuracy,ece", ci="none")
    nll = report["nll"].value
    assert nll is not None
    state.history.append(
        {
            "epoch": state.epoch + 1,
            "lr": state.optimizer.param_groups[0]["lr"],
            "train_loss": state.loss_sum / state.loss_rows,
            "val_nll": nll,
            "val_accuracy": report["accuracy"].value,
            "val_ece": report["ece"].value,
            "seconds": round(seconds, 3),
        }
    )
    if job.settings.patience and nll < state.best_nll:
        state.best_nll = nll
        state.best = {k: v.detach().clone() for k, v in state.model.state_dict().items()}
    state.epoch, state.step, state.loss_sum, state.loss_rows = state.epoch + 1, 0, 0.0, 0


def is_over(state: TrainingState, settings: Settings) -> bool:
    """Return whether validation NLL has not fallen for `patience` epochs."""
    if not settings.patience or not state.history:
        return False
    nll = [row["val_nll"] for row in state.history]
    return len(nll) - 1 - int(np.argmin(nll)) >= settings.patience
