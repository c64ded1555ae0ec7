"""Margin-based label smoothing: logits may lie a margin apart; Liu et al. 2022."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from calibtool.train.losses.base import Loss, require_0_or_more
from calibtool.train.losses.batch import Batch


class MbLSLoss(Loss):
    """-log p + weight/K sum_k max(0, max_j z_j - z_k - margin), z being the logits.

    The sum is the paper's. The authors' code, and its default weight, take the mean over the
    classes as well; so does this loss. Logits that lie within the margin are not penalised.

    >>> import torch
    >>> z = torch.tensor([[12.0, 0.0]])
    >>> loss = MbLSLoss(margin=10, weight=0.5)(z, torch.tensor([0]))  # 0.5 (0 + 2) / 2
    >>> round(loss.item(), 4)
    0.5
    """

    def __init__(self, margin: float = 10.0, weight: float = 0.1, **shared: Any) -> None:
        super().__init__(**shared)
        require_0_or_more(margin=margin, weight=weight)
        self.margin, self.weight = margin, weight

    def rows(self, batch: Batch) -> Tensor:
        # differences of log-probabilities are those of logits
        log_p = batch.log_p
        behind = log_p.max(1, keepdim=True).values - log_p
        beyond = functional.relu(behind - self.margin).mean(1)
        return batch.nll + self.weight * batch.beside(beyond)
