"""Rows on a device, batch by batch: what a network sees of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from calibtool.checks import Array
from calibtool.train.rows import Arrays, Rows, Taken

RESIDENT = 4 << 30  # bytes of inputs that are kept on an accelerator as a whole
SAMPLE = 50_000  # rows that mean and standard deviation are taken from


class Feed:
    """Rows as tensors. Inputs in memory that an accelerator can hold are moved there once."""

    def __init__(self, rows: Rows, device: torch.device) -> None:
        self.rows, self.device = rows, device
        self.labels = torch.from_numpy(rows.labels).to(device)
        self.resident: Tensor | None = None
        array = _in_memory(rows)
        if device.type != "cpu" and array is not None and array.nbytes <= RESIDENT:
            self.resident = torch.from_numpy(np.ascontiguousarray(array)).to(device)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, index: Array) -> tuple[Tensor, Tensor]:
        """Inputs, as floats or token ids, and labels at an index array."""
        at = torch.from_numpy(index).to(self.device)
        if self.resident is not None:
            x = self.resident[at]
        else:
            x = torch.from_numpy(self.rows.inputs.take(index)).to(self.device)
        return as_numbers(x), self.labels[at]

    def batches(self, order: Array, size: int) -> Iterator[Array]:
        """The order cut into batches."""
        for start in range(0, len(order), size):
            yield order[start : start + size]


def as_numbers(x: Tensor) -> Tensor:
    """float32, with uint8 images in [0, 1]; whole numbers wider than a byte are token ids."""
    if x.dtype == torch.uint8:
        return x.float() / 255 if x.dim() == 4 else x.float()
    return x.float() if x.is_floating_point() else x.long()


def _in_memory(rows: Rows) -> Array | None:
    inputs = rows.inputs
    if isinstance(inputs, Arrays):
        return inputs.values
    if isinstance(inputs, Taken) and isinstance(inputs.inputs, Arrays):
        whole = inputs.inputs.values
        if len(inputs) * whole[:1].nbytes <= RESIDENT:
            return inputs.inputs.take(inputs.index)
    return None


class Prepared(nn.Module):
    """A network behind its inputs' standardisation: (x - mean) / deviation."""

    def __init__(self, network: nn.Module, mean: Tensor | None, deviation: Tensor | None) -> None:
        super().__init__()
        self.network = network
        self.mean: Tensor | None
        self.deviation: Tensor | None
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) raw inputs to (n, classes) float32 logits."""
        if self.mean is not None and self.deviation is not None:
            x = (x - self.mean) / self.deviation
        found = self.network(x)
        logits: Tensor = getattr(found, "logits", found)
        return logits.float()


def moments(rows: Rows, *, images: bool, seed: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the training inputs: a channel of images, else a column.

    Columns that never vary get a deviation of 1.
    """
    index = np.arange(len(rows))
    if len(rows) > SAMPLE:
        index = np.sort(np.random.default_rng([seed, 7]).permutation(index)[:SAMPLE])
    axes = (0, 2, 3) if images else (0,)
    count, total, square = 0, 0.0, 0.0
    for start in range(0, len(index), 4096):
        taken = torch.from_numpy(rows.inputs.take(index[start : start + 4096]))
        x = as_numbers(taken).double().numpy()
        count += x.size // (x.shape[1] if images else int(np.prod(x.shape[1:])))
        total = total + x.sum(axis=axes)
        square = square + np.square(x).sum(axis=axes)
    mean = np.asarray(total / count)
    variance = np.maximum(square / count - mean**2, 0)
    deviation = np.sqrt(np.where(variance > 1e-12 * (1 + mean**2), variance, 1.0))
    shape = (-1, 1, 1) if images else mean.shape
    found = (torch.from_numpy(v.reshape(shape)).float() for v in (mean, deviation))
    return next(found), next(found)
