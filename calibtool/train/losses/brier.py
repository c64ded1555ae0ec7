"""The Brier score as a loss."""

from __future__ import annotations

import torch
from torch import Tensor

from calibtool.train.losses.base import Loss


class BrierLoss(Loss):
    """sum_k (p_k - [k = y])^2, in [0, 2]; Brier 1950.

    >>> import torch
    >>> p = torch.tensor([[0.25, 0.75]])
    >>> round(BrierLoss()(p.log(), torch.tensor([0])).item(), 4)  # (3/4)^2 + (3/4)^2
    1.125
    """

    def rows(self, log_p: Tensor, y: Tensor, w: Tensor) -> Tensor:
        one_hot = torch.nn.functional.one_hot(y, log_p.shape[1])
        return (log_p.exp() - one_hot).square().sum(1)
