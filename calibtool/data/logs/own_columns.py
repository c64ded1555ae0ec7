"""Columns of a log that the user named by their dotted paths."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Any

from calibtool.data.files.roles import SCORES, Choice
from calibtool.errors import InputError

_BESIDE = ("labels", "correct", "predictions", "weights")


def own_columns(choice: Choice, prefix: str) -> dict[str, str]:
    """Return the paths that the user named, by role, but those of columns that the reader makes,
    which begin with `prefix`.

    Labels are among them if predictions are named too: else the reader finds them itself.
    """
    roles = [role for role in (*SCORES, *_BESIDE) if getattr(choice, role)]
    if not any(role in SCORES for role in roles) or choice.labels_file:
        roles = [role for role in roles if role != "labels"]
    named = {role: str(getattr(choice, role)) for role in roles}
    return {role: path for role, path in named.items() if not path.startswith(prefix)}


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
