"""AdaFocal, focal loss with a gamma per validation bin; Ghosh, Schaaf & Gormley 2022."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from calibtool.errors import UsageError
from calibtool.train.losses.base import Loss
from calibtool.train.losses.batch import Batch
from calibtool.train.losses.focal import one_minus_p


class AdaFocalLoss(Loss):
    """-(1 - p)^gamma log p if gamma > 0; -(1 + p)^|gamma| log p (inverse focal loss) if gamma < 0.

    gamma is that of the bin of p. `after_validation` forms the bins again, with equal numbers of
    validation rows by confidence, and updates each gamma by the gap of its bin (algorithm 1) to
    gamma exp(sign(gamma) rate (confidence - accuracy)). An overconfident bin is thereby pushed
    less and an underconfident one more. A |gamma| that falls below `switch` changes its sign.

    The defaults are the paper's: 15 bins, gamma 1 at the start, rate 1, switch 0.2, gamma in
    [-2, 20].

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
        self.bins, self.gamma, self.rate = bins, gamma, rate
        self.switch, self.least, self.most = switch, least, most
        self.register_buffer("edges", torch.arange(1, bins) / bins)
        self.register_buffer("gammas", torch.full((bins,), float(gamma)))

    def rows(self, batch: Batch) -> Tensor:
        p = torch.exp(-batch.nll)
        gamma = self.gammas.to(p)[torch.bucketize(p.detach(), self.edges.to(p), right=True)]
        base = torch.where(gamma < 0, 1 + p, one_minus_p(batch.nll))
        return base.pow(gamma.abs()) * batch.nll

    @torch.no_grad()
    def after_validation(self, logits: Tensor, labels: Tensor) -> None:
        """Update bins and gammas from validation logits and labels, shaped as in `forward`.

        Without a row that counts, nothing changes.
        """
        r, w, right = self.batch(logits, labels, weighted=False).confidences()
        r, right = r[w > 0], right[w > 0]
        if not len(r):
            return
        bins = len(self.gammas)
        cuts = torch.arange(1, bins, device=r.device) * len(r) // bins
        self.edges.copy_(r.sort().values[cuts])
        index = torch.bucketize(r, self.edges.to(r), right=True)
        excess = r.new_zeros(bins).index_add_(0, index, r - right.to(r))
        gap = excess / torch.bincount(index, minlength=bins).clamp_min(1)  # an empty bin: gap 0
        self.gammas.copy_(self._updated(gap.to(self.gammas)))

    def _updated(self, gap: Tensor) -> Tensor:
        sign = torch.where(self.gammas > 0, 1.0, -1.0)
        size = self.gammas.abs() * torch.exp(sign * self.rate * gap)
        gammas = torch.where(size < self.switch, -sign * self.switch, sign * size)
        return gammas.clamp(self.least, self.most)
