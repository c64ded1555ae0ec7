"""Focal loss with the gamma that proposition 1 of Mukhoti et al. 2020 gives for each row's p."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from calibtool.train.losses.base import LOG_HALF, Loss, log_others, require_0_or_more
from calibtool.train.losses.batch import Batch

# Newton steps: 6 reach rounding in float64 for every p (tests/train/test_losses.py solves the
# equation at 4,000 of them); one more is a margin.
STEPS = 7
# Smallest log p with a gamma. gamma grows like 1/p: 1e26 at exp(-60), and float32 ends at 3e38.
FAR = -60.0


class FocalAutoLoss(Loss):
    """-(1 - p)^gamma(p) log p, gamma(p) = max(auto_gamma(p), least).

    The gradient treats gamma as a constant. auto_gamma solves g(p, gamma(p)) = 1, so with `least` 0
    the gradient is that of cross-entropy at every p, and only the reported loss differs. With
    `least` 3, rows with p below 0.25 learn as under cross-entropy, and all others as under focal
    loss with gamma 3.
    """

    def __init__(self, least: float = 0.0, **shared: Any) -> None:
        super().__init__(**shared)
        require_0_or_more(least=least)
        self.least = least

    def rows(self, batch: Batch) -> Tensor:
        return far_focal(batch.nll, auto_gamma(-batch.nll.detach()).clamp_min(self.least))


def far_focal(nll: Tensor, gamma: Tensor) -> Tensor:
    """Return focal loss for gammas of any size.

    Where 1 - p rounds to 1, its power would be 1 for every gamma; gamma p keeps its digits.
    """
    return torch.exp(gamma * log_others(-nll)) * nll


@torch.no_grad()
def auto_gamma(log_p: Tensor) -> Tensor:
    """Return the gammas > 0 that solve g(p, gamma) = 1, and 0 for p >= 0.5, where none does.

    Proposition 1 of Mukhoti et al. 2020 writes it with the branch W_-1 of Lambert's function. With
    c = -p log p / (1 - p) and t = c gamma, the same equation is log(1 + t) = r t, where
    r = -log(1 - p) / c lies in (0, 1) for p < 0.5. Its right side minus its left is convex, so
    Newton's method falls onto the root from 1/r^2 - 1, which lies above it since
    log(1 + t) <= t / sqrt(1 + t).

    Args:
        log_p: log-probabilities of labels. Below FAR gamma is 0, which has the same
            gradient: there too g is 1.

    >>> p = torch.tensor([0.2, 0.25, 0.5], dtype=torch.float64)
    >>> [round(gamma, 2) for gamma in auto_gamma(p.log()).tolist()]
    [4.85, 3.07, 0.0]
    """
    inner = log_p.clamp(FAR, LOG_HALF)
    p = inner.exp()
    c = -p * inner / (1 - p)
    r = (-torch.log1p(-p) / c).clamp_max(1.0)
    t = (1 - r) * (1 + r) / r**2  # 1/r^2 - 1 without cancellation as r approaches 1
    for _ in range(STEPS):
        slope = r - 1 / (1 + t)
        t = t - torch.where(slope > 0, (r * t - torch.log1p(t)) / slope, 0)
    return torch.where((log_p < LOG_HALF) & (log_p >= FAR), t.clamp_min(0) / c, 0)
