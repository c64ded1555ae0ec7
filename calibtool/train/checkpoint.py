"""checkpoint.safetensors: the state of a run, in one file that is replaced atomically.

A resumed run ends with the same bits as one that was never interrupted: everything that the next
step depends on is in this file, or follows from the seed, the epoch and the step. The file needs
neither generator states nor the order of the rows.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer

from calibtool.data.files.document import Document, Entry
from calibtool.train import tensors
from calibtool.train.loop import TrainingState

VERSION = 1  # of the file; other versions are refused, since half a state resumes to other bits
NUMBERS = ("epoch", "step", "loss_sum", "loss_rows", "best_nll", "history")
# what a step needs of each parameter's state, which torch looks for when it takes the step
STATES: dict[type[Optimizer], set[str]] = {
    AdamW: {"step", "exp_avg", "exp_avg_sq"},
    SGD: {"momentum_buffer"},
}


def save(path: Path, state: TrainingState) -> None:
    """Write everything that the next step depends on."""
    parts = {
        "model": state.model.state_dict(),
        "loss": state.loss.state_dict(),
        "best": state.best,
        "optimizer": _flat(state),
    }
    weights = {f"{part}/{name}": t for part, held in parts.items() for name, t in held.items()}
    meta = {name: getattr(state, name) for name in NUMBERS}
    tensors.write(path, weights, {"version": VERSION, "scaler": state.scaler.state_dict(), **meta})


def load(path: Path, state: TrainingState) -> None:
    """Restore a checkpoint into a new state of the same run, in place.

    Raises InputError for a damaged file, another version, and the checkpoint of another run.
    """
    weights, meta = tensors.read(path)
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "loss": {}, "best": {}, "optimizer": {}}
    for key, tensor in weights.items():
        part, _, name = key.partition("/")
        parts.setdefault(part, {})[name] = tensor
    document = Document(str(path), "a checkpoint of this run")
    numbers = Entry(meta, document)
    if meta.get("version") != VERSION:
        numbers["version"].fail(f"{VERSION}, the only one that can be read")
    _restore_numbers(state, numbers)
    device = next(state.model.parameters()).device
    state.best = {name: t.to(device) for name, t in parts["best"].items()}
    if state.best and _shapes(state.best) != _shapes(state.model.state_dict()):
        document.refuse("best/ holds weights of another model")
    try:
        state.model.load_state_dict(parts["model"])
        state.loss.load_state_dict(parts["loss"])
    except RuntimeError as error:
        document.refuse(" ".join(str(error).split()))
    _restore(state.optimizer, parts["optimizer"], document)


def _restore_numbers(state: TrainingState, numbers: Entry) -> None:
    """Restore everything that is no tensor."""
    for factor in numbers["scaler"].entries().values():
        factor.number()
    state.scaler.load_state_dict(numbers["scaler"].value)
    state.epoch, state.step = numbers["epoch"].whole(), numbers["step"].whole()
    state.loss_sum = numbers["loss_sum"].number()
    state.loss_rows = numbers["loss_rows"].whole(1 if state.step else 0)
    best = numbers["best_nll"]  # infinite before the first epoch ends, and without patience
    state.best_nll = math.inf if best.value == math.inf else best.number()
    for row in numbers["history"].items(state.epoch):
        row["val_nll"].number()
    state.history = numbers["history"].value


def _flat(state: TrainingState) -> dict[str, Tensor]:
    """Return the tensors of the optimizer by "index of the parameter.name"."""
    by_parameter = state.optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, values in by_parameter.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def _restore(optimizer: Optimizer, flat: dict[str, Tensor], document: Document) -> None:
    """Restore the state of each parameter, which is held to the parameter's shape."""
    # the groups, with their rates, are those of the new optimizer: the next step sets the rate
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    by_parameter: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        index, _, name = key.partition(".")
        if index not in map(str, range(len(parameters))):
            document.refuse(f"optimizer/{key} is of no parameter of the model")
        if value.ndim and value.shape != parameters[int(index)].shape:
            document.refuse(f"optimizer/{key} has another shape than its parameter")
        by_parameter.setdefault(int(index), {})[name] = value
    for number, held in by_parameter.items():
        if missing := STATES[type(optimizer)] - held.keys():
            document.refuse(f"optimizer/{number}.{min(missing)} is missing")
    optimizer.load_state_dict({**optimizer.state_dict(), "state": by_parameter})


def _shapes(weights: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}
