"""Names as a picture can hold them: no SVG has control characters, and matplotlib no letter for
half of a surrogate pair. The data of a diagram keep their names as they are."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from calibtool.formatting import printable

T = TypeVar("T")


def printed(value: T) -> T:
    r"""Return the data of a diagram, or what is written about it, with texts that are printable,
    line by line.

    >>> printed({"names": ("a\x1bb", "c\nd"), "level": 0.9})
    {'names': ('a\\x1bb', 'c\nd'), 'level': 0.9}
    """
    found: Any = value
    if isinstance(value, str):
        found = "\n".join(map(printable, value.split("\n")))
    elif isinstance(value, dict):
        found = {printed(key): printed(one) for key, one in value.items()}
    elif isinstance(value, list | tuple):
        items = map(printed, value)
        found = value._make(items) if hasattr(value, "_make") else type(value)(items)
    elif is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if field.init]
        found = replace(value, **{name: printed(getattr(value, name)) for name in names})
    return found
