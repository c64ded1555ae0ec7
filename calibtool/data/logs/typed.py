"""Paths that the user typed: columns of a log that exist because an option names them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Any

from calibtool.data.files.roles import SCORES, Choice
from calibtool.data.logs import records
from calibtool.errors import InputError

OTHERS = ("labels", "correct", "predictions", "weights", "id")


def typed_roles(choice: Choice) -> dict[str, str]:
    """Return the paths that options of reading name, as typed, by role: the one answer to what the
    user named.

    >>> typed_roles(Choice(probs="out.a,out.b", labels="gold"))
    {'probs': 'out.a,out.b', 'labels': 'gold'}
    """
    return {role: path for role in (*SCORES, *OTHERS) if (path := getattr(choice, role))}


def typed_paths(choice: Choice) -> tuple[str, ...]:
    """Return the paths that options of reading name, as typed, and each of a list "a,b,c".

    >>> typed_paths(Choice(probs="out.a,out.b", labels="gold"))
    ('out.a,out.b', 'out.a', 'out.b', 'gold')
    """
    found: dict[str, None] = {}
    for path in typed_roles(choice).values():
        found[path] = None
        found.update(dict.fromkeys(part.strip() for part in path.split(",")))
    return tuple(found)


def own_columns(choice: Choice, prefix: str) -> dict[str, str]:
    """Return the paths that the user named, by role, but those of columns that the reader makes,
    which begin with `prefix`, and the id, which is looked for in the columns that there are.

    Labels are among them if a score is named too: else the reader finds them itself.
    """
    named = typed_roles(choice)
    named.pop("id", None)
    if choice.labels_file or not any(role in SCORES for role in named):
        named.pop("labels", None)
    return {role: path for role, path in named.items() if not path.startswith(prefix)}


def names_score(choice: Choice) -> bool:
    """Return whether the user named what to measure, so that a log's own scores are not meant."""
    return any(role in SCORES for role in typed_roles(choice))


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


def require_found(
    shown: str, columns: Mapping[str, Sequence[Any]], named: Mapping[str, str]
) -> None:
    """Check that each path that was named leads to a value in some row. Raises InputError."""
    for role, path in named.items():
        if all(is_missing(value) for value in columns[path]):
            raise InputError(f"{shown}: no record has a value at {path!r} (--{role})")


def complete(
    columns: Mapping[str, Sequence[Any]], names: Iterable[str], left_out: Counter[str]
) -> dict[str, list[Any]]:
    """Return the rows that have a value in each of these columns; count the others, by the first
    column that they lack."""
    keep = [True] * len(next(iter(columns.values()), ()))
    for name in names:
        missing = [ok and is_missing(value) for ok, value in zip(keep, columns[name], strict=True)]
        if any(missing):
            left_out[f"rows without {name}"] += sum(missing)
            keep = [ok and not gone for ok, gone in zip(keep, missing, strict=True)]
    return {name: list(compress(values, keep)) for name, values in columns.items()}


def is_missing(value: Any) -> bool:
    """Return whether a value of a record stands for none: null, NaN or an empty text."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))
