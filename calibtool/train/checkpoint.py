"""checkpoint.safetensors: where a run stands, in one file that is replaced whole.

It needs no generator's state, nor the order of the data: both come from the seed, the epoch and
the step.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from calibtool.errors import InputError
from calibtool.train import tensors
from calibtool.train.loop import TrainingState

VERSION = 1
NUMBERS = ("epoch", "step", "loss_sum", "loss_rows", "best_nll", "history")


def save(path: Path, state: TrainingState) -> None:
    """Everything that the next step depends on."""
    kept = {
        **_under("model", state.model.state_dict()),
        **_under("loss", state.loss.state_dict()),
        **_under("best", state.best),
        **_under("optimizer", _flat(state)),
    }
    meta = {name: getattr(state, name) for name in NUMBERS}
    tensors.write(path, kept, {"version": VERSION, "scaler": state.scaler.state_dict(), **meta})


def load(path: Path, state: TrainingState) -> None:
    """Bring a fresh state of the same run to where the checkpoint stands."""
    found, meta = tensors.read(path)
    if meta.get("version") != VERSION:
        raise InputError(f"{path}: a checkpoint of version {meta.get('version')}, not {VERSION}")
    try:
        state.model.load_state_dict(_of("model", found))
        state.loss.load_state_dict(_of("loss", found))
        device = next(state.model.parameters()).device
        state.best = {name: t.to(device) for name, t in _of("best", found).items()}
        _restore(state, _of("optimizer", found))
        state.scaler.load_state_dict(meta["scaler"])
        for name in NUMBERS:
            setattr(state, name, meta[name])
    except (RuntimeError, KeyError, IndexError, ValueError) as error:
        first = str(error).split("\n", 1)[0]
        raise InputError(f"{path}: is no checkpoint of this run ({first})") from error


def _flat(state: TrainingState) -> dict[str, Tensor]:
    """The optimizer's tensors, as "number of the parameter.name"."""
    found = state.optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, own in found.items()
        for name, value in own.items()
        if isinstance(value, Tensor)
    }


def _restore(state: TrainingState, flat: dict[str, Tensor]) -> None:
    document = state.optimizer.state_dict()
    own: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        index, name = key.split(".", 1)
        own.setdefault(int(index), {})[name] = value
    state.optimizer.load_state_dict({**document, "state": own})


def _under(prefix: str, found: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in found.items()}


def _of(prefix: str, found: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {k.removeprefix(start): t for k, t in found.items() if k.startswith(start)}
