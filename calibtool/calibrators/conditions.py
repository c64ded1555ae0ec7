"""Conditions: which rows a slice holds, told by the values of its columns.

`calibtool.data.slicing` divides the rows that a calibrator is fitted to. A condition says the same
of rows that come later: a value, or numbers between two ends. A value that the fit has not seen
meets no condition, and neither does a missing number, unless missing numbers were a slice. A slice
of joined rare values has no condition: it says nothing of a row that comes later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from calibtool.data.cuts import MOST_NUMBERS
from calibtool.data.files.document import Entry
from calibtool.data.predictions import Predictions
from calibtool.data.slicing import Partition
from calibtool.data.validation import texts
from calibtool.errors import InputError
from calibtool.types import Array

NUMBERS = "biuf"  # kinds of dtypes that hold numbers; true and false are 1 and 0


@dataclass(frozen=True)
class Condition:
    """A condition on one column.

    Attributes:
        column: its name.
        value: the text or the number that it must be; None for one of the other two.
        above, upto: the number must be above one and at most the other; infinite for an open end.
        missing: the number must be missing, or not finite.
    """

    column: str
    value: str | float | None = None
    above: float = -math.inf
    upto: float = math.inf
    missing: bool = False

    def holds(self, predictions: Predictions) -> Array:
        """Return whether each row meets the condition, (N,).

        Raises InputError for a column that is not there, or holds texts in place of numbers or the
        other way round.
        """
        values = column_of(predictions, self.column)
        numeric = values.dtype.kind in NUMBERS
        if numeric == isinstance(self.value, str):
            holds, fitted = ("numbers", "texts") if numeric else ("texts", "numbers")
            raise InputError(
                f"{predictions.source}: {self.column}: holds {holds}, the calibrator was fitted to "
                f"{fitted} in this column; convert them"
            )
        if isinstance(self.value, str):
            found = texts(values, f"{predictions.source}: {self.column}") == self.value
        elif self.missing:
            found = ~np.isfinite(values)
        elif self.value is not None:
            found = values == self.value
        else:
            found = np.isfinite(values) & (values > self.above) & (values <= self.upto)
        return np.asarray(found, bool)

    def describe(self) -> str:
        """Return the condition in words.

        >>> Condition("age", above=20.0, upto=30.0).describe()
        'age above 20 up to 30'
        """
        if self.missing:
            return f"{self.column} missing"
        if self.value is not None:
            value = self.value if isinstance(self.value, str) else f"{self.value:g}"
            return f"{self.column} {value or '(empty)'}"
        low = f" above {self.above:.4g}" if self.above > -math.inf else ""
        high = f" up to {self.upto:.4g}" if self.upto < math.inf else ""
        return f"{self.column}{low}{high}"

    def parameters(self) -> dict[str, Any]:
        """Return the condition as the calibrator file keeps it."""
        if self.missing:
            return {"column": self.column, "missing": True}
        if self.value is not None:
            return {"column": self.column, "value": self.value}
        ends = {"above": self.above, "upto": self.upto}
        return {"column": self.column, **{k: v for k, v in ends.items() if math.isfinite(v)}}

    @classmethod
    def from_parameters(cls, parameters: Entry) -> Self:
        """Return the condition of an entry; raise InputError if it is none."""
        column = parameters["column"].text()
        missing, value = parameters.get("missing"), parameters.get("value")
        if missing is not None and missing.flag():
            return cls(column, missing=True)
        if value is not None:
            return cls(column, value.text() if isinstance(value.value, str) else _number(value))
        above, upto = parameters.get("above"), parameters.get("upto")
        if above is None and upto is None:
            parameters.refuse("says neither value, above, upto nor missing")
        return cls(
            column,
            above=-math.inf if above is None else _number(above),
            upto=math.inf if upto is None else _number(upto),
        )


def column_of(predictions: Predictions, name: str) -> Array:
    """Return a column of values, (N,). Raises InputError if it is not there, or not one per row."""
    if name not in predictions.extra:
        raise InputError(
            f"{predictions.source}: there is no column {name!r}, by whose slices the calibrator "
            "was fitted"
        )
    values = np.asarray(predictions.extra[name])
    if values.ndim != 1:
        raise InputError(
            f"{predictions.source}: {name}: holds several values per row; slices need one value "
            "per row"
        )
    return values


def conditions_of(predictions: Predictions, part: Partition) -> list[Condition | None]:
    """Return the condition of each slice by one column; None for a slice of joined values.

    Numbers that are divided into ranges are told by the largest of each range. The first and the
    last range are open: they also take the numbers that lie beyond those of the fit.
    """
    name = part.by
    values = column_of(predictions, name)
    if values.dtype.kind not in NUMBERS:
        named = texts(values, f"{predictions.source}: {name}")
        each = (np.unique(named[part.index(k)]).tolist() for k in range(len(part.names)))
        return [Condition(name, one[0]) if len(one) == 1 else None for one in each]
    finite = np.isfinite(values)
    # numbers that are missing are the last slice
    missing = [] if finite.all() else [Condition(name, missing=True)]
    slices = range(len(part.names) - len(missing))
    ends = [float(values[finite & (part.codes == k)].max()) for k in slices]
    if len(np.unique(values[finite])) <= MOST_NUMBERS:
        return [*(Condition(name, end) for end in ends), *missing]
    inner = ends[:-1]
    between = zip([-math.inf, *inner], [*inner, math.inf], strict=True)
    return [*(Condition(name, above=low, upto=high) for low, high in between), *missing]


def _number(entry: Entry) -> float:
    """Return a number of a column, which may be of any size."""
    return entry.number(-math.inf, math.inf)
