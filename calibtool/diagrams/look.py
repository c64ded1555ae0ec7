"""The look of a picture: what its user may choose, whatever it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

from calibtool.diagrams.style import Labels, Style, style_of
from calibtool.errors import UsageError

CHOICES = ("all", "none")  # of what there is to say in numbers


class Words(TypedDict, total=False):
    """What is written in a picture.

    `caption` is the small print, "none" for none; by default it explains the marks. `stats` is
    "all", or "none" for a picture without the numbers above and in it. `names` are those of the
    key, in its order; `rename` has new names of axes, panels and series by the old ones, such as
    {"Confidence": "Konfidenz"}.
    """

    style: str
    caption: str | None
    stats: str
    names: Sequence[str]
    rename: Mapping[str, str]


class Look(Words, total=False):
    """How a picture looks.

    `width` and `height` are such as "3.25in", "82mm" or a number of inches: by default the width of
    the style, and the height of what there is. `title` is by default none on paper, and otherwise
    the names of the files. `transparent` leaves the background out.
    """

    width: str | float | None
    height: str | float | None
    title: str | None
    transparent: bool


def style_with(words: Words) -> Style:
    """Return the style that is meant, with what is written in it. Raises UsageError."""
    stats = words.get("stats") or "all"
    if stats not in CHOICES:
        raise UsageError(f"--stats must be one of {', '.join(CHOICES)} (got {stats!r})")
    caption = words.get("caption")
    if caption == "none" or (caption and not caption.strip()):  # spaces alone have no height
        caption = ""
    names, rename = words.get("names") or (), words.get("rename") or {}
    if isinstance(names, str):
        raise UsageError(f"names: give a list, such as [{names!r}]")
    return replace(
        style_of(words.get("style") or "paper"),
        caption=caption,
        stats=stats == "all",
        labels=Labels(tuple(names), dict(rename)) if names or rename else None,
    )


def pairs_of(texts: Sequence[str]) -> dict[str, str]:
    """Return new names by the old ones, from text such as "Confidence=Konfidenz".

    Raises UsageError for text without a sign of equality.
    """
    pairs = [text.partition("=") for text in texts]
    for text, (old, equal, new) in zip(texts, pairs, strict=True):
        if not (equal and old.strip() and new.strip()):
            raise UsageError(f"--rename {text!r}: give OLD=NEW, such as Confidence=Konfidenz")
    return {old.strip(): new.strip() for old, _, new in pairs}
