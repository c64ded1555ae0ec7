"""The logits that somebody's model gives to batches of their own, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from calibtool.errors import InputError, UsageError
from calibtool.types import Array

LABELS = ("labels", "label")  # as datasets and models of transformers call them


def collect(
    model: Callable[..., Any],
    batches: Iterable[Any],
    part: str,
    gather: Callable[[Any], Any] | None = None,
) -> tuple[Array, Array]:
    """Return the (N, K) logits of a model and the (N,) labels of all batches, in order.

    Args:
        model: takes the inputs of a batch, or the items of a dict by name, and returns logits, or
            an object or dict with `logits`.
        batches: (inputs, labels), or dicts with labels.
        part: what to call the batches in messages.
        gather: function of (logits, labels) that returns those of all processes.

    Raises InputError for batches and outputs of another form, UsageError in several processes
    without `gather`.
    """
    if gather is None and _processes() > 1:
        raise UsageError(
            f"{_processes()} processes each hold a share of the rows: add "
            "gather=accelerator.gather_for_metrics, or give all logits instead of the model"
        )
    logits, labels = [], []
    with _evaluating(model) as device:
        for number, batch in enumerate(batches):
            where = f"{part}: batch {number}"
            y = _labels(batch, where)
            output = _outputs(model, _moved(batch, device), where)
            if gather is not None:
                output, y = gather((output, torch.as_tensor(y).to(output.device)))
            if output.ndim == 0 or len(output) != len(y):
                raise InputError(
                    f"{where}: outputs of shape {tuple(output.shape)} for {len(y)} labels; one row "
                    "of logits per label is expected"
                )
            logits.append(array(output))
            labels.append(array(y))
    if not logits:
        raise InputError(f"{part}: there are no batches (an iterator that was already used up?)")
    return np.concatenate(logits), np.concatenate(labels)


def array(values: Any) -> Array:
    """Return a tensor of any device and type, or anything array-like, as an array.

    Raises InputError for rows of different lengths, such as the tuple of several outputs.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
        return values.numpy()
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(
            f"expected one array of logits or labels, not {type(values).__name__} of several"
        ) from error


def is_first_process() -> bool:
    """Return whether this is the only process, or the first of several."""
    return _processes() == 1 or dist.get_rank() == 0


def _processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@contextmanager
def _evaluating(model: Callable[..., Any]) -> Iterator[torch.device | None]:
    """Set evaluation mode, without gradients, inside a block; yield the model's device, if any.

    Each module gets its own mode back: frozen batch norms may evaluate while the others train.
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    modes = [module.training for module in modules]
    first = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    try:
        if isinstance(model, nn.Module):
            model.eval()
        with torch.no_grad():
            yield None if first is None else first.device
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


def _moved(value: Any, device: torch.device | None) -> Any:
    """Return a batch with its tensors, at any depth, on a device."""
    if isinstance(value, Tensor):
        return value if device is None else value.to(device)
    if isinstance(value, Mapping):
        return {key: _moved(item, device) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        items = [_moved(item, device) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def _outputs(model: Callable[..., Any], batch: Any, where: str) -> Tensor:
    if isinstance(batch, Mapping):
        output = model(**{key: value for key, value in batch.items() if key not in LABELS})
    else:
        output = model(_pair(batch, where)[0])
    logits = logits_of(output)
    if not isinstance(logits, Tensor):
        raise InputError(
            f"{where}: the model returns {type(output).__name__}; expected logits, or an object "
            "or dict with logits"
        )
    return logits


def logits_of(output: Any) -> Any:
    """Return the logits of what a model returns: itself, or `logits` of a dict or an object."""
    if isinstance(output, Mapping):
        return output.get("logits")
    return getattr(output, "logits", output)


def _labels(batch: Any, where: str) -> Any:
    if not isinstance(batch, Mapping):
        return _pair(batch, where)[1]
    key = next((name for name in LABELS if name in batch), None)
    if key is None:
        raise InputError(f"{where}: has no labels; its keys are {', '.join(map(str, batch))}")
    return batch[key]


def _pair(batch: Any, where: str) -> Any:
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise InputError(
            f"{where}: is {type(batch).__name__}; expected (inputs, labels), or a dict with labels "
            "(for tensors x and y, give [(x, y)])"
        )
    return batch
