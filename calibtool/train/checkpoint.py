"""checkpoint.safetensors: the state of a run, in one file that is replaced atomically.

A resumed run ends with the same bits as one that was never interrupted: everything that the next
step depends on is in this file, or follows from the seed, the epoch and the step. The file needs
neither generator states nor the order of the rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from calibtool.data.files.document import shown
from calibtool.errors import InputError
from calibtool.train import tensors
from calibtool.train.loop import TrainingState

VERSION = 1  # of the file; other versions are refused, since half a state resumes to other bits
# attribute of the state -> type; a float may have been written as a whole number
NUMBERS: dict[str, type] = {"epoch": int, "step": int, "history": list}
NUMBERS |= dict.fromkeys(("loss_sum", "loss_rows", "best_nll"), float)


def save(path: Path, state: TrainingState) -> None:
    """Write everything that the next step depends on."""
    weights = {
        **_under("model", state.model.state_dict()),
        **_under("loss", state.loss.state_dict()),
        **_under("best", state.best),
        **_under("optimizer", _flat(state)),
    }
    meta = {name: getattr(state, name) for name in NUMBERS}
    tensors.write(path, weights, {"version": VERSION, "scaler": state.scaler.state_dict(), **meta})


def load(path: Path, state: TrainingState) -> None:
    """Restore a checkpoint into a new state of the same run, in place.

    Raises InputError for a damaged file, another version, and the checkpoint of another run.
    """
    weights, meta = tensors.read(path)
    if meta.get("version") != VERSION:
        raise InputError(
            f"{path}: checkpoint of version {meta.get('version')}; only {VERSION} can be read"
        )
    try:
        state.model.load_state_dict(_of("model", weights))
        state.loss.load_state_dict(_of("loss", weights))
        device = next(state.model.parameters()).device
        state.best = {name: t.to(device) for name, t in _of("best", weights).items()}
        _restore(state, _of("optimizer", weights))
        state.scaler.load_state_dict(meta["scaler"])
        for name, kind in NUMBERS.items():
            setattr(state, name, _typed(name, meta[name], kind))
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
        first = str(error).split("\n", 1)[0]
        raise InputError(f"{path}: is not a checkpoint of this run ({first})") from error


def _typed(name: str, value: Any, kind: type) -> Any:
    if not isinstance(value, (int, float) if kind is float else kind):
        raise TypeError(f"{name} is {shown(value)}")
    return value


def _flat(state: TrainingState) -> dict[str, Tensor]:
    """Return the tensors of the optimizer by "index of the parameter.name"."""
    by_parameter = state.optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, values in by_parameter.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def _restore(state: TrainingState, flat: dict[str, Tensor]) -> None:
    # the groups, with their rates, are those of the new optimizer: the next step sets the rate
    document = state.optimizer.state_dict()
    by_parameter: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        index, name = key.split(".", 1)
        by_parameter.setdefault(int(index), {})[name] = value
    state.optimizer.load_state_dict({**document, "state": by_parameter})


def _under(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in weights.items()}


def _of(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {k.removeprefix(start): t for k, t in weights.items() if k.startswith(start)}
