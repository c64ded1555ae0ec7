"""Specs of losses: "focal(gamma=3)" to an entry of the registry and its options; torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calibtool.errors import UsageError, near
from calibtool.train import grammar
from calibtool.train.data import factory_spec
from calibtool.train.losses.registry import LOSSES, Option, Value


@dataclass(frozen=True)
class LossSpec:
    """A loss and the values of all its options.

    Attributes:
        name: the canonical spec: the name of the loss, and the options that are not the defaults.
        loss: a key of LOSSES, or `module:function` or `file.py:function` for one of the user's own.
        options: value of every option by name; of the user's own, of those that were typed.
    """

    name: str
    loss: str
    options: dict[str, Any]

    @property
    def is_own(self) -> bool:
        """Whether the loss is the user's own."""
        return self.loss not in LOSSES


def parse_loss(text: str) -> LossSpec:
    """Return the loss that a spec names.

    Raises UsageError for an unknown name or option, and for a value of the wrong type or out of
    range.

    >>> parse_loss("Focal(gamma=2)").name
    'focal(gamma=2)'
    >>> parse_loss("flsd-53(gammas=(5, 3))").options
    {'thresholds': (0.2,), 'gammas': (5.0, 3.0)}
    """
    written, typed = grammar.parse(text)
    if factory_spec.is_factory(written):
        shown = [f"{key}={value!r}" for key, value in typed.items()]
        return LossSpec(f"{written}({', '.join(shown)})" if shown else written, written, typed)
    name = written.lower().replace("_", "-")
    if name not in LOSSES:
        raise UsageError(f"there is no loss {written!r}{near(name, LOSSES)}")
    known = LOSSES[name].options
    for key in typed:
        if key not in known:
            advice = near(key, known) if known else "; it takes none"
            raise UsageError(f"{text!r}: there is no option {key!r}{advice}")
    options = {
        key: _value(f"{text!r}: {key}", typed[key], option) if key in typed else option.default
        for key, option in known.items()
    }
    shown = [f"{k}={format_value(v, ',')}" for k, v in options.items() if v != known[k].default]
    return LossSpec(f"{name}({','.join(shown)})" if shown else name, name, options)


def _value(where: str, value: Any, option: Option) -> Value:
    if isinstance(option.default, tuple):
        numbers = value if isinstance(value, (tuple, list)) else (value,)
        if not numbers:
            raise UsageError(f"{where} must be one number or more, as in ({option.least:g},)")
        return tuple(float(_number(where, number, option)) for number in numbers)
    if isinstance(option.default, bool):
        if not isinstance(value, bool):
            raise UsageError(f"{where} must be True or False, not {value!r}")
        return value
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


def format_value(value: Value, separator: str = ", ") -> str:
    """Return the value of an option in the form in which it can be typed.

    >>> format_value((5.0, 3.0)), format_value((0.2,)), format_value(3.0)
    ('(5, 3)', '0.2', '3')
    """
    if isinstance(value, tuple):
        numbers = separator.join(f"{number:g}" for number in value)
        return f"({numbers})" if len(value) > 1 else numbers
    return str(value) if isinstance(value, bool) else f"{value:g}"
