"""Cross-entropy with a kernel calibration error of the batch: Kumar, Sarawagi & Jain 2018."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from calibtool.errors import UsageError
from calibtool.train.losses.base import Loss, of_label


class MMCELoss(Loss):
    """-log p + weight MMCE, with MMCE^2 = mean over i, j of e_i e_j exp(-|r_i - r_j| / width).

    r is the confidence, e = 1 - r where the row is predicted rightly and -r where it is not. The
    mean is over all pairs of the batch, a row with itself too, as in the paper; rows
    count by their weight. With the reduction "none", MMCE of the batch is part of every row.

    >>> import torch
    >>> z = torch.tensor([[0.6, 0.4]]).log()
    >>> found = MMCELoss(weight=1)(z, torch.tensor([0]))  # -log 0.6 + |1 - 0.6|
    >>> round(found.item(), 4)
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
        mmce = squared.clamp_min(torch.finfo(r.dtype).tiny).sqrt()
        return -of_label(log_p, y) + self.weight * mmce

    def parts(self, r: Tensor, right: Tensor, w: Tensor) -> Tensor:
        """(N) what each row adds, so that MMCE^2 = sum of u_i u_j k(r_i, r_j)."""
        return _share(w) * (right.to(r.dtype) - r)


class WeightedMMCELoss(MMCELoss):
    """As MMCELoss, with rows predicted rightly and wrongly counting the same in all.

    u = (1 - r) / right where the row is predicted rightly and -r / wrong where it is not, with
    `right` and `wrong` how many rows are: MMCE_w of the paper.
    """

    def parts(self, r: Tensor, right: Tensor, w: Tensor) -> Tensor:
        return _share(w * right) * (1 - r) - _share(w * ~right) * r


def _share(w: Tensor) -> Tensor:
    """Weights over their sum; 0 where all are 0."""
    return w / w.sum().clamp_min(torch.finfo(w.dtype).tiny)
