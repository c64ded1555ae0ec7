"""Paths that the user typed: columns of a log that exist because an option names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calibtool.data.files.roles import SCORES, Choice
from calibtool.data.logs import records

OTHERS = ("labels", "correct", "predictions", "weights", "id")


def typed_paths(choice: Choice) -> tuple[str, ...]:
    """Return the paths that options of reading name, as typed, and each of a list "a,b,c".

    >>> typed_paths(Choice(probs="out.a,out.b", labels="gold"))
    ('out.a,out.b', 'out.a', 'out.b', 'gold')
    """
    found: dict[str, None] = {}
    for option in (*SCORES, *OTHERS):
        path = getattr(choice, option)
        if path:
            found[path] = None
            found.update(dict.fromkeys(part.strip() for part in path.split(",")))
    return tuple(found)


def names_score(choice: Choice) -> bool:
    """Return whether the user named what to measure, so that a log's own scores are not meant."""
    return any(getattr(choice, option) is not None for option in SCORES)


def names_outcome(choice: Choice) -> bool:
    """Return whether the user said where labels or outcomes are, so that a log's own may lack."""
    return any((choice.labels, choice.labels_file, choice.correct))


def typed_values(record: Any, paths: Sequence[str]) -> dict[str, Any]:
    """Return what the paths lead to in a record, but objects and nothing, by path as typed."""
    found = {path: records.at(record, path) for path in paths}
    return {
        path: value
        for path, value in found.items()
        if value is not None and not isinstance(value, Mapping)
    }


def scalars(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a record's texts, numbers and truth values by dotted path; lists are left out.

    >>> scalars({"subject": "law", "choices": ["a", "b"], "by": {"id": 3}}, "doc.")
    {'doc.subject': 'law', 'doc.by.id': 3}
    """
    return {
        path: value
        for path, value in records.flat(record, prefix)
        if isinstance(value, str | int | float)  # a bool is an int
    }
