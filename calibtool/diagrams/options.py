"""Options of the kinds of diagrams, read off the signatures of their `compute`.

A parameter says in its type how it is typed on the command line, for example
`bins: Annotated[int, Option(within=(1, 1000))] = 15`. The choices come from the type, the default
from the signature. Parameters that several kinds share are named here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from calibtool.data.readable import Recalibrator
from calibtool.errors import UsageError

# how the text on the command line becomes an argument of `compute`
Typed: TypeAlias = Literal["value", "column", "calibrators", "names", "predictions", "sets"]


@dataclass(frozen=True)
class Option:
    """How a parameter of `compute` is typed on the command line.

    Attributes:
        help: what it does, for the help page.
        name: the option's name, without dashes; by default, that of the parameter.
        within: smallest and largest number that is accepted.
        flags: the help of each value that has a flag of its own, in place of one option.
        typed: "value"; "column", a column that is carried along; "calibrators", files of
            calibrators, any number of them; "names", a list with commas; "predictions", a file
            that is loaded; or "sets", files of prediction sets.
    """

    help: str | None = None
    name: str | None = None
    within: tuple[int, int] | None = None
    flags: dict[str, str] = field(default_factory=dict)
    typed: Typed = "value"


@dataclass(frozen=True)
class Parameter:
    """A parameter of `compute` that has an option.

    Attributes:
        name: of the parameter.
        type: bool, int or str; of what is typed.
        choices: the values that are accepted, if there is a list.
        default: None if there is none.
        required: whether it has to be given.
        option: how it is typed.
    """

    name: str
    type: type
    choices: tuple[str, ...]
    default: Any
    required: bool
    option: Option


Bins: TypeAlias = Annotated[int, Option(within=(1, 1000))]
Top: TypeAlias = Annotated[
    int, Option("Largest number of classes; of more, the worst.", within=(1, 60))
]
View: TypeAlias = Annotated[
    Literal["auto", "top", "positive"],
    Option("P(class 1), or confidence of the predicted class; auto: P(class 1) of two classes."),
]
Calibrators: TypeAlias = Annotated[
    Sequence[Recalibrator],
    Option(
        "Overlay FILE after this calibrator; can be repeated.",
        name="calibrator",
        typed="calibrators",
    ),
]


def parameters(compute: Callable[..., Any]) -> list[Parameter]:
    """Return the parameters of `compute` that have an option, in their order."""
    hints = get_type_hints(compute, include_extras=True)
    listed = []
    for name, parameter in inspect.signature(compute).parameters.items():
        hint = hints.get(name)
        marks = [mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Option)]
        if marks:
            listed.append(_parameter(parameter, get_args(hint)[0], marks[0]))
    return listed


def require_choices(compute: Callable[..., Any], **values: str | None) -> None:
    """Check that `values` are among those that the signature of `compute` lists.

    Raises UsageError for the first that is not.
    """
    for parameter in parameters(compute):
        value = values.get(parameter.name)
        if parameter.choices and value is not None and value not in parameter.choices:
            choices = ", ".join(parameter.choices)
            raise UsageError(f"{parameter.name} must be one of {choices} (got {value!r})")


def _parameter(parameter: inspect.Parameter, hint: Any, option: Option) -> Parameter:
    required = parameter.default is inspect.Parameter.empty
    types = [hint]
    if get_origin(hint) in (Union, UnionType):  # "X | None": what is typed is an X
        types = [member for member in get_args(hint) if member is not type(None)]
    literal = get_origin(types[0]) is Literal
    return Parameter(
        name=parameter.name,
        type=types[0] if types[0] in (bool, int) else str,
        choices=get_args(types[0]) if literal else (),
        default=None if required else parameter.default,
        required=required,
        option=option,
    )
