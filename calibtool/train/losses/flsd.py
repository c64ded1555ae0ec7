"""Focal loss with a gamma per row, by steps of p: FLSD-53 of Mukhoti et al. 2020."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from calibtool.errors import UsageError
from calibtool.train.losses.base import Loss
from calibtool.train.losses.batch import Batch
from calibtool.train.losses.focal import focal


class FLSDLoss(Loss):
    """-(1 - p)^gamma(p) log p, gamma(p) = gammas[number of thresholds <= p].

    The gradient treats gamma as a constant, as in the paper. The default is its FLSD-53: gamma 5
    for p below 0.2 and 3 otherwise.

    >>> FLSDLoss().gamma_at(torch.tensor([0.1, 0.2, 0.9]))
    tensor([5., 3., 3.])
    """

    def __init__(
        self,
        thresholds: Sequence[float] = (0.2,),
        gammas: Sequence[float] = (5.0, 3.0),
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_steps("thresholds", thresholds, gammas)
        self.thresholds = tuple(thresholds)
        self.gammas = tuple(gammas)

    def rows(self, batch: Batch) -> Tensor:
        return focal(batch.nll, self.gamma_at(torch.exp(-batch.nll.detach())))

    def gamma_at(self, p: Tensor) -> Tensor:
        """Return the gammas for probabilities of labels."""
        gamma = torch.full_like(p, self.gammas[0])
        for threshold, above in zip(self.thresholds, self.gammas[1:], strict=True):
            gamma = torch.where(p >= threshold, above, gamma)
        return gamma


def check_steps(name: str, at: Sequence[float], gammas: Sequence[float]) -> None:
    """Check that the steps rise within (0, 1), and that there is one gamma more than steps.

    Raises UsageError.
    """
    if list(at) != sorted(set(at)) or not all(0 < step < 1 for step in at):
        raise UsageError(f"{name} must rise within (0, 1), not {tuple(at)}")
    if len(gammas) != len(at) + 1:
        raise UsageError(f"{len(at)} {name} need {len(at) + 1} gammas, not {len(gammas)}")
    if not all(gamma >= 0 for gamma in gammas):
        raise UsageError(f"gammas must be 0 or more, not {tuple(gammas)}")
