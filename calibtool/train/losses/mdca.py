"""Focal loss plus the difference of mean confidence and frequency, class by class: MDCA."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from calibtool.train.losses.base import Loss, require_0_or_more
from calibtool.train.losses.batch import Batch
from calibtool.train.losses.focal import focal


class MDCALoss(Loss):
    """-(1 - p)^gamma log p + weight MDCA; Hebbalaguppe et al. 2022.

    MDCA is the mean over the classes k of |mean p_k - share of label k|, both taken over the batch
    and weighted by row weights. With the reduction "none", every row includes the MDCA of the whole
    batch. With gamma 0 it is added to cross-entropy.

    >>> p = torch.tensor([[0.5, 0.5], [0.7, 0.3]])
    >>> loss = MDCALoss(gamma=0)(p.log(), torch.tensor([0, 1]))  # (log 2 - log 0.3) / 2 + 0.1
    >>> round(loss.item(), 4)
    1.0486
    """

    def __init__(self, gamma: float = 1.0, weight: float = 1.0, **shared: Any) -> None:
        super().__init__(**shared)
        require_0_or_more(gamma=gamma, weight=weight)
        self.gamma, self.weight = gamma, weight

    def rows(self, batch: Batch) -> Tensor:
        return focal(batch.nll, self.gamma)

    def term(self, batch: Batch) -> Tensor:
        w = batch.row_weights()
        gap = w @ batch.log_p.exp() - batch.class_sums()
        # the clamp makes the gap of no rows 0 instead of NaN
        return self.weight * gap.abs().mean() / w.sum().clamp_min(torch.finfo(w.dtype).tiny)
