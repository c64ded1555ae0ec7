"""Optimizers, and the learning rate as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from calibtool.train.settings import Settings


def optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Return AdamW or SGD over the parameters that are trained.

    Biases and norms decay only with `decay_all`; they are the parameters with a single axis.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    axes = 0 if settings.decay_all else 1  # parameters with more axes decay
    groups = [
        {"params": [p for p in trained if p.dim() > axes], "weight_decay": settings.decay},
        {"params": [p for p in trained if p.dim() <= axes], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.learning_rate)
    return torch.optim.SGD(
        groups,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.nesterov and settings.momentum > 0,
    )


def schedule(settings: Settings, steps: int) -> Callable[[int], float]:
    """Return the factor of the learning rate as a function of the step, counted from 0.

    `steps` is the number of steps per epoch. During warm-up the factor rises linearly to 1.
    Afterwards "cosine" falls to 0 at the end (Loshchilov & Hutter 2017, eq. 5, without restarts),
    "step" is divided by 10 at each of the epochs in `lr_steps`, and "constant" stays 1.
    """
    total, warm = settings.epochs * steps, round(settings.warmup * steps)
    kind, falls = settings.schedule, settings.falls()

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / (warm + 1)
        if kind == "cosine":
            return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(total - warm, 1)))
        if kind == "step":
            return float(0.1 ** sum(step >= fall * steps for fall in falls))
        return 1.0

    return factor


def set_rate(optimizer_: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all groups."""
    for group in optimizer_.param_groups:
        group["lr"] = rate
