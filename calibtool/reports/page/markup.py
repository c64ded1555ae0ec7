"""HTML by functions: text is escaped, unless it is markup that was made here."""

from __future__ import annotations

from html import escape
from typing import Any

VOID = {"meta", "link", "br"}


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, /, *children: object, **attributes: Any) -> Markup:
    """An element. `None` among the children stands for nothing; attributes that are None or False
    are left out, `class_` is class, `data_v` is data-v.

    >>> element("td", "a < b", element("b", 2), class_="x", hidden=True, id=None)
    '<td class="x" hidden>a &lt; b<b>2</b></td>'
    """
    head = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    if name in VOID:
        return Markup(head)
    return Markup(f"{head}{together(*children)}</{name}>")


def together(*children: object) -> Markup:
    """Elements and texts one after the other."""
    return Markup("".join(_text(child) for child in children if child is not None))


def _text(child: object) -> str:
    if isinstance(child, Markup):
        return child
    if isinstance(child, list | tuple):
        return together(*child)
    return escape(str(child), quote=False)


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    if isinstance(value, float):
        value = f"{value:g}"
    return f' {name}="{escape(str(value))}"'
