"""Values as people write them: 85%, yes and no, and what stands for a missing value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from calibtool.data.validation import Origin
from calibtool.errors import brief
from calibtool.types import Array

_TRUE = ("1", "1.0", "true", "t", "yes", "y", "correct", "right", "c", "pass", "passed")
_FALSE = ("0", "0.0", "false", "f", "no", "n", "incorrect", "wrong", "i", "fail", "failed")
WORDS: Mapping[str, int] = dict.fromkeys(_TRUE, 1) | dict.fromkeys(_FALSE, 0)
_PERCENT = re.compile(r"\s*([-+]?[\d.]+(?:e[-+]?\d+)?)\s*%\s*", re.IGNORECASE)
ABSENT = ("", "nan")  # texts, in lower case and without spaces, that stand for no value
IGNORED = -100  # the label of rows that are not to be measured, as torch and Hugging Face write it


def share(texts: Array, key: str, place: Origin) -> Array | None:
    """Return percentages such as "85%" as shares, (n,); None if no text is one.

    Raises InputError for a column in which some are percentages and some are not.
    """
    found = [_PERCENT.fullmatch(text) for text in texts.ravel().tolist()]
    if not any(found):
        return None
    for at, (match, text) in enumerate(zip(found, texts.ravel().tolist(), strict=True)):
        if match is None and text.strip().lower() not in ABSENT:
            raise place.error(
                key,
                f"{brief(text)!r} in {place.row(at)} has no %, where others have; write one or "
                "the other",
            )
    values = [np.nan if match is None else float(match[1]) / 100 for match in found]
    return np.array(values, dtype=np.float64).reshape(texts.shape)


def numbers(texts: Array) -> Array | None:
    """Return texts that are all numbers, or absent, as float64; None if one is neither."""
    try:
        return np.array(
            [np.nan if absent(text) else float(text) for text in texts.ravel().tolist()]
        ).reshape(texts.shape)
    except ValueError:
        return None


def outcomes(texts: Array) -> Array | None:
    """Return words such as yes and no, in any case, as 1 and 0; None if one is another word.

    >>> outcomes(np.array(["Yes", "NO", "incorrect"])).tolist()
    [1, 0, 0]
    """
    found = [WORDS.get(text.strip().lower()) for text in texts.tolist()]
    return None if None in found else np.array(found, dtype=np.int64)


def absent(value: Any) -> bool:
    """Return whether a text stands for no value."""
    return str(value).strip().lower() in ABSENT


def missing(values: Array) -> Array:
    """Return which rows lack a value, (n,) bool."""
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(flat).any(axis=1))
    if values.dtype.kind in "UO":
        return np.array([any(absent(v) for v in row) for row in flat.tolist()], dtype=bool)
    return np.zeros(len(values), dtype=bool)


def as_names(levels: Array) -> Array:
    """Return the numbers of levels as names.

    >>> as_names(np.array([3.0, 1.0])).tolist()
    ['3', '1']
    """
    return np.array([f"{level:g}" for level in levels.tolist()])
