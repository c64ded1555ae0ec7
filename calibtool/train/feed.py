"""Rows on a device, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from calibtool.train.data.dataset import Arrays, Rows, Taken
from calibtool.types import Array

# Bytes of inputs that are moved to an accelerator once; larger inputs are copied batch by batch. It
# bounds the memory taken from the network: CIFAR-10 takes 0.15 GB, ImageNet would take over 100.
RESIDENT = 4 << 30


class Feed:
    """Rows as tensors on a device; an accelerator holds inputs of up to RESIDENT bytes."""

    def __init__(self, rows: Rows, device: torch.device) -> None:
        self.rows, self.device = rows, device
        self.labels = torch.from_numpy(rows.labels).to(device)
        self.resident: Tensor | None = None
        if device.type != "cpu" and (array := _in_memory(rows)) is not None:
            self.resident = torch.from_numpy(array).to(device)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, index: Array) -> tuple[Tensor, Tensor]:
        """Return inputs, in their stored type, and labels at an index array."""
        positions = torch.from_numpy(index).to(self.device)
        if self.resident is not None:
            x = self.resident[positions]
        else:
            x = torch.from_numpy(self.rows.inputs.take(index)).to(self.device)
        return x, self.labels[positions]

    def batches(self, order: Array, size: int) -> Iterator[Array]:
        """Cut the order into the fewest batches of at most `size` rows, alike to within one row.

        Full batches and a remainder could end with a single row, for which batch norm has no
        variance.
        """
        yield from np.array_split(order, -(-len(order) // size))


def _in_memory(rows: Rows) -> Array | None:
    """Return a copy of inputs that are in memory and at most RESIDENT bytes; None for others."""
    inputs = rows.inputs
    if isinstance(inputs, Arrays):
        inputs = Taken(inputs, np.arange(len(inputs)))
    if not isinstance(inputs, Taken) or not isinstance(inputs.inputs, Arrays):
        return None
    size = len(inputs) * inputs.inputs.values[:1].nbytes
    return inputs.inputs.take(inputs.index) if size <= RESIDENT else None
