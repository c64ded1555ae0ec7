"""The Brier score as a loss."""

from __future__ import annotations

import torch
from torch import Tensor

from calibtool.train.losses.base import Loss
from calibtool.train.losses.batch import Batch


class BrierLoss(Loss):
    """sum_k (p_k - [k = y])^2, in [0, 2]; Brier 1950.

    With a soft label t it is sum_k (p_k - t_k)^2 plus a number without p, sum_k t_k (1 - t_k).

    >>> import torch
    >>> p = torch.tensor([[0.25, 0.75]])
    >>> round(BrierLoss()(p.log(), torch.tensor([0])).item(), 4)  # (3/4)^2 + (3/4)^2
    1.125
    """

    def rows(self, batch: Batch) -> Tensor:
        # the label's own part is (1 - p)^2, and its p^2 is taken from the sum over all classes
        p = torch.exp(-batch.nll)
        squares = batch.beside(batch.log_p.exp().square().sum(1))
        return squares - p.square() + torch.expm1(-batch.nll).square()
