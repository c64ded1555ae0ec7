"""Dual focal loss; Tao, Dong & Xu 2023."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from calibtool.train.losses.base import Loss, require_0_or_more
from calibtool.train.losses.batch import Batch


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
        require_0_or_more(gamma=gamma)
        self.gamma = gamma

    def rows(self, batch: Batch) -> Tensor:
        q = self.smaller(batch.log_p, batch.nll)
        # 1 - p + q; the clamp keeps its slope finite where p rounds to 1 and q to 0
        rest = (q - torch.expm1(-batch.nll)).clamp_min(torch.finfo(q.dtype).tiny)
        return rest.pow(self.gamma) * batch.nll

    def smaller(self, log_p: Tensor, nll: Tensor) -> Tensor:
        """Return the largest probability below that of each label, 0 if there is none."""
        if nll.ndim == 1:
            below = torch.where(log_p < -nll[:, None], log_p, -torch.inf)
            return below.max(1).values.exp()
        # every class is a label: its place in the sorted row is the number of smaller ones
        ordered = log_p.sort(1).values
        place = torch.searchsorted(ordered.detach(), log_p.detach())
        below = ordered.gather(1, (place - 1).clamp_min(0))
        return torch.where(place > 0, below, -torch.inf).exp()
