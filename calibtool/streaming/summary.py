"""A calibration state: what is kept of rows that are not. States of any rows add up.

`ct.cells(predictions)` makes one, `+` adds two, `save` and `load` keep one in a file of some
kilobytes. Sums are exact (see `calibtool.streaming.exact`), so that the order of adding
changes no bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from calibtool.data.predictions import KIND_NAMES, Kind, Predictions
from calibtool.errors import InputError
from calibtool.metrics.cells import Cells
from calibtool.streaming.exact import Exact
from calibtool.streaming.grid import Grid, grid
from calibtool.types import Array

FEW_CLASSES = 16  # classes that have the whole grid each; of more, the bins of `class_bins`
BUDGET = 1 << 19  # cells of all classes, where more than FEW_CLASSES have a grid each


@dataclass(frozen=True)
class Layout:
    """What a state keeps.

    Attributes:
        views: those of which it has cells: top, positive, class, label; "class-grid" for cells of
            many classes on a grid rather than in bins.
        edges: inner edges that cells of all views end at, so that their bins stay exact.
        class_edges: inner edges of the bins of many classes.
        scores: spec strings of the scores whose sums are kept.
        counts: whether labels, predictions and hits are counted by class.
    """

    views: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    class_edges: tuple[float, ...] = ()
    scores: tuple[str, ...] = ()
    counts: bool = False


@dataclass(frozen=True)
class DataShape:
    """What the rows are rows of.

    Attributes:
        kind: logits, probs or confidence.
        classes: K, or None for confidences alone.
        one_column: whether two classes are given by the column of class 1.
        class_names: K names, if known.
    """

    kind: Kind
    classes: int | None
    one_column: bool
    class_names: tuple[str, ...] | None = None

    def describe(self) -> str:
        """For messages."""
        classes = f" of {self.classes:,} classes" if self.classes else ""
        return f"{KIND_NAMES[self.kind]}{classes}"


@dataclass(frozen=True, eq=False)
class Summary:
    """Sums over rows.

    Attributes:
        shape: what the rows are rows of.
        keep: what is kept of them.
        rows: their number.
        sums: exact sums by name: "top/n", "score/nll", "count/label".
        source: what to call the rows in reports.
        skipped: files that could not be read, with the reason.
    """

    shape: DataShape
    keep: Layout
    rows: int
    sums: dict[str, Exact]
    source: str = "cells"
    skipped: tuple[tuple[str, str], ...] = field(default=())

    def __add__(self, other: Summary) -> Summary:
        """The state of the rows of both.

        Raises InputError where they do not go together.
        """
        _require_alike(self, other)
        sums = dict(_unweighted(self.sums) if other.weighted else self.sums)
        for name, more in (_unweighted(other.sums) if self.weighted else other.sums).items():
            sums[name] = sums[name] + more if name in sums else more
        names = self.shape.class_names or other.shape.class_names
        return replace(
            self,
            shape=replace(self.shape, class_names=names),
            rows=self.rows + other.rows,
            sums=sums,
            skipped=self.skipped + other.skipped,
        )

    @property
    def weighted(self) -> bool:
        """Whether rows had weights."""
        return any(name.endswith("/w2") for name in self.sums)

    @property
    def kind(self) -> Kind:
        """What the values were."""
        return self.shape.kind

    @property
    def classes(self) -> int | None:
        """K, the number of classes; None where only confidences were known."""
        return self.shape.classes

    @property
    def one_column(self) -> bool:
        """Whether two classes were given by the column of class 1."""
        return self.shape.one_column

    def blocks(self, rows: int) -> Iterator[Predictions]:
        """There are no rows any more."""
        del rows
        raise InputError(
            f"{self.source}: holds cells, no rows, and this needs rows; give the predictions "
            "themselves"
        )

    def has(self, view: str) -> bool:
        """Whether there are cells of a view."""
        return f"{view}/n" in self.sums

    def cells(self, view: str) -> Cells:
        """Cells of a view: (C,), or (K, C) of the class and the label view."""
        n, p, y = (self.sums[f"{view}/{name}"].high for name in "npy")
        return Cells(self.ends(view), n, p, y)

    def ends(self, view: str) -> Array:
        """Upper ends of the cells of a view."""
        return ends_of(view, self.keep, self.shape)

    def squares(self, view: str) -> Array:
        """Sum of the squared weights in each cell of a view."""
        name = "w2" if f"{view}/w2" in self.sums else "n"
        return self.sums[f"{view}/{name}"].high


def ends_of(view: str, keep: Layout, shape: DataShape) -> Array:
    """Upper ends of the cells of a view."""
    if view == "class" and in_bins(shape):
        return np.array([*keep.class_edges, 1.0])
    return grid_of(view, keep, shape).at


def in_bins(shape: DataShape) -> bool:
    """Whether there are so many classes that each has bins instead of the grid."""
    return (shape.classes or 0) > FEW_CLASSES


def grid_of(view: str, keep: Layout, shape: DataShape) -> Grid:
    """The grid of a view; the more classes have one each, the coarser it is."""
    classes = shape.classes or 1
    if view in ("top", "positive") or classes <= FEW_CLASSES:
        return grid(keep.edges)
    width = 1 << max((BUDGET // classes).bit_length() - 2, 4)
    return grid(keep.edges, min(width, 1 << 12))


def _require_alike(one: Summary, other: Summary) -> None:
    a, b = one.shape, other.shape
    if (a.kind, a.classes, a.one_column) != (b.kind, b.classes, b.one_column):
        raise InputError(
            f"{other.source} holds {b.describe()}, {one.source} {a.describe()}; "
            "cells of different kinds do not add up"
        )
    if a.class_names and b.class_names and a.class_names != b.class_names:
        raise InputError(
            f"{other.source} and {one.source} name their classes differently "
            f"({', '.join(b.class_names[:4])} and {', '.join(a.class_names[:4])}); "
            "cells add up where class 0 is the same class"
        )
    if one.keep != other.keep:
        raise InputError(
            f"{other.source} and {one.source} keep different cells; make both with the same "
            "--metrics"
        )


def _unweighted(sums: dict[str, Exact]) -> dict[str, Exact]:
    """With squared weights, which are 1, said."""
    if any(name.endswith("/w2") for name in sums):
        return sums
    return sums | {
        f"{name.removesuffix('/n')}/w2": value
        for name, value in sums.items()
        if name.endswith("/n")
    }


State = Summary  # the former public name, `ct.State`
