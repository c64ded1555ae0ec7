"""Forward passes: shared among processes, in mixed precision, in training and without."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from calibtool.train.feed import Feed
from calibtool.train.prepare import Prepared
from calibtool.train.settings import Settings
from calibtool.train.world import World, choose_precision
from calibtool.types import Array


def parallel(model: Prepared, world: World) -> nn.Module:
    """The model as the processes share it."""
    if world.size == 1:
        return model
    ids = [world.device.index] if world.device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=ids)


def share(rows: Array, world: World) -> tuple[Array, float]:
    """A process's own rows of a batch, and the weight that makes the mean of the processes'
    gradients that of the batch."""
    own = world.share(rows)
    if not len(own):  # fewer rows than processes: it looks at one, which does not count
        return rows[:1], 0.0
    return own, len(own) * world.size / len(rows)


def train_mode(model: Prepared) -> None:
    """Training mode, but for modules that are frozen whole: their statistics stay as they are."""
    model.train()
    for module in model.network.modules():
        own = list(module.parameters())
        if own and not any(p.requires_grad for p in own):
            module.eval()


def autocast(settings: Settings, device: torch.device) -> torch.autocast:
    """Mixed precision, where it is wanted."""
    precision = choose_precision(settings.precision, device)
    mixed = precision is not torch.float32
    return torch.autocast(device.type, dtype=precision if mixed else None, enabled=mixed)


@torch.no_grad()
def predict(model: nn.Module, feed: Feed, settings: Settings, world: World) -> Tensor:
    """(N, K) float32 logits of all rows in order, on the CPU, in every process."""
    model.eval()
    found = []
    for batch in feed.batches(np.arange(len(feed)), 4 * settings.batch_size * world.size):
        x, _ = feed.batch(share(batch, world)[0])
        with autocast(settings, world.device):
            logits = model(x)
        found.append(world.gather(logits[: len(world.share(batch))], len(batch)))
    return torch.cat(found)
