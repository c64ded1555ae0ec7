"""What stands before a network: raw inputs as numbers, standardised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from calibtool.errors import CalibtoolError, UsageError
from calibtool.train.data.dataset import Data, Rows
from calibtool.train.data.factory_spec import failure
from calibtool.train.data.split import Splits
from calibtool.train.feed import Feed
from calibtool.train.models.registry import Network

SAMPLE = 50_000  # rows that mean and deviation are taken from
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # what torchvision's weights expect


class Prepared(nn.Module):
    """A network that takes raw inputs: uint8 images are brought to [0, 1], token ids stay whole,
    all else becomes float32; then (x - mean) / deviation, if there is one."""

    mean: Tensor | None
    deviation: Tensor | None

    def __init__(
        self, network: Network, mean: Tensor | None = None, deviation: Tensor | None = None
    ) -> None:
        super().__init__()
        self.network = network.module
        self.tokens = network.tokens
        self.call: Callable[..., Any] | None = network.call
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) raw inputs to (n, classes) float32 logits."""
        x = as_numbers(x, tokens=self.tokens)
        if self.mean is not None and self.deviation is not None:
            x = (x - self.mean) / self.deviation
        found = self.call(self.network, x) if self.call else self.network(x)
        logits: Tensor = getattr(found, "logits", found)
        return logits.float()


def as_numbers(x: Tensor, *, tokens: bool = False) -> Tensor:
    """float32, with uint8 images in [0, 1]; token ids as int64."""
    if x.dtype == torch.uint8 and x.dim() == 4:
        return x.float() / 255
    return x.long() if tokens and not x.is_floating_point() else x.float()


def standardisation(
    how: str, network: Network, data: Data, parts: Splits, seed: int
) -> tuple[Tensor | None, Tensor | None]:
    """Mean and deviation that inputs are standardised by, or None and None.

    "train": those of the training rows, a channel or a column. "auto" is "train" for models of the
    table that take numbers, and "none" for all others.
    """
    if how == "auto":
        how = "none" if network.own or network.tokens else "train"
    if how == "none":
        return None, None
    if network.tokens:
        raise UsageError(f"--normalize {how}: token ids are no numbers to standardise")
    if how == "train":
        return moments(parts.train, images=data.images, seed=seed)
    given = IMAGENET if how == "imagenet" else _given(how)
    if not data.images or data.shape[0] != len(given[0]):
        raise UsageError(
            f"--normalize {how}: is for images of {len(given[0])} channels, inputs of "
            f"{data.source} have shape {data.shape}"
        )
    mean, deviation = (torch.tensor(values).reshape(-1, 1, 1) for values in given)
    return mean, deviation


def _given(how: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    wrong = UsageError(
        f"--normalize {how!r}: give none, train, imagenet, or a mean and a deviation a channel, "
        "such as 0.5,0.5,0.5/0.25,0.25,0.25"
    )
    try:
        mean, deviation = (tuple(map(float, part.split(","))) for part in how.split("/"))
    except ValueError as error:
        raise wrong from error
    if len(mean) != len(deviation) or min(deviation) <= 0:
        raise wrong
    return mean, deviation


def moments(rows: Rows, *, images: bool, seed: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the training inputs: a channel of images, else a column.

    Columns that never vary get a deviation of 1.
    """
    index = np.arange(len(rows))
    if len(rows) > SAMPLE:
        index = np.sort(np.random.default_rng([seed, len(rows)]).permutation(index)[:SAMPLE])
    axes = (0, 2, 3) if images else (0,)
    means, squares, count = [], [], 0
    for start in range(0, len(index), 4096):
        taken = torch.from_numpy(rows.inputs.take(index[start : start + 4096]))
        x = as_numbers(taken).double().numpy()
        means.append(x.mean(axis=axes) * len(x))
        squares.append(np.square(x).mean(axis=axes) * len(x))
        count += len(x)
    mean = np.sum(means, axis=0) / count
    variance = np.maximum(np.sum(squares, axis=0) / count - mean**2, 0)
    deviation = np.sqrt(np.where(variance > 1e-12 * (1 + mean**2), variance, 1.0))
    shape = (-1, 1, 1) if images else mean.shape
    a, b = (torch.from_numpy(v.reshape(shape)).float() for v in (mean, deviation))
    return a, b


def require_fit(model: Prepared, data: Data, parts: Splits, device: torch.device) -> None:
    """Whether the network takes the data's inputs and gives a logit a class: two rows tell."""
    x, _ = Feed(parts.train.take(np.arange(2)), device).batch(np.arange(2))
    model.eval()
    try:
        with torch.no_grad():
            logits = model(x)
    except CalibtoolError:
        raise
    except Exception as error:  # whatever the user's network raises
        shape = tuple(x.shape[1:])
        raise failure(
            error, f"the model cannot take inputs of {data.source}, of shape {shape}"
        ) from error
    if logits.shape != (2, data.classes):
        raise UsageError(
            f"the model gives outputs of shape {tuple(logits.shape)[1:]} a row, {data.source} has "
            f"{data.classes} classes; it must give {data.classes} logits a row"
        )
