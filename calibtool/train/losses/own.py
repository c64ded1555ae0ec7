"""A loss of the user, as `module:function` or `file.py:function`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from calibtool.errors import CalibtoolError, UsageError
from calibtool.train import grammar
from calibtool.train.data import factory_spec
from calibtool.train.losses.spec import LossSpec
from calibtool.types import silent


class OwnLoss(nn.Module):
    """A function of (N, K) logits and (N,) labels that returns the mean loss of a batch.

    A class is called first, with the options, and with `classes` and `class_weights` if it has
    parameters of these names; what it returns is the function. If that is a module, checkpoints
    hold its state. Its methods `start_epoch` and `after_validation` are called as those of the
    losses of calibtool.

    Raises UsageError for a loss that does not exist or options that it does not take.
    """

    def __init__(
        self, spec: LossSpec, *, classes: int, class_weights: Tensor | Sequence[float] | None
    ) -> None:
        super().__init__()
        self.what = f"--loss {spec.loss}"
        found = factory_spec.load(spec.loss, "--loss")
        is_class = isinstance(found, type)
        if class_weights is not None and not (
            is_class and "class_weights" in inspect.signature(found).parameters
        ):
            raise UsageError(f"--class-weights: {spec.loss} has no parameter class_weights")
        offered = {"classes": classes, "class_weights": class_weights}
        self.function: Callable[..., Any] = (
            self._called(found, spec.options, offered) if is_class else self._bound(found, spec)
        )

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Raises UsageError with the message of the function if it fails, or for another shape.
        """
        try:
            loss = self.function(logits.float(), target)
        except (CalibtoolError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever the user's function raises
            raise factory_spec.failure(error, self.what) from error
        if not isinstance(loss, Tensor) or loss.ndim != 0:
            shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise UsageError(
                f"{self.what}: returns {shape}; it must return a scalar tensor, a mean"
            )
        return loss

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Tell the function, if it wants to know."""
        getattr(self.function, "start_epoch", silent)(epoch, epochs)

    def after_validation(self, logits: Tensor, labels: Tensor) -> None:
        """Tell the function, if it wants to know."""
        getattr(self.function, "after_validation", silent)(logits, labels)

    def _called(
        self, found: Callable[..., Any], options: dict[str, Any], offered: dict[str, Any]
    ) -> Callable[..., Any]:
        with factory_spec.told(self.what):
            function: Callable[..., Any] = grammar.call(found, options, offered, self.what)
        if not callable(function):
            raise UsageError(f"{self.what}: cannot be called on logits and labels")
        return function

    def _bound(self, found: Callable[..., Any], spec: LossSpec) -> Callable[..., Any]:
        try:
            inspect.signature(found).bind(None, None, **spec.options)
        except TypeError as error:
            raise UsageError(
                f"{self.what}: must take logits and labels, and its options by name: {error}"
            ) from error
        return partial(found, **spec.options)
