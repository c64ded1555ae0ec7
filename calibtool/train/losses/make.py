"""Losses by their specs: "focal(gamma=3)" to a module, by the table."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from torch import Tensor

from calibtool.errors import UsageError
from calibtool.train.losses.base import Loss
from calibtool.train.losses.registry import LOSSES
from calibtool.train.losses.spec import parse_loss


def make_loss(
    spec: str,
    *,
    classes: int,
    class_weights: Tensor | Sequence[float] | None = None,
    ignore_index: int = -100,
) -> Loss:
    """A loss by its spec.

    Args:
        spec: a name of `calibtool losses`, with options: "focal(gamma=3)".
        classes: K; 1 for the sigmoid form, with one logit a label.
        class_weights: one a class; two for the sigmoid form.
        ignore_index: the label of rows to leave out.

    Raises UsageError for an unknown name, option or value, and for weights that do not fit.

    >>> make_loss("focal(gamma=2)", classes=10).gamma
    2.0
    """
    if classes < 1:
        raise UsageError(f"classes must be 1 or more, not {classes}")
    wanted = parse_loss(spec)
    line = LOSSES[wanted.loss]
    if class_weights is not None and len(class_weights) != max(classes, 2):
        raise UsageError(f"{len(class_weights)} class weights for {max(classes, 2)} classes")
    made = getattr(import_module(f"calibtool.train.{line.module}"), line.cls)
    shared = {"class_weights": class_weights, "ignore_index": ignore_index, "sigmoid": classes == 1}
    try:
        loss: Loss = made(**wanted.options, **shared)
    except UsageError as error:
        raise UsageError(f"{spec!r}: {error}") from error
    return loss
