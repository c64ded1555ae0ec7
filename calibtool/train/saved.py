"""The model of a finished run, for use elsewhere."""

from __future__ import annotations

from pathlib import Path

import torch

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
    with torch.random.fork_rng(devices=[]):  # initial weights draw from the caller's generator
        network = registry.build(settings.model, data)
    try:
        network.module.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).split("\n", 1)[0]
        raise InputError(f"{out / folder.MODEL}: holds other weights ({first})") from error
    return Prepared(network, moments["mean"], moments["deviation"]).eval()
