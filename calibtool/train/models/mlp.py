"""Networks on features: logistic regression and the multi-layer perceptron."""

from __future__ import annotations

import itertools
import math

from torch import Tensor, nn


class Linear(nn.Module):
    """Logistic regression: one linear layer with softmax in the loss."""

    def __init__(self, *, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(math.prod(shape), classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, classes) logits of (n, ...) inputs."""
        logits: Tensor = self.head(x.flatten(1))
        return logits


class MLP(nn.Module):
    """`layers` layers of `hidden` units with ReLU and dropout, and a linear head."""

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
        widths = [math.prod(shape), *[hidden] * layers]
        modules: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            modules += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
        self.body = nn.Sequential(*modules)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, classes) logits of (n, ...) inputs."""
        logits: Tensor = self.head(self.body(x.flatten(1)))
        return logits
