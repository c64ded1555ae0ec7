"""Rows on a device, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from calibtool.checks import Array
from calibtool.train.rows import Arrays, Rows, Taken

RESIDENT = 4 << 30  # bytes of inputs that are kept on an accelerator as a whole


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
    inputs = rows.inputs
    if isinstance(inputs, Arrays):
        return inputs.values
    if isinstance(inputs, Taken) and isinstance(inputs.inputs, Arrays):
        whole = inputs.inputs.values
        if len(inputs) * whole[:1].nbytes <= RESIDENT:
            return inputs.inputs.take(inputs.index)
    return None
