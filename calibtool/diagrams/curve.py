"""Curves, histograms and estimates that diagrams consist of, and their tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.intervals.estimate import Estimate
from calibtool.types import Array

# everything that is drawn, as tables: part -> column -> one value per row
Parts = dict[str, dict[str, list[Any]]]


class Diagram(Protocol):
    """The interface of the records of all kinds of diagrams."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the reader: what was left out, and why."""
        ...

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        ...


@dataclass(frozen=True, eq=False)
class Histogram:
    """A histogram of scores.

    Attributes:
        edges: (M + 1,) edges of the bins.
        mass: (M,) share of the weight of all rows in each bin.
    """

    edges: Array
    mass: Array

    def columns(self) -> dict[str, Array]:
        """Return the bins as columns of a table."""
        return {"from": self.edges[:-1], "to": self.edges[1:], "mass": self.mass}


@dataclass(frozen=True, eq=False, kw_only=True)
class Points:
    """The points of a reliability curve, with its two bands.

    Attributes:
        score: (M,) mean score of each bin, or where a continuous curve is computed; NaN where a
            bin is empty.
        outcome: (M,) mean outcome (accuracy, in the top view); NaN where there is none.
        low, high: (M,) interval of the outcome.
        least, most: (M,) where the outcome of a perfect model would lie: the consistency band.
        mass: (M,) share of the weight in each bin; of a continuous curve, the density.
        edges: (M + 1,) edges of the bins; None for a continuous curve.
        histogram: of the scores.
    """

    score: Array
    outcome: Array
    low: Array
    high: Array
    least: Array
    most: Array
    mass: Array
    edges: Array | None
    histogram: Histogram

    def columns(self) -> dict[str, Array]:
        """Return the points as columns of a table."""
        names = ("score", "outcome", "low", "high", "least", "most", "mass")
        columns = {name: getattr(self, name) for name in names}
        if self.edges is None:
            return columns
        return {"from": self.edges[:-1], "to": self.edges[1:], **columns}


@dataclass(frozen=True, eq=False, kw_only=True)
class Curve(Points):
    """A reliability curve with its numbers.

    Attributes:
        label: the name of the curve.
        panel: the small diagram that the curve belongs to; "" if there is only one.
        estimates: the numbers that go with the curve, each with its interval.
        rows: number of rows.
        said, was: mean score and mean outcome.
    """

    label: str
    panel: str
    estimates: tuple[Estimate, ...]
    rows: int
    said: float
    was: float


def columns_of(records: Iterable[object], names: Iterable[str]) -> dict[str, list[Any]]:
    """Return one column per attribute, with one value per record."""
    records = list(records)
    return {name: [getattr(record, name) for record in records] for name in names}


def estimate_columns(estimates: Iterable[Estimate]) -> dict[str, list[Any]]:
    """Return estimates as columns, those of the JSON report."""
    names = ("name", "view", "value", "corrected", "low", "high", "p_value", "signature")
    return columns_of(estimates, names)


def data_columns(data: Iterable[DataInfo]) -> dict[str, list[Any]]:
    """Return what was read as columns."""
    return columns_of(data, ("source", "rows", "classes", "kind", "weighted"))


def numbers(records: Iterable[object], name: str) -> Array:
    """Return an attribute of each record as float64, (N,); NaN for None."""
    return np.array([getattr(record, name) for record in records], np.float64)


def stacked(tables: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return tables one below the other as a single one.

    A value that is not a list is repeated in each row of its table; columns that a table lacks are
    None in its rows.

    >>> stacked([{"curve": "a", "x": [1, 2]}, {"curve": "b", "x": [3]}])
    {'curve': ['a', 'a', 'b'], 'x': [1, 2, 3]}
    """
    out: dict[str, list[Any]] = {}
    done = 0
    for table in tables:
        columns = {name: plain(x) for name, x in table.items()}
        rows = max((len(x) for x in columns.values() if isinstance(x, list)), default=1)
        for name, x in columns.items():
            column = out.setdefault(name, [None] * done)
            column += x if isinstance(x, list) else [x] * rows
        done += rows
        for name, filled in out.items():
            out[name] = filled + [None] * (done - len(filled))
    return out


def plain(values: Any) -> Any:
    """Return an array, list or tuple as a list of Python values, and a single value unchanged."""
    if isinstance(values, np.ndarray | np.generic):
        return values.tolist()
    return list(values) if isinstance(values, tuple | list) else values
