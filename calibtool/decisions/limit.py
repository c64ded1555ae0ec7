"""Limits as users write them, of requirements and of targets: "<= 0.05", "<= 5 %"."""

from __future__ import annotations

import math
import operator

from calibtool.errors import UsageError

RELATIONS = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt}
# a subject, a relation, a number and perhaps "%", as parts of a regular expression
PATTERN = r"\s*(.+?)\s*(<=|>=|<|>)\s*([^<>=\s]+?)\s*(%?)\s*"


def limit_of(number: str, percent: str, written: str) -> float:
    """Return the number of a limit.

    Args:
        number: its digits.
        percent: "%" or "".
        written: what the limit is part of, for messages: "requirement 'ece <= 0.03'".

    Raises UsageError for anything but a finite number.

    >>> limit_of("5", "%", "target 'risk <= 5 %'")
    0.05
    """
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        raise UsageError(f"{written}: {number!r} is not a number") from None
    if not math.isfinite(value):
        raise UsageError(f"{written}: the threshold must be finite")
    return value
