"""AdaFocal: gamma follows the calibration of validation bins; Ghosh, Schaaf & Gormley 2022."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from calibtool.errors import UsageError
from calibtool.train.losses.base import Loss, log_others, of_label


class AdaFocalLoss(Loss):
    """-(1 - p)^gamma log p where gamma > 0; -(1 + p)^|gamma| log p, inverse focal, where gamma < 0.

    gamma is that of p's bin. `after_validation` makes the bins anew, of equal mass in the
    confidence of the validation rows, and moves each gamma by its bin's gap (algorithm 1):
    gamma exp(sign(gamma) rate (confidence - accuracy)), so that an overconfident bin is held back
    and an underconfident one is not. A |gamma| below `switch` changes its sign.

    >>> loss = AdaFocalLoss(bins=1)
    >>> sure_and_wrong = torch.tensor([[30.0, 0.0]])
    >>> loss.after_validation(sure_and_wrong, torch.tensor([1]))  # 1 exp(1 - 0)
    >>> round(loss.gammas.item(), 3)
    2.718
    """

    edges: Tensor
    gammas: Tensor

    def __init__(
        self,
        bins: int = 15,
        gamma: float = 1.0,
        rate: float = 1.0,
        switch: float = 0.2,
        least: float = -2.0,
        most: float = 20.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        if bins < 1:
            raise UsageError(f"bins must be 1 or more, not {bins!r}")
        if not 0 <= switch <= min(-least, most) or not least <= gamma <= most:
            raise UsageError(
                f"gamma ({gamma!r}), switch ({switch!r}) and -switch must lie between least "
                f"({least!r}) and most ({most!r})"
            )
        self.rate, self.switch, self.least, self.most = rate, switch, least, most
        self.register_buffer("edges", torch.arange(1, bins) / bins)
        self.register_buffer("gammas", torch.full((bins,), float(gamma)))

    def rows(self, log_p: Tensor, y: Tensor, w: Tensor) -> Tensor:
        log_label = of_label(log_p, y)
        p = log_label.exp()
        gamma = self.gammas.to(p)[torch.bucketize(p.detach(), self.edges.to(p), right=True)]
        away = torch.where(gamma < 0, torch.log1p(p), log_others(log_label))
        return torch.exp(gamma.abs() * away) * -log_label

    @torch.no_grad()
    def after_validation(self, logits: Tensor, labels: Tensor) -> None:
        """Move the gammas: validation logits and labels, shaped as in `forward`."""
        log_p, y = self.flat(logits, labels)
        top, predicted = log_p.max(1)
        kept = y != self.ignore_index
        r, right = top[kept].exp(), (predicted == y)[kept]
        if not len(r):
            return
        bins = len(self.gammas)
        cuts = torch.arange(1, bins, device=r.device) * len(r) // bins
        self.edges.copy_(r.sort().values[cuts])
        at = torch.bucketize(r, self.edges.to(r), right=True)
        off = torch.zeros(bins, dtype=r.dtype, device=r.device).index_add_(0, at, r - right.to(r))
        gap = off / torch.bincount(at, minlength=bins).clamp_min(1)
        self.gammas.copy_(self._moved(gap.to(self.gammas)))

    def _moved(self, gap: Tensor) -> Tensor:
        sign = torch.where(self.gammas > 0, 1.0, -1.0)
        size = self.gammas.abs() * torch.exp(sign * self.rate * gap)
        moved = torch.where(size < self.switch, -sign * self.switch, sign * size)
        return moved.clamp(self.least, self.most)
