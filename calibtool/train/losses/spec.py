"""Spec strings of losses: "focal(gamma=3)" to a line of the table and its options; torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calibtool.errors import UsageError, near
from calibtool.train import grammar
from calibtool.train.losses.registry import LOSSES, Option, Value


@dataclass(frozen=True)
class LossSpec:
    """A loss with its options settled.

    Attributes:
        name: the canonical spec: the loss's name, and the options that differ from its defaults.
        loss: a key of LOSSES.
        options: every option's value.
    """

    name: str
    loss: str
    options: dict[str, Value]


def parse_loss(text: str) -> LossSpec:
    """One spec.

    Raises UsageError for a name or an option that is not in the table, and for a value that is
    none of the option's.

    >>> parse_loss("Focal(gamma=2)").name
    'focal(gamma=2)'
    >>> parse_loss("flsd-53(gammas=(5, 3))").options
    {'thresholds': (0.2,), 'gammas': (5.0, 3.0)}
    """
    written, given = grammar.parse(text)
    name = written.lower().replace("_", "-")
    if name not in LOSSES:
        raise UsageError(f"there is no loss {written!r}{near(name, LOSSES)}")
    known = LOSSES[name].options
    for key in given:
        if key not in known:
            advice = near(key, known) if known else "; it takes none"
            raise UsageError(f"{text!r}: there is no option {key!r}{advice}")
    options = {
        key: _settled(f"{text!r}: {key}", given[key], option) if key in given else option.default
        for key, option in known.items()
    }
    shown = [f"{k}={_shown(v)}" for k, v in options.items() if v != known[k].default]
    return LossSpec(f"{name}({','.join(shown)})" if shown else name, name, options)


def _settled(where: str, value: Any, option: Option) -> Value:
    if isinstance(option.default, tuple):
        many = value if isinstance(value, (tuple, list)) else (value,)
        if not many:
            raise UsageError(f"{where} must be one number or more, as in ({option.least:g},)")
        return tuple(float(_number(where, one, option)) for one in many)
    return _number(where, value, option)


def _number(where: str, value: Any, option: Option) -> float:
    whole = isinstance(option.default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"{where} must be {kind}, not {value!r}")
    if not option.least <= value <= option.most:
        raise UsageError(
            f"{where} must lie between {option.least:g} and {option.most:,g}, not {value!r}"
        )
    return value if whole else float(value)


def _shown(value: Value) -> str:
    if isinstance(value, tuple):
        inside = ",".join(f"{one:g}" for one in value)
        return f"({inside})" if len(value) > 1 else inside
    return f"{value:g}"
