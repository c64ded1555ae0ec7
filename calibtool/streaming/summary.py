"""A summary: exact sums that stand in for the rows. Summaries can be added.

`ct.cells(predictions)` makes a summary, `+` adds two, `cells_file` writes one to a file of a few
kilobytes. Sums are exact (see `calibtool.streaming.exact`), so that the order of adding changes no
bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from calibtool.data.predictions import KIND_NAMES, Kind, Predictions
from calibtool.errors import InputError
from calibtool.metrics.cells import Cells
from calibtool.streaming.exact import Exact, add_to
from calibtool.streaming.grid import WIDTH, Grid, grid
from calibtool.types import Array

# With up to this many classes, each class has the whole grid (5,236 cells with the named edges);
# with more, the class view has the bins of `Layout.class_edges` only. 16 grids in three columns of
# pairs of float64 are about 4 MB.
FEW_CLASSES = 16
# Cells of all classes together where more than FEW_CLASSES have a grid each (the label view, or a
# class view on a grid): 2**19 are 25 MB in three columns of pairs of float64. A target rather than
# a bound: the cells close to 0 and 1 (grid.RELATIVE) are about 2,300 per class at any width.
BUDGET = 1 << 19

# Scores that `cells` asks for by default. Of confidences alone, the first two give nothing, and
# were asked for by version 1 of the files; the others are held since version 2.
DEFAULT = ("nll", "brier", "nll(view=top)", "brier(view=top)")

VIEWS = ("top", "positive", "class", "label", "class-grid")  # that can have cells
# sums of a score: the moments, the number of infinite values, the moments of a change
_MOMENTS = {"score": 7, "infinite": 1, "pair": 3}


@dataclass(frozen=True)
class Layout:
    """The contents of a summary. Two summaries can be added if their layouts are equal.

    Attributes:
        views: the views that have cells: top, positive, class, label; "class-grid" stands for the
            class view of many classes on a grid rather than in bins.
        edges: inner edges at which cells of all views end, so that their bins stay exact.
        class_edges: inner edges of the bins of the class view of many classes.
        scores: spec strings of the scores whose sums are held.
        counts: whether labels, predictions and hits are counted per class.
    """

    views: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    class_edges: tuple[float, ...] = ()
    scores: tuple[str, ...] = ()
    counts: bool = False


@dataclass(frozen=True)
class DataShape:
    """The kind of predictions that are summed, and their classes.

    Attributes:
        kind: logits, probs or confidence.
        classes: K, or None for confidences alone.
        one_column: whether a two-class problem is given by the column of class 1.
        class_names: K names, if known.
    """

    kind: Kind
    classes: int | None
    one_column: bool
    class_names: tuple[str, ...] | None = None

    def describe(self) -> str:
        """Return the kind and the number of classes, for messages."""
        classes = f" of {self.classes:,} classes" if self.classes else ""
        return f"{KIND_NAMES[self.kind]}{classes}"


@dataclass(frozen=True, eq=False)
class Summary:
    """Sums over rows.

    Attributes:
        shape: the kind of predictions, and their classes.
        keep: the layout: what is held of them.
        rows: their number.
        sums: exact sums by name. "VIEW/n", "VIEW/p" and "VIEW/y" are weight, score mass and outcome
            mass per cell, "VIEW/w2" the squared weights of weighted rows; "score/NAME" the moments
            of a score, "infinite/NAME" the number of rows where it is infinite, "pair/NAME" the
            moments of its change from the first variant to this one; "count/label",
            "count/predicted" and "count/correct" the weight per class.
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
        """Return the summary of the rows of both.

        Raises InputError if kinds, classes, class names or layouts differ.
        """
        apart = {*self.keep.scores} ^ {*other.keep.scores}
        if self.kind == "confidence" and apart and apart <= {*DEFAULT}:
            return _without_default(self) + _without_default(other)
        _require_alike(self, other)
        # squared weights are only held for weighted rows; beside such rows, all need them
        sums = dict(_with_square_weights(self.sums) if other.weighted else self.sums)
        more = _with_square_weights(other.sums) if self.weighted else other.sums
        for name, value in more.items():
            add_to(sums, name, value)
        names = self.shape.class_names or other.shape.class_names
        return replace(
            self,
            shape=replace(self.shape, class_names=names),
            rows=self.rows + other.rows,
            sums=sums,
            skipped=self.skipped + other.skipped,
        )

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """K names, if known."""
        return self.shape.class_names

    @property
    def weighted(self) -> bool:
        """True if rows had weights."""
        return any(name.endswith("/w2") for name in self.sums)

    @property
    def kind(self) -> Kind:
        """The kind of values: logits, probs or confidence."""
        return self.shape.kind

    @property
    def classes(self) -> int | None:
        """K, the number of classes; None if only confidences were known."""
        return self.shape.classes

    @property
    def one_column(self) -> bool:
        """True if a two-class problem was given by the column of class 1."""
        return self.shape.one_column

    def blocks(self, rows: int) -> Iterator[Predictions]:
        """Raise InputError: the rows are not in a summary."""
        del rows
        raise InputError(
            f"{self.source}: holds cells, no rows, and this needs rows; give the predictions "
            "themselves"
        )

    def load(self) -> Predictions:
        """Raise InputError: there are no rows to load."""
        return next(self.blocks(max(self.rows, 1)))

    def has(self, view: str) -> bool:
        """Return whether there are cells of a view."""
        return f"{view}/n" in self.sums

    def cells(self, view: str) -> Cells:
        """Return the cells of a view: (C,), or (K, C) for the class and the label view."""
        n, p, y = (self.sums[f"{view}/{name}"].high for name in "npy")
        return Cells(self.ends(view), n, p, y)

    def ends(self, view: str) -> Array:
        """Return the upper ends of the cells of a view, (C,)."""
        return ends_of(view, self.keep, self.shape)

    def squares(self, view: str) -> Array:
        """Return the sum of the squared weights in each cell of a view; shaped as `cells`."""
        name = "w2" if f"{view}/w2" in self.sums else "n"  # every weight is 1
        return self.sums[f"{view}/{name}"].high


