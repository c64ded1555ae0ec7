"""Cross-entropy plus the kernel calibration error of the batch; Kumar, Sarawagi & Jain 2018."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from calibtool.errors import UsageError
from calibtool.train.losses.base import Loss, require_0_or_more
from calibtool.train.losses.batch import Batch


class MMCELoss(Loss):
    """-log p + weight MMCE, with MMCE^2 = mean over i, j of e_i e_j exp(-|r_i - r_j| / width).

    r is the confidence; e = 1 - r if the prediction is right and -r if it is wrong. The mean is
    over all pairs of the batch, including each row with itself, as in the paper, and weighted by
    row weights. With the reduction "none", every row includes the MMCE of the whole batch.

    The paper defines MMCE as this root. The authors' code trains with its square: `squared`.

    >>> import torch
    >>> z = torch.tensor([[0.6, 0.4]]).log()
    >>> loss = MMCELoss(weight=1)(z, torch.tensor([0]))  # -log 0.6 + |1 - 0.6|
    >>> round(loss.item(), 4)
    0.9108
    """

    def __init__(
        self, weight: float = 2.0, width: float = 0.4, squared: bool = False, **shared: Any
    ) -> None:
        super().__init__(**shared)
        check_kernel(weight, width)
        self.weight, self.width, self.squared = weight, width, squared

    def term(self, batch: Batch) -> Tensor:
        r, w, right = batch.confidences()
        square = kernel_square(r, (right - w * r) / _some(w.sum()), self.width)
        return self.weight * (square if self.squared else root(square))


class WeightedMMCELoss(Loss):
    """-log p + weight MMCE_w, MMCE_w^2 = sum over i, j of u_i u_j exp(-|r_i - r_j| / width).

    u = (1 - r) / m^divided if the prediction is right and -r / n^divided if it is wrong, where m
    and n are the numbers of right and of wrong rows. MMCE_w is 0 if one of the two is 0.

    Equation 8 of the paper divides once: right rows and wrong rows have the same total weight. The
    authors' code, with which the paper's and all later results were made, divides the means over
    pairs by the numbers again, so that its term is far smaller: `divided` 2, the default.
    """

    def __init__(
        self, weight: float = 2.0, width: float = 0.4, divided: int = 2, **shared: Any
    ) -> None:
        super().__init__(**shared)
        check_kernel(weight, width)
        if divided not in (1, 2):
            raise UsageError(f"divided must be 1 or 2, not {divided!r}")
        self.weight, self.width, self.divided = weight, width, divided

    def term(self, batch: Batch) -> Tensor:
        r, w, right = batch.confidences()
        wrong = w - right
        m, n = right.sum(), wrong.sum()
        u = right * (1 - r) / _some(m) ** self.divided - wrong * r / _some(n) ** self.divided
        # of right rows alone, or of wrong ones, there is nothing to compare
        u = torch.where((m > 0) & (n > 0), u, 0)
        return self.weight * root(kernel_square(r, u, self.width))


def kernel_square(r: Tensor, u: Tensor, width: float) -> Tensor:
    """Return the sum over i, j of u_i u_j exp(-|r_i - r_j| / width)."""
    kernel = torch.exp(-(r[:, None] - r[None, :]).abs() / width)
    return u @ (kernel @ u)


def root(square: Tensor) -> Tensor:
    """Return the root of a square, with gradient 0 where it is 0."""
    return square.clamp_min(torch.finfo(square.dtype).tiny).sqrt()


def check_kernel(weight: float, width: float) -> None:
    """Check the options of both losses. Raises UsageError."""
    require_0_or_more(weight=weight)
    if not width > 0:
        raise UsageError(f"width must be above 0, not {width!r}")


def _some(total: Tensor) -> Tensor:
    """Return a sum of weights, or a number that can be divided by if it is 0."""
    return torch.where(total > 0, total, 1)
