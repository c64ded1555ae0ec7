"""The model of a finished run, for use elsewhere."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from calibtool.errors import InputError
from calibtool.train import config, folder, tensors
from calibtool.train.data.dataset import Data
from calibtool.train.models import registry
from calibtool.train.prepare import Prepared


def load_model(run: str | Path) -> Prepared:
    """Return the trained model of a run's folder, on the CPU and in evaluation mode.

    Call it on raw inputs as in the data: (n, C, H, W) uint8 images, (n, d) features or token ids.
    It returns (n, K) float32 logits. `model.network` is the network itself.

    Raises InputError if the folder does not hold a finished run.
    """
    out = Path(run)
    if not (out / folder.MODEL).is_file():
        raise InputError(f"{out}: holds no {folder.MODEL}; is the run finished?")
    settings, resolved = config.read(out / config.NAME)
    shape = tuple(size.whole(1) for size in resolved["shape"].items())
    data = Data(str(out), {}, resolved["classes"].whole(2), shape, resolved["kind"].text())
    weights, _ = tensors.read(out / folder.MODEL)
    moments = {name: weights.pop(f"{folder.PREFIX}{name}", None) for name in ("mean", "deviation")}
    try:
        with torch.random.fork_rng(devices=[]):  # initial weights draw from the caller's generator
            network = registry.build(settings.model, data)
        network.module.load_state_dict(weights)
    except RuntimeError as error:  # of other names or shapes, or of more than memory holds
        reason = " ".join(str(error).split())
        raise InputError(f"{out / folder.MODEL}: holds other weights ({reason})") from error
    for name, moment in moments.items():
        if moment is not None and not _is_per_input(moment, shape):
            raise InputError(
                f"{out / folder.MODEL}: {folder.PREFIX}{name} does not fit inputs of shape {shape}"
            )
    return Prepared(network, moments["mean"], moments["deviation"]).eval()


def _is_per_input(moment: Tensor, shape: tuple[int, ...]) -> bool:
    """Return whether a moment can be subtracted from an input: per value or per channel."""
    sizes = zip(reversed(moment.shape), reversed(shape), strict=False)
    return moment.ndim <= len(shape) and all(size in (1, whole) for size, whole in sizes)
