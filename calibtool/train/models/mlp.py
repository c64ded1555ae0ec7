"""Heads and small networks on features: linear, and a multi-layer perceptron."""

from __future__ import annotations

import itertools
import math

from torch import Tensor, nn


class Linear(nn.Module):
    """Logistic regression: one linear layer."""

    def __init__(self, *, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(math.prod(shape), classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) to (n, classes) logits."""
        logits: Tensor = self.head(x.flatten(1))
        return logits


class MLP(nn.Module):
    """Layers of `hidden` units with ReLU, and a linear head."""

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        classes: int,
        hidden: int = 256,
        layers: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        wide = [math.prod(shape), *[hidden] * layers]
        parts: list[nn.Module] = []
        for before, after in itertools.pairwise(wide):
            parts += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
        self.body = nn.Sequential(*parts)
        self.head = nn.Linear(wide[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) to (n, classes) logits."""
        logits: Tensor = self.head(self.body(x.flatten(1)))
        return logits
