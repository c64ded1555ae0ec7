"""Dual focal loss; Tao, Dong & Xu 2023."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from calibtool.errors import UsageError
from calibtool.train.losses.base import Loss, of_label


class DualFocalLoss(Loss):
    """-(1 - p + q)^gamma log p, q being the largest probability below p, or 0 if there is none.

    The gradient passes through q too.

    >>> import torch
    >>> p = torch.tensor([[0.5, 0.2, 0.3]])
    >>> round(DualFocalLoss(gamma=2)(p.log(), torch.tensor([0])).item(), 4)  # 0.8^2 log 2
    0.4436
    """

    def __init__(self, gamma: float = 5.0, **shared: Any) -> None:
        super().__init__(**shared)
        if not gamma >= 0:
            raise UsageError(f"gamma must be 0 or more, not {gamma!r}")
        self.gamma = gamma

    def rows(self, log_p: Tensor, y: Tensor, w: Tensor) -> Tensor:
        log_label = of_label(log_p, y)
        smaller = torch.where(log_p < log_label[:, None], log_p, -torch.inf)
        q = smaller.max(1).values.exp()
        # 1 - p + q; the clamp keeps its log finite where p rounds to 1 and q to 0
        rest = (q - torch.expm1(log_label)).clamp_min(torch.finfo(q.dtype).tiny)
        return torch.exp(self.gamma * rest.log()) * -log_label
