"""The grammar of names with options, such as "mlp(hidden=256, layers=2)"; torch-free."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from typing import Any

from calibtool.errors import UsageError

_SPEC = re.compile(r"\s*([^\s()]+)\s*(?:\((.*)\))?\s*", re.DOTALL)


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and its options, whose values are Python literals, or words for texts.

    Raises UsageError for text of another form.

    >>> parse("mlp(hidden=64, dropout=0.5)"), parse("torchvision:resnet18(weights=DEFAULT)")[1]
    (('mlp', {'hidden': 64, 'dropout': 0.5}), {'weights': 'DEFAULT'})
    """
    match = _SPEC.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r}: write NAME or NAME(option=value, ...)")
    try:
        call = ast.parse(f"f({match[2] or ''})", mode="eval").body
        assert isinstance(call, ast.Call)
        if call.args or any(keyword.arg is None for keyword in call.keywords):
            raise UsageError(f"{text!r}: give options by name, as in {match[1]}(option=value)")
        options = {
            str(k.arg): k.value.id if isinstance(k.value, ast.Name) else ast.literal_eval(k.value)
            for k in call.keywords
        }
    except (SyntaxError, ValueError, AssertionError) as error:
        raise UsageError(
            f"{text!r}: write {match[1]}(option=value, ...), with numbers or quoted text as values"
        ) from error
    return match[1], options


def split_list(text: str) -> list[str]:
    """Split a comma-separated list, except at commas inside parentheses.

    >>> split_list("brier, flsd-53(gammas=(5,2))")
    ['brier', 'flsd-53(gammas=(5,2))']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def call(
    function: Callable[..., Any], options: dict[str, Any], offered: dict[str, Any], what: str
) -> Any:
    """Call a function with the user's options, and the values of `offered` that it has names for.

    Raises UsageError, which begins with `what`, for an option that the function does not take.
    """
    parameters = inspect.signature(function).parameters
    accepted = {key: value for key, value in offered.items() if key in parameters}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key in options:
        if key not in parameters and not takes_any:
            known = [name for name in parameters if name not in offered]
            raise UsageError(
                f"{what}: there is no option {key!r}; the options are {', '.join(known)}"
            )
    return function(**{**accepted, **options})
