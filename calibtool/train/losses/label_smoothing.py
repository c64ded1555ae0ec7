"""Label smoothing; Szegedy et al. 2016, section 7."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from calibtool.errors import UsageError
from calibtool.train.losses.base import Loss
from calibtool.train.losses.batch import Batch


class LabelSmoothingLoss(Loss):
    """-(1 - alpha) log p - alpha/K sum_k log p_k.

    With class weights it differs from torch, which weights the term of each class by the weight of
    that class; here, as in every loss, a row has the weight of its label.

    >>> import torch
    >>> p = torch.tensor([[0.5, 0.5]])
    >>> round(LabelSmoothingLoss(alpha=0.3)(p.log(), torch.tensor([0])).item(), 4)  # log 2
    0.6931
    """

    def __init__(self, alpha: float = 0.05, **shared: Any) -> None:
        super().__init__(**shared)
        if not 0 <= alpha <= 1:
            raise UsageError(f"alpha must lie between 0 and 1, not {alpha!r}")
        self.alpha = alpha

    def rows(self, batch: Batch) -> Tensor:
        return (1 - self.alpha) * batch.nll - self.alpha * batch.beside(batch.log_p.mean(1))
