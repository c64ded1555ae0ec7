"""Make a loss from its spec, such as "focal(gamma=3)"."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from torch import Tensor

from calibtool.errors import UsageError
from calibtool.train.losses.base import Loss
from calibtool.train.losses.own import OwnLoss
from calibtool.train.losses.registry import LOSSES
from calibtool.train.losses.spec import parse_loss


def make_loss(
    spec: str,
    *,
    classes: int,
    class_weights: Tensor | Sequence[float] | None = None,
    ignore_index: int = -100,
) -> Loss | OwnLoss:
    """Return the loss of a spec.

    Args:
        spec: a name listed by `calibtool losses`, with options: "focal(gamma=3)"; or the user's
            own, "module:function".
        classes: K; 1 for the sigmoid form, which has one logit per label.
        class_weights: one weight per class, 0 or more; for the sigmoid form two, or two per label.
        ignore_index: the label of rows to ignore.

    Raises UsageError for an unknown name, option or value, and for a wrong number of weights.

    >>> make_loss("focal(gamma=2)", classes=10).gamma
    2.0
    """
    if classes < 1:
        raise UsageError(f"classes must be 1 or more, not {classes}")
    parsed = parse_loss(spec)
    if parsed.is_own:
        return OwnLoss(parsed, classes=classes, class_weights=class_weights)
    entry = LOSSES[parsed.loss]
    if class_weights is not None and classes > 1 and len(class_weights) != classes:
        raise UsageError(f"{len(class_weights)} class weights for {classes} classes")
    loss_class = getattr(import_module(f"calibtool.train.{entry.module}"), entry.cls)
    shared = {"class_weights": class_weights, "ignore_index": ignore_index, "sigmoid": classes == 1}
    try:
        loss: Loss = loss_class(**parsed.options, **shared)
    except UsageError as error:
        raise UsageError(f"{spec!r}: {error}") from error
    return loss
