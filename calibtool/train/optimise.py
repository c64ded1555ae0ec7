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
    axes = 0 if settings.decay_all else 1  # parameters with more axes decay
    head = set(_head(model).parameters()) if settings.lr_head else set()
    groups = [
        {
            "params": [
                p
                for p in model.parameters()
                if p.requires_grad and (p.dim() > axes) == decays and (p in head) == last
            ],
            "weight_decay": settings.decay if decays else 0.0,
            "lr": settings.lr_head if last else settings.learning_rate,
        }
        for last in (False, True)
        for decays in (True, False)
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


def _head(model: nn.Module) -> nn.Module:
    """Return the last layer of a network that has weights."""
    return [m for m in model.modules() if next(m.parameters(recurse=False), None) is not None][-1]


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


def scheduler(
    optimizer_: torch.optim.Optimizer, settings: Settings, steps: int, first: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Return torch's scheduler of the rates, before the step `first` of a new or a resumed run."""
    for group in optimizer_.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer_, schedule(settings, steps), last_epoch=first - 1
    )
