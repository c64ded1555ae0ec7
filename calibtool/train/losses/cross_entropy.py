"""Cross-entropy: the negative log-likelihood of the label."""

from __future__ import annotations

from calibtool.train.losses.base import Loss


class CrossEntropyLoss(Loss):
    """-log p; Good 1952.

    >>> import torch
    >>> p = torch.tensor([[0.25, 0.75]])
    >>> round(CrossEntropyLoss()(p.log(), torch.tensor([0])).item(), 4)  # log 4
    1.3863
    """
