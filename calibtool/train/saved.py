"""A finished run's model, to use it elsewhere."""

from __future__ import annotations

from pathlib import Path

import torch

from calibtool.errors import InputError
from calibtool.train import config, folder, tensors
from calibtool.train.data.dataset import Data
from calibtool.train.models import registry
from calibtool.train.prepare import Prepared


def load_model(run: str | Path) -> Prepared:
    """The trained model of a run's folder, on the CPU and in evaluation mode.

    Call it on raw inputs, as they were in the data: (n, ...) uint8 images as NCHW, features, token
    ids. It gives (n, K) float32 logits. `model.network` is the network itself.

    Raises InputError where the folder holds no finished run.
    """
    out = Path(run)
    if not (out / folder.MODEL).is_file():
        raise InputError(f"{out}: holds no {folder.MODEL}; is the run finished?")
    settings, resolved = config.read(out / config.NAME)
    data = Data(str(out), {}, resolved["classes"], tuple(resolved["shape"]), resolved["kind"])
    found, _ = tensors.read(out / folder.MODEL)
    extra = {name: found.pop(f"{folder.PREFIX}{name}", None) for name in ("mean", "deviation")}
    with torch.random.fork_rng(devices=[]):
        network = registry.build(settings.model, data)
    network.module.load_state_dict(found)
    return Prepared(network, extra["mean"], extra["deviation"]).eval()
