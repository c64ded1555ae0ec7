"""Reduce rows to a summary, block by block."""

from __future__ import annotations

import numpy as np

from calibtool.data.blocks import Reduced, Wanted, reduce_block
from calibtool.data.predictions import Predictions
from calibtool.data.rows import ALWAYS, Rows
from calibtool.errors import InputError, NotAvailableError
from calibtool.metrics.cells import locate
from calibtool.metrics.kinds import Score
from calibtool.metrics.spec import parse
from calibtool.streaming.exact import MOST_ROWS, Exact, add_to, moments, stacked
from calibtool.streaming.grid import Tally, cell_sums
from calibtool.streaming.summary import DataShape, Layout, Summary, grid_of, in_bins
from calibtool.streaming.unit_sums import UnitColumns, UnitSums
from calibtool.types import Array

# Most rows and values of a block that is read at once. Larger blocks spread the cost of a call over
# more rows. With these bounds a block is at most 32 MB of float64; each thread holds a few.
MOST = 1 << 20
_VALUES = 1 << 22


def block_rows(classes: int | None) -> int:
    """Return the number of rows to read at a time; None stands for confidences alone."""
    return max(min(MOST, _VALUES // max(classes or 1, 1)), 1)


class Reducer:
    """Adds up blocks of predictions of one shape.

    Attributes:
        units: the sums by unit of `columns`, if there are any.
    """

    def __init__(
        self, shape: DataShape, layout: Layout, columns: UnitColumns | None = None
    ) -> None:
        self.shape, self.layout, self.rows = shape, layout, 0
        self.columns = columns
        self.units: UnitSums | None = None
        self.sums: dict[str, Exact] = {}
        self._tallies: dict[str, Tally] = {}
        self._ties: Array | None = None  # rows of confidence 1/2, and those of them that are right
        # rows of the label view are collected up to MOST_ROWS: a bincount into the cells of all
        # classes costs as much for few rows as for many
        self._label_rows: list[tuple[Array, Array, Array, Array | None]] = []
        specs = [(name, parse(name)) for name in layout.scores]
        self._scores = specs
        needs = {
            column
            for _, spec in self._scores
            if isinstance(spec.metric, Score)
            for column in spec.metric.needs or ALWAYS  # as rows in memory have them
            if shape.classes != 2 or column not in spec.metric.needs_of_many
        }
        if layout.counts or "label" in layout.views:
            needs |= {"labels", "predicted"}
        lowest = None
        if "class" in layout.views and in_bins(shape):
            lowest = (*layout.class_edges, 1.0)[0]
        if columns is not None and columns.lowest is not None:
            lowest = columns.lowest if lowest is None else min(lowest, columns.lowest)
        all_probs = "class-grid" in layout.views or ("class" in layout.views and not in_bins(shape))
        self._wanted = Wanted(lowest, frozenset(needs), probs=all_probs and not shape.one_column)
        # a fast path, the common case of a click log: only the column is needed, and is not copied
        self._column_alone = columns is None and only_counts(shape, layout)

    def add(self, block: Predictions, numbers: Array | None = None) -> dict[str, Array]:
        """Add a block of at most MOST_ROWS rows; return the values per row of each score.

        Args:
            block: the rows.
            numbers: those of the rows of the file that hold them, where `columns` are summed.

        Raises InputError if there are no labels.
        """
        if not block.rows:
            return {}
        if block.kind != "confidence" and block.labels is None:
            raise InputError(f"{block.source}: there are no labels to measure against")
        self.rows += block.rows
        if self._column_alone:
            assert block.labels is not None
            self._column(block.values[:, 0], block.labels == 1, block.weights)
            return {}
        by_class = self.columns is not None and self.columns.lowest is not None
        reduced = reduce_block(block, self._wanted, keep=by_class, lean=True)
        rows = reduced.rows
        views = self.layout.views
        if "top" in views and not self._folds(rows):
            self._tally("top", rows.confidence, rows.correct, rows.weights)
        if "positive" in views or ("class" in views and self.shape.one_column):
            score, outcome = rows.view("positive")
            self._column(score, outcome, rows.weights)
        if "class" in views and not self.shape.one_column:
            if in_bins(self.shape):
                self._bins(reduced, rows.weights)
            else:
                assert reduced.probs is not None
                self._classes(reduced.probs, block.labels, rows.weights)
        if "class-grid" in views:
            self._class_grid(reduced.probs, block.labels, rows.weights)
        if "label" in views:
            assert rows.predicted is not None
            self._label_rows.append((rows.predicted, rows.confidence, rows.correct, rows.weights))
            if sum(len(columns[0]) for columns in self._label_rows) >= MOST_ROWS:
                self._labels()
        if self.layout.counts:
            self._counts(rows)
        values = self._values(rows)
        self._by_unit(numbers, reduced, values)
        return values

    def _by_unit(self, numbers: Array | None, reduced: Reduced, values: dict[str, Array]) -> None:
        """Add the sums by unit, if they are wanted."""
        if self.columns is not None and numbers is not None:
            sums = self.columns.sums(numbers, reduced, values)
            self.units = sums if self.units is None else self.units + sums

    def result(self) -> Summary:
        """Return the summary of all blocks added so far."""
        self._labels()
        sums = dict(self.sums)
        views = {view: self._tallies[view].result() for view in self._tallies}
        if self._ties is not None:
            assert "top" not in views  # a source has weights in every block or in none
            views["top"] = self._folded(views["positive"], views["class/0"], self._ties)
        for view in ("top", "positive"):
            if view in self.layout.views and view in views:
                sums |= {f"{view}/{name}": value for name, value in views[view].items()}
        each = [views[name] for name in self._class_tallies() if name in views]
        if each:
            sums |= {
                f"class/{name}": stacked([tally_sums[name] for tally_sums in each])
                for name in each[0]
            }
        return Summary(self.shape, self.layout, self.rows, sums)

    def _folds(self, rows: Rows) -> bool:
        """Count the ties at 1/2 and return True where the top view follows from the two classes.

        A confidence above 1/2 is the score of one of the classes, whose outcome is the hit: the
        cells above 1/2 of both classes hold every row but the ties. Sums with weights are rounded
        by the block, and would be others.
        """
        both = {"positive", "class"} <= set(self.layout.views) and self.shape.one_column
        # logits give confidences and scores of their own rounding, soft labels hits of their own
        alike = self.shape.kind == "probs" and rows.spread is None
        if not (both and alike) or rows.weights is not None:
            return False
        tied = rows.correct[rows.confidence == 0.5]
        counted = np.array([len(tied), np.count_nonzero(tied)])
        self._ties = counted if self._ties is None else self._ties + counted
        return True

    def _folded(
        self, one: dict[str, Exact], other: dict[str, Exact], ties: Array
    ) -> dict[str, Exact]:
        """Return the sums of the top view, from those of both classes and the ties at 1/2."""
        at = grid_of("top", self.layout, self.shape).at
        above, tie = at > 0.5, at == 0.5
        of_ties = {"n": ties[0], "p": ties[0] / 2, "y": ties[1]}
        return {
            name: Exact.of(np.where(tie, of_ties[name], 0.0))
            + Exact(*(np.where(above, half, 0.0) for half in (one[name].high, one[name].low)))
            + Exact(*(np.where(above, half, 0.0) for half in (other[name].high, other[name].low)))
            for name in ("n", "p", "y")
        }

    def _class_tallies(self) -> list[str]:
        """Return the names of the class view's tallies, in the order of the classes."""
        if "class" not in self.layout.views or in_bins(self.shape):
            return []
        if self.shape.one_column:
            return ["class/0", "positive"]
        return [f"class/{k}" for k in range(self.shape.classes or 0)]

    def _tally(self, name: str, score: Array, outcome: Array, weights: Array | None) -> None:
        if name not in self._tallies:
            view = name.split("/", maxsplit=1)[0]
            self._tallies[name] = Tally(grid_of(view, self.layout, self.shape))
        self._tallies[name].add(score, outcome, weights)

    def _column(self, score: Array, outcome: Array, weights: Array | None) -> None:
        """Count two classes by the column of class 1; class 0 has the other probability."""
        self._tally("positive", score, outcome, weights)
        if "class" in self.layout.views and self.shape.one_column:
            self._tally("class/0", 1 - score, ~outcome, weights)

    def _classes(self, probs: Array, labels: Array | None, weights: Array | None) -> None:
        """Count each of a few classes one-vs-rest, on a grid of its own."""
        assert labels is not None
        for k in range(probs.shape[1]):
            column = np.ascontiguousarray(probs[:, k])
            self._tally(f"class/{k}", column, np.equal(labels, k), weights)

    def _bins(self, reduced: Reduced, weights: Array | None) -> None:
        """Count many classes one-vs-rest in bins.

        With many classes, nearly all probabilities lie in the lowest bin. `reduced` lists those
        above its upper edge one by one; the lowest bin is the total less the other bins.
        Besides "n", "p" and "y", the sums of w p**2 ("pp") and of w p y ("py") are held, from which
        the variance of a bin's gap follows.
        """
        edges = np.array([*self.layout.class_edges, 1.0])
        classes, bins = int(self.shape.classes or 0), len(edges)
        count = len(reduced.rows.confidence)
        weight = np.ones(count) if weights is None else weights
        at = reduced.index.astype(np.int64) * bins + locate(reduced.value, edges)
        value, entry_weight = reduced.value.astype(np.float64), weight[reduced.row]
        assert reduced.labels is not None
        label = reduced.labels * bins + locate(reduced.label_prob, edges)
        size = classes * bins

        def binned(where: Array, values: Array) -> Array:
            return np.bincount(where, values, size).astype(np.float64).reshape(classes, bins)

        sums = {
            "n": binned(at, entry_weight),
            "p": binned(at, entry_weight * value),
            "y": binned(label, weight),
            "pp": binned(at, entry_weight * value * value),
            "py": binned(label, weight * reduced.label_prob),
        }
        if weights is not None:
            sums["w2"] = binned(at, entry_weight * entry_weight)
            sums["w2"][:, 0] = (weight * weight).sum() - sums["w2"][:, 1:].sum(axis=1)
        sums["n"][:, 0] = weight.sum() - sums["n"][:, 1:].sum(axis=1)
        sums["p"][:, 0] += reduced.low
        assert reduced.low_squares is not None
        sums["pp"][:, 0] += reduced.low_squares
        for name, total in sums.items():
            add_to(self.sums, f"class/{name}", Exact.of(total))

    def _class_grid(self, probs: Array | None, labels: Array | None, weights: Array | None) -> None:
        """Count many classes one-vs-rest, each on a grid, for metrics that bins cannot give."""
        assert probs is not None
        grid = grid_of("class-grid", self.layout, self.shape)
        classes, size = probs.shape[1], grid.size
        at = grid.cells_of(probs.ravel()).reshape(probs.shape)
        at = at + np.arange(classes) * size
        hit = at[np.arange(len(at)), labels]
        weight = None if weights is None else np.repeat(weights, classes)
        mass = probs.ravel() if weight is None else probs.ravel() * weight
        total = classes * size
        sums = {
            "n": np.bincount(at.ravel(), weight, total),
            "p": np.bincount(at.ravel(), mass, total),
            "y": np.bincount(hit, weights, total),
        }
        if weight is not None:
            sums["w2"] = np.bincount(at.ravel(), weight**2, total)
        for name, value in sums.items():
            add_to(self.sums, f"class-grid/{name}", Exact.of(value.reshape(classes, size)))

    def _labels(self) -> None:
        """Count the collected rows of the label view, by predicted class."""
        if not self._label_rows:
            return
        predicted, score, hit = (np.concatenate([c[i] for c in self._label_rows]) for i in range(3))
        weights = [columns[3] for columns in self._label_rows if columns[3] is not None]
        weight = np.concatenate(weights) if weights else None
        grid = grid_of("label", self.layout, self.shape)
        classes = int(self.shape.classes or 1)
        at = predicted.astype(np.int64) * grid.size + grid.cells_of(score)
        # weighted sums are rounded once per call, so all of them take the rows at once
        step = MOST_ROWS if weight is None else len(at)
        for low in range(0, len(at), step):
            piece = slice(low, low + step)
            sums = cell_sums(at[piece], score[piece], hit[piece], weight, classes * grid.size)
            for name, value in sums.items():
                halves = (half.reshape(classes, grid.size) for half in (value.high, value.low))
                add_to(self.sums, f"label/{name}", Exact(*halves))
        self._label_rows.clear()

    def _values(self, rows: Rows) -> dict[str, Array]:
        """Add the moments of each score; return the values per row of those that are available.

        Infinite values (the log-likelihood of a probability of 0) are counted and left out.
        """
        scores = {}
        for name, spec in self._scores:
            try:
                values = spec.of_rows(rows)
            except NotAvailableError:
                continue
            scores[name] = values
            weights = rows.weights
            finite = np.isfinite(values) if values.dtype != bool else None
            if finite is not None and not finite.all():
                infinite = ~finite if weights is None else ~finite & (weights > 0)
                count = np.array([float(infinite.sum())])
                add_to(self.sums, f"infinite/{name}", Exact.of(count))
                values = values[finite]
                weights = None if weights is None else weights[finite]
            add_to(self.sums, f"score/{name}", moments(values, weights))
        return scores

    def _counts(self, rows: Rows) -> None:
        """Add the weight per class of labels, predictions and hits."""
        labels, predicted = rows.labels, rows.predicted
        if labels is None or predicted is None:
            return
        size = int(self.shape.classes or 0)
        weight = rows.weights
        hit = rows.correct if weight is None else rows.correct * weight
        for name, where, values in (
            ("label", labels, weight),
            ("predicted", predicted, weight),
            ("correct", labels, hit),
        ):
            counts = np.bincount(where, values, size).astype(np.float64)
            add_to(self.sums, f"count/{name}", Exact.of(counts))


def only_counts(shape: DataShape, layout: Layout) -> bool:
    """Return whether nothing is done with rows but to count a column of probabilities."""
    return (
        shape.one_column
        and shape.kind == "probs"
        and not layout.scores
        and not layout.counts
        and set(layout.views) <= {"positive", "class"}
    )


def shape_of(block: Predictions) -> DataShape:
    """Return the shape of a block: kind, classes, columns."""
    return DataShape(block.kind, block.classes, block.one_column, block.class_names)
