"""Focal loss; Lin et al. 2017, and for calibration Mukhoti et al. 2020."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from calibtool.errors import UsageError
from calibtool.train.losses.base import Loss, log_others, of_label


class FocalLoss(Loss):
    """-(1 - p)^gamma log p; Lin et al. 2017, eq. 4. With gamma 0 it equals cross-entropy exactly.

    >>> import torch
    >>> p = torch.tensor([[0.25, 0.75]])
    >>> round(FocalLoss(gamma=2)(p.log(), torch.tensor([0])).item(), 4)  # (3/4)^2 log 4
    0.7798
    """

    def __init__(self, gamma: float = 3.0, **shared: Any) -> None:
        super().__init__(**shared)
        if not gamma >= 0:
            raise UsageError(f"gamma must be 0 or more, not {gamma!r}")
        self.gamma = gamma

    def rows(self, log_p: Tensor, y: Tensor, w: Tensor) -> Tensor:
        return focal(of_label(log_p, y), self.gamma)


def focal(log_p: Tensor, gamma: Tensor | float) -> Tensor:
    """Return -(1 - p)^gamma log p for the (N) log-probabilities of the labels.

    `gamma` is one number, or one per row.
    """
    return torch.exp(gamma * log_others(log_p)) * -log_p


def gradient_ratio(p: Tensor, gamma: Tensor | float) -> Tensor:
    """Return g(p, gamma): the gradient of focal loss divided by that of cross-entropy.

    For p in (0, 1). g = (1 - p)^gamma - gamma p (1 - p)^(gamma - 1) log p; Mukhoti et al. 2020,
    section 4. It follows from d/dp of -(1 - p)^gamma log p, divided by d/dp of -log p = -1/p.

    >>> gradient_ratio(torch.tensor(0.5), 1.0).item()  # (1 + log 2) / 2
    0.8465735912322998
    """
    return (1 - p) ** gamma - gamma * p * (1 - p) ** (gamma - 1) * torch.log(p)
