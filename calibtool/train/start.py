"""The start of a run: the network, the loss and the optimizer of the settings."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from calibtool.errors import UsageError
from calibtool.train import weights
from calibtool.train.augment import augmentation
from calibtool.train.data.dataset import Data
from calibtool.train.data.split import Splits
from calibtool.train.loop import TrainingState
from calibtool.train.losses.make import make_loss
from calibtool.train.models import registry
from calibtool.train.optimise import optimizer
from calibtool.train.prepare import Prepared, require_fit, standardisation
from calibtool.train.settings import Settings
from calibtool.train.world import World, choose_precision
from calibtool.types import Array


def begin(settings: Settings, data: Data, parts: Splits, world: World) -> TrainingState:
    """Return the state of a run before its first step.

    Draws the initial weights, so it must run under `seeded`. Raises InputError, UsageError.
    """
    if settings.augment and not data.images:
        raise UsageError(f"--augment needs images; {data.source} holds {data.kind}")
    settings.falls()
    augmentation(settings.augment)
    network = registry.build(settings.model, data)
    mean = deviation = None
    if settings.checkpoint:
        mean, deviation = weights.load(network.module, settings.checkpoint, settings.fresh)
    weights.freeze(network.module, settings.freeze)
    if settings.normalize != "auto" or mean is None:  # the weights of a run know its inputs so
        mean, deviation = standardisation(settings.normalize, network, data, parts, settings.seed)
    model = Prepared(network, mean, deviation).to(world.device)
    require_fit(model, data, parts, world.device)
    loss = make_loss(
        settings.loss,
        classes=data.classes,
        class_weights=class_weights(settings.class_weights, parts.train.labels, data.classes),
    ).to(world.device)
    # small gradients underflow in float16, whose smallest number is 6e-8, but not in bfloat16
    scaled = choose_precision(settings.precision, world.device) is torch.float16
    scaler = torch.amp.GradScaler(world.device.type, enabled=scaled)
    return TrainingState(model, loss, optimizer(model, settings), scaler)


def class_weights(text: str | None, labels: Array, classes: int) -> Tensor | None:
    """Return (K,) float32 class weights: None, "balanced" (N / (K n_k)), or K numbers above 0.

    Raises UsageError.
    """
    if text is None:
        return None
    if text == "balanced":
        counts = np.bincount(labels, minlength=classes)  # a class without rows counts as one row
        return torch.tensor(len(labels) / (classes * np.maximum(counts, 1)), dtype=torch.float32)
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(
            f"--class-weights {text!r}: must be balanced, or one number per class such as 1,2.5"
        ) from error
    if len(numbers) != classes or min(numbers) <= 0:
        raise UsageError(
            f"--class-weights: {len(numbers)} weights for {classes} classes; each must be above 0"
        )
    return torch.tensor(numbers)
