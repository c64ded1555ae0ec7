"""The data of diagrams: one kind a file, one line in the table. `ink` draws them.

A kind is a module with a function `compute`, which answers with a frozen record. `parts` of a
record is everything that is drawn of it, as tables: what `--data` writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Kind:
    """A kind of diagram.

    Attributes:
        summary: what it shows, in a line.
        text: how to read it, for the help page.
        files: the least and the most files that one diagram shows; None for as many as you like.
        source: who drew it first, or how it is made.
        columns: options that name a column to carry along.
    """

    summary: str
    text: str
    files: tuple[int, int | None]
    source: str
    columns: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "reliability": Kind(
        "Accuracy against confidence, with intervals and a histogram.",
        "Points below the diagonal are overconfident. Several files, or one file and what "
        "calibrators make of it, are overlaid.",
        (1, None),
        "Murphy & Winkler 1977; Blasiok & Nakkiran 2024; Dimitriadis et al. 2021",
        columns=("by",),
    ),
}


def module_of(kind: str) -> Any:
    """The module of a kind's data."""
    return import_module(f"calibtool.diagrams.{kind.replace('-', '_')}")
