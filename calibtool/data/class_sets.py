"""A column of sets: per row some of the classes, by name or by number.

In memory the column holds a tuple per row. Parquet, Feather and Arrow hold it as a list, csv as a
JSON list, npz as a matrix: a row per row, a column per class, true for those in the set.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from calibtool.types import Array


def class_sets(inside: Array, names: Sequence[Any]) -> Array:
    """Return a column of sets, (N,) tuples.

    Args:
        inside: (N, K) bool, whether each class is in the set of each row.
        names: K names or numbers.

    >>> class_sets(np.array([[True, False], [True, True]]), ("cat", "dog")).tolist()
    [('cat',), ('cat', 'dog')]
    """
    column = np.empty(len(inside), dtype=object)
    for row, members in enumerate(inside):
        column[row] = tuple(names[k] for k in np.flatnonzero(members).tolist())
    return column


def is_sets(column: Array) -> bool:
    """Return whether a column is one of sets."""
    return column.dtype == object and len(column) > 0 and isinstance(column[0], tuple)


def as_json(column: Array) -> Array:
    """Return a column of sets as JSON lists, (N,) texts.

    >>> as_json(class_sets(np.eye(2, dtype=bool), ("cat", "a dog"))).tolist()
    ['["cat"]', '["a dog"]']
    """
    return np.array([json.dumps(names, ensure_ascii=False) for names in column], dtype=object)


def as_matrix(column: Array, names: Sequence[Any]) -> Array:
    """Return whether each class is in the set of each row, (N, K) bool; `names` are all K, in the
    order of the columns.

    >>> as_matrix(class_sets(np.eye(2, dtype=bool), ("cat", "dog")), ("cat", "dog")).tolist()
    [[True, False], [False, True]]
    """
    place = {name: k for k, name in enumerate(names)}
    inside = np.zeros((len(column), len(names)), dtype=bool)
    for row, members in enumerate(column):
        inside[row, [place[name] for name in members]] = True
    return inside
