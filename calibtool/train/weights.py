"""Loading weights into a network, and freezing them, by patterns of their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from torch import Tensor, nn

from calibtool.errors import InputError, UsageError
from calibtool.train.folder import PREFIX
from calibtool.train.tensors import read_weights


def load(
    network: nn.Module, path: str, fresh: Sequence[str]
) -> tuple[Tensor | None, Tensor | None]:
    """Load a checkpoint into a network: all weights, except those that match a pattern of `fresh`.

    Return the mean and deviation of the inputs that the model of another run holds, or None twice.
    Raises InputError that names weights that are missing, unknown or of another shape.
    """
    loaded, initial = read_weights(Path(path)), network.state_dict()
    mean, deviation = (loaded.pop(f"{PREFIX}{name}", None) for name in ("mean", "deviation"))
    if fresh:
        require_match({**initial, **loaded}, fresh, "--fresh")
    loaded = {name: t for name, t in loaded.items() if not matches(name, fresh)}
    expected = {name for name in initial if not matches(name, fresh)}
    problems = [
        f"{name} has shape {_shape(t)} in the file, {_shape(initial[name])} in the model"
        for name, t in loaded.items()
        if name in initial and t.shape != initial[name].shape
    ]
    problems += _listed("missing", expected - loaded.keys())
    problems += _listed("not in the model", loaded.keys() - initial.keys())
    if problems:
        raise InputError(
            f"{path}: does not fit the model: {'; '.join(problems[:4])}. "
            "Add --fresh PATTERN to reinitialise weights, such as --fresh 'head.*'"
        )
    network.load_state_dict(loaded, strict=False)
    return mean, deviation


def freeze(network: nn.Module, patterns: Sequence[str]) -> None:
    """Freeze the weights that match a pattern such as "backbone.*".

    Raises UsageError if a pattern matches no weight, or if no weight is left to train.
    """
    parameters = dict(network.named_parameters())
    if patterns:
        require_match(parameters, patterns, "--freeze")
    frozen = [p for name, p in parameters.items() if matches(name, patterns)]
    for parameter in frozen:
        parameter.requires_grad_(False)
    if parameters and len(frozen) == len(parameters):
        raise UsageError("--freeze: no weight is left to train")


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a name matches a pattern, in which * matches any text."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def require_match(names: Mapping[str, Tensor], patterns: Sequence[str], option: str) -> None:
    """Check that each pattern matches a name; raise UsageError otherwise."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            listed = ", ".join(list(names)[:8])
            raise UsageError(
                f"{option} {pattern!r}: matches no weight; the weights are {listed}, ..."
            )


def _listed(what: str, names: Iterable[str]) -> list[str]:
    listed = sorted(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return [f"{what}: {', '.join(listed[:3])}{more}"] if listed else []


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "scalar"
