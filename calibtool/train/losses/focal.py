"""Focal loss; Lin et al. 2017, and for calibration Mukhoti et al. 2020."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from calibtool.train.losses.base import Loss, require_0_or_more
from calibtool.train.losses.batch import Batch


class FocalLoss(Loss):
    """-(1 - p)^gamma log p; Lin et al. 2017, eq. 4. With gamma 0 it equals cross-entropy exactly.

    >>> import torch
    >>> p = torch.tensor([[0.25, 0.75]])
    >>> round(FocalLoss(gamma=2)(p.log(), torch.tensor([0])).item(), 4)  # (3/4)^2 log 4
    0.7798
    """

    def __init__(self, gamma: float = 3.0, **shared: Any) -> None:
        super().__init__(**shared)
        require_0_or_more(gamma=gamma)
        self.gamma = gamma

    def rows(self, batch: Batch) -> Tensor:
        return focal(batch.nll, self.gamma)


def focal(nll: Tensor, gamma: Tensor | float) -> Tensor:
    """Return -(1 - p)^gamma log p for the NLL of the labels, -log p.

    `gamma` is one number, or one per label; the gradient treats it as a constant.
    """
    if isinstance(gamma, Tensor) or not float(gamma).is_integer():
        return one_minus_p(nll).pow(gamma) * nll
    if gamma == 0:
        return nll
    # p - 1 to a whole power: its sign is that of log p or of -log p, without another operation,
    # each of which is felt with small batches
    log_p = -nll
    return torch.expm1(log_p).pow(gamma) * (log_p if gamma % 2 else nll)


def one_minus_p(nll: Tensor) -> Tensor:
    """Return 1 - p from -log p, exact to rounding for p near 0 and near 1, and never 0.

    The slope of 0^gamma is infinite for gamma < 1, which times -log p = 0 would be NaN.
    """
    return (-torch.expm1(-nll)).clamp_min(torch.finfo(nll.dtype).tiny)


def gradient_ratio(p: Tensor, gamma: Tensor | float) -> Tensor:
    """Return g(p, gamma): the gradient of focal loss divided by that of cross-entropy.

    For p in (0, 1). g = (1 - p)^gamma - gamma p (1 - p)^(gamma - 1) log p; Mukhoti et al. 2020,
    section 4. It follows from d/dp of -(1 - p)^gamma log p, divided by d/dp of -log p = -1/p.

    >>> gradient_ratio(torch.tensor(0.5), 1.0).item()  # (1 + log 2) / 2
    0.8465735912322998
    """
    return (1 - p) ** gamma - gamma * p * (1 - p) ** (gamma - 1) * torch.log(p)
