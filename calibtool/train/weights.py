"""Weights into a network, and which of them are trained: by patterns of their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from torch import Tensor, nn

from calibtool.errors import InputError, UsageError
from calibtool.train.tensors import read_weights


def load(network: nn.Module, path: str, fresh: Sequence[str]) -> None:
    """A checkpoint into a network, whole, but for what matches a pattern of `fresh`.

    Raises InputError that names what is missing, left over or of another shape.
    """
    found, own = read_weights(Path(path)), network.state_dict()
    if fresh:
        require_match({**own, **found}, fresh, "--fresh")
    found = {name: t for name, t in found.items() if not matches(name, fresh)}
    wanted = {name for name in own if not matches(name, fresh)}
    problems = [
        f"{name} has shape {_shape(t)} in the file, {_shape(own[name])} in the model"
        for name, t in found.items()
        if name in own and t.shape != own[name].shape
    ]
    problems += _listed("missing", wanted - found.keys())
    problems += _listed("not in the model", found.keys() - own.keys())
    if problems:
        raise InputError(
            f"{path}: does not fit the model: {'; '.join(problems[:4])}. "
            "--fresh PATTERN starts weights anew, such as --fresh 'head.*'"
        )
    network.load_state_dict(found, strict=False)


def freeze(network: nn.Module, patterns: Sequence[str]) -> int:
    """Stop training what matches a pattern such as "backbone.*"; how many numbers that is."""
    named = dict(network.named_parameters())
    if patterns:
        require_match(named, patterns, "--freeze")
    frozen = [p for name, p in named.items() if matches(name, patterns)]
    for parameter in frozen:
        parameter.requires_grad_(False)
    if named and len(frozen) == len(named):
        raise UsageError("--freeze: nothing is left to train")
    return sum(p.numel() for p in frozen)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name matches a pattern, in which * stands for anything."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def require_match(names: Mapping[str, Tensor], patterns: Sequence[str], option: str) -> None:
    """Whether each pattern matches something."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            there = ", ".join(list(names)[:8])
            raise UsageError(f"{option} {pattern!r}: matches no weight; there are {there}, ...")


def _listed(what: str, names: Iterable[str]) -> list[str]:
    listed = sorted(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return [f"{what}: {', '.join(listed[:3])}{more}"] if listed else []


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "scalar"
