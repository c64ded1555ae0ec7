"""Rows on a device, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from calibtool.train.data.dataset import Arrays, Rows, Taken
from calibtool.types import Array

RESIDENT = 4 << 30  # bytes of inputs that are kept on an accelerator as a whole


class Feed:
    """Rows as tensors. Inputs in memory that an accelerator can hold are moved there once."""

    def __init__(self, rows: Rows, device: torch.device) -> None:
        self.rows, self.device = rows, device
        self.labels = torch.from_numpy(rows.labels).to(device)
        self.resident: Tensor | None = None
        if device.type != "cpu" and (array := _in_memory(rows)) is not None:
            self.resident = torch.from_numpy(array).to(device)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, index: Array) -> tuple[Tensor, Tensor]:
        """Inputs, as they were stored, and labels at an index array."""
        at = torch.from_numpy(index).to(self.device)
        if self.resident is not None:
            x = self.resident[at]
        else:
            x = torch.from_numpy(self.rows.inputs.take(index)).to(self.device)
        return x, self.labels[at]

    def batches(self, order: Array, size: int) -> Iterator[Array]:
        """The order cut into batches of `size`, or one less, so that the last is not tiny."""
        yield from np.array_split(order, -(-len(order) // size))


def _in_memory(rows: Rows) -> Array | None:
    """A copy of inputs that are in memory and can be held."""
    inputs = rows.inputs
    if isinstance(inputs, Arrays):
        inputs = Taken(inputs, np.arange(len(inputs)))
    if not isinstance(inputs, Taken) or not isinstance(inputs.inputs, Arrays):
        return None
    size = len(inputs) * inputs.inputs.values[:1].nbytes
    return inputs.inputs.take(inputs.index) if size <= RESIDENT else None
