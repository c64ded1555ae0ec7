"""HTML by functions: text is printable and escaped, unless it is Markup, which only this module
makes."""

from __future__ import annotations

from html import escape
from typing import Any

from calibtool.formatting import printable

VOID = {"meta", "link", "br"}  # elements without an end tag


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, /, *children: object, **attributes: Any) -> Markup:
    """Return an element. Children that are None are left out, like attributes that are None or
    False; `class_` is written class, `data_v` data-v.

    >>> element("td", "a < b", element("b", 2), class_="x", hidden=True, id=None)
    '<td class="x" hidden>a &lt; b<b>2</b></td>'
    """
    head = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    if name in VOID:
        return Markup(head)
    return Markup(f"{head}{together(*children)}</{name}>")


def together(*children: object) -> Markup:
    """Return elements and texts one after the other."""
    return Markup("".join(_text(child) for child in children if child is not None))


def _text(child: object) -> str:
    if isinstance(child, Markup):
        return child
    if isinstance(child, list | tuple):
        return together(*child)
    return escape(printable(str(child)), quote=False)


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    if isinstance(value, float):
        value = f"{value:g}"
    text = value if isinstance(value, Markup) else printable(str(value))  # a document has lines
    return f' {name}="{escape(text)}"'
