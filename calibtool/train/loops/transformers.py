"""Transformers: a loss as the `compute_loss_func` of its Trainer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import Tensor

from calibtool.train.batches import logits_of
from calibtool.train.losses.base import Loss


def trainer_loss(loss: Loss) -> Callable[..., Tensor]:
    """Return a loss in the form that `Trainer(compute_loss_func=...)` takes.

    Trainer accumulates gradients over several batches, and over processes: it expects the sum over
    the rows of one batch, divided by `num_items_in_batch`, the number of labels in all of them.
    With class weights, too, the sum is divided by that number, not by the sum of the weights.

    >>> import torch
    >>> from calibtool.train import FocalLoss
    >>> logits, labels = {"logits": torch.zeros(4, 2)}, torch.tensor([0, 1, 0, 1])
    >>> loss = trainer_loss(FocalLoss(gamma=0))
    >>> round(loss(logits, labels).item(), 4), round(loss(logits, labels, 16).item(), 4)
    (0.6931, 0.1733)
    """
    total = copy.copy(loss)  # shares its buffers, such as the gammas that adafocal changes
    total.reduction = "sum"

    def compute(
        outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        logits = logits_of(outputs)
        if logits.ndim > 2:  # classes come last, as for labels of tokens; losses take them second
            logits = logits.movedim(-1, 1)
        if num_items_in_batch is None:
            mean: Tensor = loss(logits, labels)
            return mean
        summed: Tensor = total(logits, labels)
        return summed / num_items_in_batch

    return compute
