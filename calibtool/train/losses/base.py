"""The base class of losses: class weights, ignored rows, soft labels, reduction."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from calibtool.errors import UsageError
from calibtool.train.losses.batch import Batch, of_classes, of_logits

HALF = (torch.float16, torch.bfloat16)
REDUCTIONS = ("mean", "sum", "none")
LOG_HALF = math.log(0.5)  # where `log_others` changes its formula, and auto_gamma becomes 0


class Loss(nn.Module):
    """A loss of logits and labels.

    A subclass implements `rows`, the loss of each row, or `term`, one of the whole batch, or both.
    State that must survive a resumed run is kept in buffers, because a checkpoint saves
    `state_dict()`. With a soft label t the loss is the sum over k of t_k times that of label k.

    Args:
        class_weights: (K,) finite numbers, 0 or more. Each row has the weight of its label, so
            that weight k is the same as k copies of the row. With sigmoid (2,), the weights of 0
            and 1, or (L, 2) for logits of L labels, which are dimension 1.
        ignore_index: rows with this label are ignored.
        reduction: "mean" (weighted; 0 if no row counts), "sum", or "none": one loss per row, in
            the shape of hard labels.
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
        """Return the loss: a scalar, or with reduction "none" one loss per row.

        Args:
            logits: (N, K) or (N, K, ...), floating; float16 and bfloat16 are computed in float32.
                With sigmoid, any shape.
            target: (N) or (N, ...), integers in [0, K) or ignore_index; or soft labels, in the
                shape of the logits: shares of the classes, as from mixup or from a teacher. With
                sigmoid, the shape of the logits: 0 and 1, or floating, shares of 1.

        Raises UsageError if the shapes do not match, or if a label is out of range.
        """
        batch = self.batch(logits, target)
        losses, extra, w = self.rows(batch), self.term(batch), batch.weights
        if extra is not None:
            losses = losses + extra
        if w is not None:
            # a loss may be infinite where p is 0; times a weight of 0 it would be NaN
            losses = torch.where(w > 0, losses, 0) * w
        if self.reduction == "none":
            shape = logits.shape if self.sigmoid else logits.shape[:1] + logits.shape[2:]
            return (losses.sum(1) if batch.soft else losses).reshape(shape)
        if self.reduction == "sum":
            return losses.sum()
        if w is None:
            return losses.mean()
        # the clamp makes the mean of no rows 0 instead of NaN, with gradient 0
        return losses.sum() / w.sum().clamp_min(torch.finfo(w.dtype).tiny)

    def rows(self, batch: Batch) -> Tensor:
        """Return the losses of the labels, not weighted, in the shape of `batch.nll`: their NLL."""
        return batch.nll

    def term(self, batch: Batch) -> Tensor | None:
        """Return a term of the whole batch, which is added to the loss of each row, or None."""
        return None

    def batch(self, logits: Tensor, target: Tensor, *, weighted: bool = True) -> Batch:
        """Return logits and labels, shaped as in `forward`, as a batch."""
        logits = logits.float() if logits.dtype in HALF else logits
        # nn.Module looks for a buffer after everything else has failed, which small batches feel
        weights = self._buffers["class_weights"] if weighted else None
        weights = None if weights is None else weights.to(logits)
        make = of_logits if self.sigmoid else of_classes
        return make(logits, target, self.ignore_index, weights)

    def extra_repr(self) -> str:
        """Return the options, and those that all losses have where they are not the defaults."""
        own = inspect.signature(type(self).__init__).parameters
        shown = {name: getattr(self, name) for name in own if name not in ("self", "shared")}
        common = inspect.signature(Loss.__init__).parameters
        for name in ("ignore_index", "reduction", "sigmoid"):
            if getattr(self, name) != common[name].default:
                shown[name] = getattr(self, name)
        if self.class_weights is not None:
            shown["class_weights"] = self.class_weights.tolist()
        return ", ".join(f"{name}={value!r}" for name, value in shown.items())


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


def require_0_or_more(**options: float) -> None:
    """Check options by name; raise UsageError for one that is below 0 or no number."""
    for name, value in options.items():
        if not value >= 0:
            raise UsageError(f"{name} must be 0 or more, not {value!r}")


def _check_weights(weights: Tensor, *, sigmoid: bool) -> None:
    per_label = sigmoid and weights.ndim == 2
    ok = torch.isfinite(weights).all() and (weights >= 0).all()
    if not ok or not (weights.ndim == 1 or per_label):
        raise UsageError("class weights must be finite and 0 or more for each class")
    if sigmoid and weights.shape[-1] != 2:
        raise UsageError(
            f"{weights.shape[-1]} class weights: with sigmoid there must be two, for 0 and 1, or "
            "two for each label"
        )
