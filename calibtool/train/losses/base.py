"""The base class of losses: log-probabilities per row, class weights, ignored rows, reduction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from calibtool.errors import UsageError

REDUCTIONS = ("mean", "sum", "none")
LOG_HALF = math.log(0.5)  # where `log_others` changes its formula, and auto_gamma becomes 0


class Loss(nn.Module):
    """A loss of logits and labels.

    A subclass implements `rows`, the loss of each row. State that must survive a resumed run is
    kept in buffers, because a checkpoint saves `state_dict()`.

    Args:
        class_weights: (K,) finite numbers, 0 or more. Each row has the weight of its label, so
            that weight k is the same as k copies of the row.
        ignore_index: rows with this label are ignored.
        reduction: "mean" (weighted; 0 if no row counts), "sum", or "none": one loss per label, in
            the shape of `target`.
        sigmoid: each logit z is that of class 1 against class 0, and `target` has the shape of the
            logits and holds 0 and 1. Equal to the loss of two classes with the logits (0, z).

    Raises UsageError for an unknown reduction and for invalid class weights.
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
            raise UsageError(
                f"reduction must be one of {', '.join(REDUCTIONS)} (got {reduction!r})"
            )
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
        """Return the loss: a scalar, or with reduction "none" a tensor of the shape of `target`.

        Args:
            logits: (N, K) or (N, K, ...), floating; float16 and bfloat16 are computed in float32.
                With sigmoid, any shape.
            target: (N) or (N, ...), integers in [0, K) or ignore_index. With sigmoid, the shape of
                the logits.

        Raises UsageError if the shapes do not match, or if a label is out of range.
        """
        log_p, y = self.flat(logits, target)
        counted = y != self.ignore_index
        y = torch.where(counted, y, 0)  # any class will do: the weight of an ignored row is 0
        _check_labels(y, log_p.shape[1])
        w = counted.to(log_p.dtype)
        if self.class_weights is not None:
            w = w * self._weights(log_p)[y]
        # a loss may be infinite where p is 0; times a weight of 0 it would be NaN
        losses = torch.where(w > 0, self.rows(log_p, y, w), 0) * w
        if self.reduction == "none":
            return losses.reshape(target.shape)
        if self.reduction == "sum":
            return losses.sum()
        # the clamp makes the mean of no rows 0 instead of NaN, with gradient 0
        return losses.sum() / w.sum().clamp_min(torch.finfo(w.dtype).tiny)

    def rows(self, log_p: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """Return the (N) losses of the rows, not weighted.

        Args:
            log_p: (N, K) log-probabilities.
            y: (N) labels in [0, K).
            w: (N) weights, 0 for ignored rows; used by losses that depend on the whole batch.
        """
        raise NotImplementedError

    def flat(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return (N, K) log-probabilities and (N) labels; labels may be ignore_index."""
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
    """Return the (N) entries of (N, K) `values` in the columns of the labels."""
    return values.gather(1, y[:, None])[:, 0]


def log_others(log_p: Tensor) -> Tensor:
    """Return log(1 - p) from log p, exact to rounding for p near 0 and near 1.

    Where p rounds to 1, return the log of the smallest normal number, with gradient 0.
    """
    # log1p(-p) loses digits as p approaches 1, log(-expm1(log p)) as p approaches 0: each is used
    # on its own side of p = 1/2 (Maechler 2012, "Accurately computing log(1 - exp(-|a|))"). The
    # clamps keep the branch that is not used finite, since torch.where passes its NaN gradient on.
    below = torch.log1p(-log_p.exp().clamp_max(0.5))
    above = torch.log((-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny))
    return torch.where(log_p < LOG_HALF, below, above)


def _rows(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return (N, K) log-probabilities and (N) labels, with all positions as rows."""
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
    """Return (N, 2) log-probabilities of classes 0 and 1, and (N) labels."""
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
    """Check that labels are in [0, classes).

    Only on the CPU: on an accelerator reading them would wait for it at every step, and `gather`
    fails there on an invalid index.
    """
    if y.device.type == "cpu" and y.numel() and not 0 <= int(y.min()) <= int(y.max()) < classes:
        wrong = y[(y < 0) | (y >= classes)]
        raise UsageError(
            f"label {int(wrong[0])} is not in 0 to {classes - 1} ({len(wrong)} such rows)"
        )


def _check_weights(weights: Tensor, *, sigmoid: bool) -> None:
    if weights.ndim != 1 or not torch.isfinite(weights).all() or (weights < 0).any():
        raise UsageError("class weights must be finite and 0 or more for each class")
    if sigmoid and len(weights) != 2:
        raise UsageError(
            f"{len(weights)} class weights: with sigmoid there must be two, for 0 and 1"
        )
