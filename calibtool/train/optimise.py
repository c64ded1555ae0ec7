"""Optimizers, and the learning rate as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from calibtool.train.settings import Settings


def optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """AdamW or SGD; biases and norms, which have one axis, decay only with `decay_all`."""
    trained = [p for p in model.parameters() if p.requires_grad]
    few = 0 if settings.decay_all else 1
    groups = [
        {"params": [p for p in trained if p.dim() > few], "weight_decay": settings.decay},
        {"params": [p for p in trained if p.dim() <= few], "weight_decay": 0.0},
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
    """The factor of the learning rate at a step, counted from 0; `steps` make an epoch.

    During warm-up it rises linearly to 1. Then "cosine" falls to 0 at the end, and "step" falls to
    a tenth at each share of the epochs in `lr_steps`.
    """
    total, warm = settings.epochs * steps, round(settings.warmup * steps)
    kind, cuts = settings.schedule, settings.lr_steps

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / (warm + 1)
        if kind == "cosine":
            return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(total - warm, 1)))
        if kind == "step":
            return float(0.1 ** sum(step >= cut * total for cut in cuts))
        return 1.0

    return factor


def set_rate(optimizer_: torch.optim.Optimizer, rate: float) -> None:
    """One learning rate for all groups."""
    for group in optimizer_.param_groups:
        group["lr"] = rate
