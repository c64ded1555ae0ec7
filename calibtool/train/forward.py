"""Forward passes: distributed over processes, in mixed precision, for training and prediction."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from calibtool.train.feed import Feed, cut
from calibtool.train.prepare import Prepared
from calibtool.train.settings import Settings
from calibtool.train.world import World, choose_precision
from calibtool.types import Array


def parallel(model: Prepared, world: World) -> nn.Module:
    """Return the model; with several processes, wrapped so that they share their gradients."""
    if world.size == 1:
        return model
    ids = [world.device.index] if world.device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=ids)


def share(rows: Array, world: World) -> Array:
    """Return the rows of a batch that this process takes, and at least one.

    With fewer rows than processes, a forward pass is still due; see `weight`.
    """
    shared = world.share(rows)
    return shared if len(shared) else rows[:1]


def weight(piece: int, rows: Array, world: World) -> float:
    """Return the weight of the mean loss of `piece` rows of this process's share of a batch.

    DistributedDataParallel averages gradients over processes with equal weights. With shares of
    n_i of n rows in s processes, weights n_i s / n make that average the gradient of the batch.
    """
    return piece * world.size / len(rows) if len(world.share(rows)) else 0.0


def alone(model: nn.Module, more: bool) -> AbstractContextManager[None]:
    """Return the context of a backward pass; with `more` of the batch to come, processes wait."""
    if more and isinstance(model, nn.parallel.DistributedDataParallel):
        return model.no_sync()
    return nullcontext()


def train_mode(model: Prepared) -> None:
    """Set training mode, except for modules without a trained parameter.

    A frozen batch norm thereby keeps its statistics too.
    """
    model.train()
    for module in model.network.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()


def autocast(settings: Settings, device: torch.device) -> torch.autocast:
    """Return the context of mixed precision; it does nothing in float32."""
    precision = choose_precision(settings.precision, device)
    mixed = precision is not torch.float32
    return torch.autocast(device.type, dtype=precision if mixed else None, enabled=mixed)


@torch.no_grad()
def predict(model: nn.Module, feed: Feed, settings: Settings, world: World) -> Tensor:
    """Return (N, K) float32 logits of all rows in order, on the CPU, in every process."""
    model.eval()
    parts = []
    # four training batches at a time: without gradients, activations do not have to be kept
    batches = cut(np.arange(len(feed)), 4 * settings.batch_size * world.size)
    shares = [share(batch, world) for batch in batches]
    read = feed.load(shares, settings.seed, 0, world.rank)
    for batch, (x, _) in zip(batches, read, strict=True):
        with autocast(settings, world.device):
            logits = model(x)
        parts.append(world.gather(logits[: len(world.share(batch))], len(batch)))
    return torch.cat(parts)
