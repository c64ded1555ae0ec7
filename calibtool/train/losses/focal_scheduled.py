"""Focal loss with a gamma per epoch: FLSc-531 of Mukhoti et al. 2020, appendix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from calibtool.train.losses.base import Loss
from calibtool.train.losses.batch import Batch
from calibtool.train.losses.flsd import check_steps
from calibtool.train.losses.focal import focal


class FocalScheduledLoss(Loss):
    """-(1 - p)^gamma log p, gamma = gammas[number of `until` <= epoch / epochs].

    `start_epoch` sets gamma; until it is called, gamma is the first. The defaults are the paper's:
    5, 3 and 1 for 100, 150 and 100 of 350 epochs.

    >>> loss = FocalScheduledLoss()
    >>> loss.start_epoch(100, 350)
    >>> loss.gamma.item()
    3.0
    """

    gamma: Tensor

    def __init__(
        self,
        gammas: Sequence[float] = (5.0, 3.0, 1.0),
        until: Sequence[float] = (0.286, 0.714),
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_steps("until", until, gammas)
        self.gammas = tuple(gammas)
        self.until = tuple(until)
        self.register_buffer("gamma", torch.tensor(float(gammas[0])))

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Set gamma for `epoch`, counted from 0, of `epochs`."""
        past = sum(epoch >= round(share * epochs) for share in self.until)
        self.gamma.fill_(self.gammas[past])

    def rows(self, batch: Batch) -> Tensor:
        return focal(batch.nll, self.gamma.to(batch.nll))
