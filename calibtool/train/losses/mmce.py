"""Cross-entropy plus the kernel calibration error of the batch; Kumar, Sarawagi & Jain 2018."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from calibtool.errors import UsageError
from calibtool.train.losses.base import Loss, of_label


class MMCELoss(Loss):
    """-log p + weight MMCE, with MMCE^2 = mean over i, j of e_i e_j exp(-|r_i - r_j| / width).

    r is the confidence; e = 1 - r if the prediction is right and -r if it is wrong. The mean is
    over all pairs of the batch, including each row with itself, as in the paper, and weighted by
    row weights. With the reduction "none", every row includes the MMCE of the whole batch.

    >>> import torch
    >>> z = torch.tensor([[0.6, 0.4]]).log()
    >>> loss = MMCELoss(weight=1)(z, torch.tensor([0]))  # -log 0.6 + |1 - 0.6|
    >>> round(loss.item(), 4)
    0.9108
    """

    def __init__(self, weight: float = 2.0, width: float = 0.4, **shared: Any) -> None:
        super().__init__(**shared)
        if not weight >= 0:
            raise UsageError(f"weight must be 0 or more, not {weight!r}")
        if not width > 0:
            raise UsageError(f"width must be above 0, not {width!r}")
        self.weight = weight
        self.width = width

    def rows(self, log_p: Tensor, y: Tensor, w: Tensor) -> Tensor:
        top, predicted = log_p.max(1)
        r = top.exp()
        u = self.parts(r, predicted == y, w)
        kernel = torch.exp(-(r[:, None] - r[None, :]).abs() / self.width)
        squared = (u[:, None] * kernel * u[None, :]).sum()
        # the clamp keeps the gradient of the root finite where the error is 0
        mmce = squared.clamp_min(torch.finfo(r.dtype).tiny).sqrt()
        return -of_label(log_p, y) + self.weight * mmce

    def parts(self, r: Tensor, right: Tensor, w: Tensor) -> Tensor:
        """Return the (N) terms u: MMCE^2 is the sum over i, j of u_i u_j k(r_i, r_j)."""
        return _share(w) * (right.to(r.dtype) - r)


class WeightedMMCELoss(MMCELoss):
    """MMCELoss in which right and wrong predictions have the same total weight.

    u = (1 - r) / right if the prediction is right and -r / wrong if it is wrong, where `right` and
    `wrong` are the numbers of such rows: MMCE_w of the paper.
    """

    def parts(self, r: Tensor, right: Tensor, w: Tensor) -> Tensor:
        return _share(w * right) * (1 - r) - _share(w * ~right) * r


def _share(w: Tensor) -> Tensor:
    """Return weights divided by their sum; 0 if all are 0."""
    return w / w.sum().clamp_min(torch.finfo(w.dtype).tiny)
