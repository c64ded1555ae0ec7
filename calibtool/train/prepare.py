"""The preparation of raw inputs for a network: conversion to numbers and standardisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from calibtool.errors import UsageError
from calibtool.intervals.streams import Stream, generator
from calibtool.train.data.dataset import Data, Rows
from calibtool.train.data.factory_spec import told
from calibtool.train.data.split import Splits
from calibtool.train.feed import Feed
from calibtool.train.models.registry import Network

# Rows that mean and deviation are computed from: at 50,000 a mean has a standard error of 0.0045
# deviations, and more rows would only mean more images to decode.
SAMPLE = 50_000
BLOCK = 4096  # rows converted to float64 at a time, which bounds the memory used
# mean and deviation per channel that the weights of torchvision expect
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Prepared(nn.Module):
    """A network that takes raw inputs.

    uint8 images are scaled to [0, 1], token ids stay whole numbers, all other inputs become
    float32. If mean and deviation are given, (x - mean) / deviation follows.
    """

    mean: Tensor | None
    deviation: Tensor | None

    def __init__(
        self, network: Network, mean: Tensor | None = None, deviation: Tensor | None = None
    ) -> None:
        super().__init__()
        self.network = network.module
        self.tokens, self.notes = network.tokens, network.notes
        self.call: Callable[..., Any] | None = network.call
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, classes) float32 logits of (n, ...) raw inputs."""
        x = as_numbers(x, tokens=self.tokens)
        if self.mean is not None and self.deviation is not None:
            x = (x - self.mean) / self.deviation
        output = self.call(self.network, x) if self.call else self.network(x)
        # models of transformers return an object with this attribute
        logits: Tensor = getattr(output, "logits", output)
        return logits.float()


def as_numbers(x: Tensor, *, tokens: bool = False) -> Tensor:
    """Return float32 inputs, with uint8 images in [0, 1]; with `tokens`, whole numbers as int64."""
    if x.dtype == torch.uint8 and x.dim() == 4:
        return x.float() / 255
    return x.long() if tokens and not x.is_floating_point() else x.float()


def standardisation(
    option: str, network: Network, data: Data, parts: Splits, seed: int
) -> tuple[Tensor | None, Tensor | None]:
    """Return the mean and deviation of --normalize, or None and None.

    "train" takes them from the training rows, per channel or column. "auto" takes those that
    pretrained weights expect; otherwise it is "none" for token ids and for models of the user, and
    "train" for others. Raises UsageError if the option does not fit the inputs.
    """
    if option == "auto":
        known = network.statistics if data.images else None
        if known is not None and len(known[0]) in (1, data.shape[0]):
            return _per_channel(known)
        option = "none" if network.external or network.tokens else "train"
    if option == "none":
        return None, None
    if network.tokens:
        raise UsageError(f"--normalize {option}: token ids cannot be standardised")
    if option == "train":
        return moments(parts.train, images=data.images, seed=seed)
    per_channel = IMAGENET if option == "imagenet" else _parse_channels(option)
    if not data.images or data.shape[0] != len(per_channel[0]):
        raise UsageError(
            f"--normalize {option}: is for images of {len(per_channel[0])} channels; inputs of "
            f"{data.source} have shape {data.shape}"
        )
    return _per_channel(per_channel)


def _per_channel(values: tuple[Sequence[float], Sequence[float]]) -> tuple[Tensor, Tensor]:
    mean, deviation = (torch.tensor(list(v), dtype=torch.float32) for v in values)
    return mean.reshape(-1, 1, 1), deviation.reshape(-1, 1, 1)


def _parse_channels(option: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the means and deviations of "0.5,0.5,0.5/0.25,0.25,0.25"."""
    invalid = UsageError(
        f"--normalize {option!r}: must be auto, none, train, imagenet, or a mean and a deviation "
        "per channel, such as 0.5,0.5,0.5/0.25,0.25,0.25"
    )
    try:
        mean, deviation = (tuple(map(float, part.split(","))) for part in option.split("/"))
    except ValueError as error:
        raise invalid from error
    if len(mean) != len(deviation) or min(deviation) <= 0:
        raise invalid
    return mean, deviation


def moments(rows: Rows, *, images: bool, seed: int) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the training inputs, per channel or per column.

    Columns that do not vary get a deviation of 1. Of more than SAMPLE rows, a random sample of that
    size is used.
    """
    index = np.arange(len(rows))
    if len(rows) > SAMPLE:
        index = np.sort(generator(Stream.MOMENTS, seed).permutation(index)[:SAMPLE])
    axes = (0, 2, 3) if images else (0,)
    means, squares, count = [], [], 0
    for start in range(0, len(index), BLOCK):
        block = torch.from_numpy(rows.inputs.take(index[start : start + BLOCK]))
        x = as_numbers(block).double().numpy()
        means.append(x.mean(axis=axes) * len(x))
        squares.append(np.square(x).mean(axis=axes) * len(x))
        count += len(x)
    mean = np.sum(means, axis=0) / count
    variance = np.maximum(np.sum(squares, axis=0) / count - mean**2, 0)
    # The mean of squares minus the square of the mean loses digits: a constant column leaves about
    # 1e-16 mean^2 instead of 0, by whose root its inputs would be divided.
    deviation = np.sqrt(np.where(variance > 1e-12 * (1 + mean**2), variance, 1.0))
    shape = (-1, 1, 1) if images else mean.shape
    a, b = (torch.from_numpy(v.reshape(shape)).float() for v in (mean, deviation))
    return a, b


def require_fit(model: Prepared, data: Data, parts: Splits, device: torch.device) -> None:
    """Check on two rows that the network takes the inputs and returns one logit per class.

    Raises UsageError.
    """
    x, _ = Feed(parts.train.take(np.arange(2)), device).batch(np.arange(2))
    model.eval()
    shape = tuple(x.shape[1:])
    what = f"the model cannot take inputs of {data.source}, which have shape {shape}"
    with told(what), torch.no_grad():
        logits = model(x)
    if logits.shape != (2, data.classes):
        raise UsageError(
            f"the model returns outputs of shape {tuple(logits.shape)[1:]} per row, but "
            f"{data.source} has {data.classes} classes; it must return {data.classes} logits "
            "per row"
        )