def ends_of(view: str, layout: Layout, shape: DataShape) -> Array:
    """Return the upper ends of the cells of a view, (C,)."""
    if view == "class" and in_bins(shape):
        return np.array([*layout.class_edges, 1.0])
    return grid_of(view, layout, shape).at


def size_of(name: str, layout: Layout, shape: DataShape) -> tuple[int, ...] | None:
    """Return the size of a sum, by its name; None if summaries of this layout have no such sum."""
    head, _, tail = name.partition("/")
    classes = shape.classes or 1
    if head == "count":
        known = layout.counts and tail in ("label", "predicted", "correct")
        return (classes,) if known else None
    if head in _MOMENTS:
        return (_MOMENTS[head],) if tail in layout.scores else None
    # the variance of a bin of many classes needs two sums more
    kinds = {"n", "p", "y", "w2"} | ({"pp", "py"} if head == "class" and in_bins(shape) else set())
    if head not in layout.views or tail not in kinds:
        return None
    cells = len(ends_of(head, layout, shape))
    return (cells,) if head in ("top", "positive") else (classes, cells)


def in_bins(shape: DataShape) -> bool:
    """Return whether there are so many classes that each has bins instead of the grid."""
    return (shape.classes or 0) > FEW_CLASSES


def grid_of(view: str, layout: Layout, shape: DataShape) -> Grid:
    """Return the grid of a view; the more classes have one each, the coarser it is."""
    classes = shape.classes or 1
    if view in ("top", "positive") or classes <= FEW_CLASSES:
        return grid(layout.edges)
    # Half of the largest power of two within the budget per class, since the cells close to 0 and 1
    # and those that end at named edges come on top; no coarser than 16 cells, about as many as the
    # bins of most metrics.
    width = 1 << max((BUDGET // classes).bit_length() - 2, 4)
    return grid(layout.edges, min(width, WIDTH))


def _without_default(summary: Summary) -> Summary:
    """Return a summary of confidences without the scores that versions of the file hold or not."""
    scores = tuple(name for name in summary.keep.scores if name not in DEFAULT)
    sums = {n: value for n, value in summary.sums.items() if n.partition("/")[2] not in DEFAULT}
    return replace(summary, keep=replace(summary.keep, scores=scores), sums=sums)


def _require_alike(summary: Summary, other: Summary) -> None:
    """Check that two summaries can be added.

    Raises InputError.
    """
    a, b = summary.shape, other.shape
    if (a.kind, a.classes, a.one_column) != (b.kind, b.classes, b.one_column):
        raise InputError(
            f"{other.source} holds {b.describe()}, {summary.source} {a.describe()}; "
            "cells of different kinds cannot be added"
        )
    if a.class_names and b.class_names and a.class_names != b.class_names:
        raise InputError(
            f"{other.source} and {summary.source} name their classes differently "
            f"({', '.join(b.class_names[:4])} and {', '.join(a.class_names[:4])}); "
            "cells can be added if class 0 is the same class in both"
        )
    if summary.keep != other.keep:
        raise InputError(
            f"{other.source} and {summary.source} hold different cells; make both with the same "
            "--metrics"
        )


def _with_square_weights(sums: dict[str, Exact]) -> dict[str, Exact]:
    """Add the squared weights (1 per row) that an unweighted summary leaves out."""
    if any(name.endswith("/w2") for name in sums):
        return sums
    return sums | {
        f"{name.removesuffix('/n')}/w2": value
        for name, value in sums.items()
        if name.endswith("/n")
    }


State = Summary  # the former public name, `ct.State`
