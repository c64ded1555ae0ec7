"""What every loss shares: rows of log-probabilities, class weights, rows that are left out, and
the reduction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from calibtool.errors import UsageError

REDUCTIONS = ("mean", "sum", "none")
LOG_HALF = math.log(0.5)


class Loss(nn.Module):
    """A loss of logits and labels.

    A subclass says in `rows` what a row's loss is. What must survive a resume is in buffers.

    Args:
        class_weights: K numbers, 0 or more; a row counts with the weight of its label, so that
            weight k is the same as k copies of the row.
        ignore_index: rows of this label are left out.
        reduction: "mean" (weighted; 0 where no row counts), "sum", or "none": the shape of target.
        sigmoid: each logit is one of class 1 against class 0, and target has the logits' shape
            and holds 0 and 1. It is the loss of two classes with the logits (0, z).
    """

    class_weights: Tensor | None

    def __init__(
        self,
        *,
        class_weights: Tensor | Sequence[float] | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        sigmoid: bool = False,
    ) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            raise UsageError(f"reduction {reduction!r}: there are {', '.join(REDUCTIONS)}")
        self.reduction = reduction
        self.ignore_index = ignore_index
        self.sigmoid = sigmoid
        weights = None
        if class_weights is not None:
            weights = torch.as_tensor(class_weights).detach().clone()
            weights = weights if weights.is_floating_point() else weights.float()
            _check_weights(weights, sigmoid=sigmoid)
        self.register_buffer("class_weights", weights)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss.

        Args:
            logits: (N, K) or (N, K, ...), floating; half precision is computed in float32. With
                sigmoid, any shape.
            target: (N) or (N, ...), integers in [0, K) or ignore_index.

        Raises UsageError for shapes and labels that do not fit.
        """
        log_p, y = self.flat(logits, target)
        counted = y != self.ignore_index
        y = torch.where(counted, y, 0)
        _check_labels(y, log_p.shape[1])
        w = counted.to(log_p.dtype)
        if self.class_weights is not None:
            w = w * self._weights(log_p)[y]
        losses = torch.where(w > 0, self.rows(log_p, y, w), 0) * w
        if self.reduction == "none":
            return losses.reshape(target.shape)
        if self.reduction == "sum":
            return losses.sum()
        return losses.sum() / w.sum().clamp_min(torch.finfo(w.dtype).tiny)

    def rows(self, log_p: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """The loss of each row.

        Args:
            log_p: (N, K) log-probabilities.
            y: (N) labels.
            w: (N) weights, 0 for rows left out; for losses that look at the whole batch.
        """
        raise NotImplementedError

    def flat(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(N, K) log-probabilities and (N) labels, ignored ones among them."""
        logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
        return (_sigmoid_rows if self.sigmoid else _rows)(logits, target)

    def _weights(self, log_p: Tensor) -> Tensor:
        assert self.class_weights is not None
        if len(self.class_weights) != log_p.shape[1]:
            raise UsageError(
                f"{len(self.class_weights)} class weights for {log_p.shape[1]} classes"
            )
        return self.class_weights.to(log_p)


def of_label(values: Tensor, y: Tensor) -> Tensor:
    """(N) the entries of (N, K) `values` that belong to the labels."""
    return values.gather(1, y[:, None])[:, 0]


def log_others(log_p: Tensor) -> Tensor:
    """log(1 - p) from log p, exact to rounding for p near 0 and near 1.

    Where p rounds to 1, it is the log of the smallest normal number, with gradient 0.
    """
    below = torch.log1p(-log_p.exp().clamp_max(0.5))
    above = torch.log((-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny))
    return torch.where(log_p < LOG_HALF, below, above)


def _rows(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(N, K) log-probabilities and (N) labels of any number of positions."""
    if logits.ndim < 2 or target.shape != logits.shape[:1] + logits.shape[2:]:
        raise UsageError(
            f"logits of shape {tuple(logits.shape)} and labels of shape {tuple(target.shape)}: "
            "they must be (N, K) and (N), or (N, K, ...) and (N, ...)"
        )
    if target.is_floating_point():
        raise UsageError(f"labels must be class numbers, not {target.dtype}")
    flat = logits.movedim(1, -1).reshape(-1, logits.shape[1])
    return functional.log_softmax(flat, dim=1), target.reshape(-1).long()


def _sigmoid_rows(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 2) log-probabilities of class 0 and 1, and (N) labels."""
    if logits.shape != target.shape:
        raise UsageError(
            f"logits of shape {tuple(logits.shape)} and labels of shape {tuple(target.shape)}: "
            "with sigmoid they must be the same"
        )
    z = logits.reshape(-1)
    log_p = torch.stack([functional.logsigmoid(-z), functional.logsigmoid(z)], dim=1)
    labels = target.reshape(-1)
    if labels.device.type == "cpu" and labels.is_floating_point() and (labels % 1).any():
        raise UsageError("with sigmoid, labels must be 0 and 1; soft labels are not supported")
    return log_p, labels.long()


def _check_labels(y: Tensor, classes: int) -> None:
    """Labels that are no class; on an accelerator, gather says so, and without a wait."""
    if y.device.type == "cpu" and y.numel() and not 0 <= int(y.min()) <= int(y.max()) < classes:
        wrong = y[(y < 0) | (y >= classes)]
        raise UsageError(
            f"label {int(wrong[0])} is not in 0 to {classes - 1} ({len(wrong)} such rows)"
        )


def _check_weights(weights: Tensor, *, sigmoid: bool) -> None:
    if weights.ndim != 1 or not torch.isfinite(weights).all() or (weights < 0).any():
        raise UsageError("class weights must be a finite number of 0 or more for each class")
    if sigmoid and len(weights) != 2:
        raise UsageError(f"{len(weights)} class weights: with sigmoid there are two, of 0 and of 1")
