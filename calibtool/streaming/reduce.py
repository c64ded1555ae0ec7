"""Rows to a state, block by block."""

from __future__ import annotations

import numpy as np

from calibtool.data.blocks import Reduced, Wanted, reduce_block
from calibtool.data.predictions import Predictions
from calibtool.data.rows import Rows
from calibtool.errors import InputError, NotAvailableError
from calibtool.metrics.cells import locate
from calibtool.metrics.kinds import Score
from calibtool.metrics.spec import parse
from calibtool.streaming.exact import MOST_ROWS, Exact, by_cell, moments, stacked
from calibtool.streaming.grid import Tally
from calibtool.streaming.summary import DataShape, Layout, Summary, grid_of, in_bins
from calibtool.types import Array

MOST = 1 << 20  # rows of a block
_VALUES = 1 << 22  # of a block


def block_rows(classes: int | None) -> int:
    """Rows a block: many, for every block costs calls and, of new arrays, pages."""
    return max(min(MOST, _VALUES // max(classes or 1, 1)), 1)


class Reducer:
    """Adds up blocks of predictions."""

    def __init__(self, shape: DataShape, keep: Layout) -> None:
        self.shape, self.keep, self.rows = shape, keep, 0
        self.sums: dict[str, Exact] = {}
        self._tallies: dict[str, Tally] = {}
        self._held: list[tuple[Array, ...]] = []
        specs = [(name, parse(name)) for name in keep.scores]
        self._scores = [(name, s.metric, dict(s.options)) for name, s in specs]
        needs = {n for _, m, _ in self._scores if isinstance(m, Score) for n in m.needs}
        if keep.counts or "label" in keep.views:
            needs |= {"labels", "predicted"}
        lowest = None
        if "class" in keep.views and in_bins(shape):
            lowest = (*keep.class_edges, 1.0)[0]
        whole = "class-grid" in keep.views or ("class" in keep.views and not in_bins(shape))
        self._wanted = Wanted(lowest, frozenset(needs), probs=whole and not shape.one_column)
        self._column_alone = (
            shape.one_column
            and shape.kind == "probs"
            and not keep.scores
            and not keep.counts
            and set(keep.views) <= {"positive", "class"}
        )

    def add(self, block: Predictions) -> dict[str, Array]:
        """A block of at most MOST_ROWS rows; answers with each score's values."""
        if not block.rows:
            return {}
        if block.kind != "confidence" and block.labels is None:
            raise InputError(f"{block.source}: there are no labels to measure against")
        self.rows += block.rows
        if self._column_alone:
            assert block.labels is not None
            self._column(block.values[:, 0], block.labels == 1, block.weights)
            return {}
        part = reduce_block(block, self._wanted, lean=True)
        rows = part.rows
        views = self.keep.views
        if "top" in views:
            self._tally("top", rows.confidence, rows.correct, rows.weights)
        if "positive" in views or ("class" in views and self.shape.one_column):
            score, outcome = rows.view("positive")
            self._column(score, outcome, rows.weights)
        if "class" in views and not self.shape.one_column:
            if in_bins(self.shape):
                self._bins(part, rows.weights)
            else:
                assert part.probs is not None
                self._classes(part.probs, block.labels, rows.weights)
        if "class-grid" in views:
            self._class_grid(part.probs, block.labels, rows.weights)
        if "label" in views:
            self._held.append((rows.predicted, rows.confidence, rows.correct, rows.weights))  # type: ignore[arg-type]
            if sum(len(held[0]) for held in self._held) >= MOST_ROWS:
                self._labels()
        if self.keep.counts:
            self._counts(rows)
        return self._values(rows)

    def result(self) -> Summary:
        """The state of all that was added."""
        self._labels()
        sums = dict(self.sums)
        for view in ("top", "positive"):
            if view in self.keep.views and view in self._tallies:
                found = self._tallies[view].result()
                sums |= {f"{view}/{name}": value for name, value in found.items()}
        classes = [self._tallies[name] for name in self._class_tallies() if name in self._tallies]
        if classes:
            each = [tally.result() for tally in classes]
            sums |= {f"class/{name}": stacked([one[name] for one in each]) for name in each[0]}
        return Summary(self.shape, self.keep, self.rows, sums)

    def _class_tallies(self) -> list[str]:
        """The tallies of the class view, in the order of the classes."""
        if "class" not in self.keep.views or in_bins(self.shape):
            return []
        if self.shape.one_column:
            return ["class/0", "positive"]
        return [f"class/{k}" for k in range(self.shape.classes or 0)]

    def _tally(self, name: str, score: Array, outcome: Array, weights: Array | None) -> None:
        if name not in self._tallies:
            self._tallies[name] = Tally(
                grid_of(name.split("/", maxsplit=1)[0], self.keep, self.shape)
            )
        self._tallies[name].add(score, outcome, weights)

    def _column(self, score: Array, outcome: Array, weights: Array | None) -> None:
        """Two classes by the column of class 1; class 0 has the other probability."""
        self._tally("positive", score, outcome, weights)
        if "class" in self.keep.views and self.shape.one_column:
            self._tally("class/0", 1 - score, ~outcome, weights)

    def _classes(self, probs: Array, labels: Array | None, weights: Array | None) -> None:
        assert labels is not None
        for k in range(probs.shape[1]):
            column = np.ascontiguousarray(probs[:, k])
            self._tally(f"class/{k}", column, np.equal(labels, k), weights)

    def _bins(self, part: Reduced, weights: Array | None) -> None:
        """Many classes in bins: what lies above the lowest edge one by one, the rest as sums."""
        edges = np.array([*self.keep.class_edges, 1.0])
        classes, bins = int(self.shape.classes or 0), len(edges)
        count = len(part.rows.confidence)
        weight = np.ones(count) if weights is None else weights
        at = part.index.astype(np.int64) * bins + locate(part.value, edges)
        value, own = part.value.astype(np.float64), weight[part.row]
        assert part.labels is not None
        label = part.labels * bins + locate(part.label_prob, edges)
        size = classes * bins

        def sums(where: Array, values: Array) -> Array:
            return np.bincount(where, values, size).astype(np.float64).reshape(classes, bins)

        found = {
            "n": sums(at, own),
            "p": sums(at, own * value),
            "y": sums(label, weight),
            "pp": sums(at, own * value * value),
            "py": sums(label, weight * part.label_prob),
        }
        if weights is not None:
            found["w2"] = sums(at, own * own)
            found["w2"][:, 0] = (weight * weight).sum() - found["w2"][:, 1:].sum(axis=1)
        found["n"][:, 0] = weight.sum() - found["n"][:, 1:].sum(axis=1)
        found["p"][:, 0] += part.low
        assert part.low_squares is not None
        found["pp"][:, 0] += part.low_squares
        for name, value in found.items():
            self._plus(f"class/{name}", Exact.of(value))

    def _class_grid(self, probs: Array | None, labels: Array | None, weights: Array | None) -> None:
        assert probs is not None
        where = grid_of("class-grid", self.keep, self.shape)
        classes, size = probs.shape[1], where.size
        at = where.cells_of(probs.ravel()).reshape(probs.shape)
        at = at + np.arange(classes) * size
        hit = at[np.arange(len(at)), labels]
        weight = None if weights is None else np.repeat(weights, classes)
        mass = probs.ravel() if weight is None else probs.ravel() * weight
        total = classes * size
        found = {
            "n": np.bincount(at.ravel(), weight, total),
            "p": np.bincount(at.ravel(), mass, total),
            "y": np.bincount(hit, weights, total),
        }
        if weight is not None:
            found["w2"] = np.bincount(at.ravel(), weight**2, total)
        for name, value in found.items():
            self._plus(f"class-grid/{name}", Exact.of(value.reshape(classes, size)))

    def _labels(self) -> None:
        """Rows held back, by predicted class."""
        if not self._held:
            return
        predicted, score, hit = (np.concatenate([held[i] for held in self._held]) for i in range(3))
        weights = [held[3] for held in self._held if held[3] is not None]
        weight = np.concatenate(weights) if weights else None
        own = grid_of("label", self.keep, self.shape)
        classes = int(self.shape.classes or 1)
        at = predicted.astype(np.int64) * own.size + own.cells_of(score)
        total = classes * own.size
        columns = {"n": weight, "p": score, "y": hit.astype(np.float64)}
        if weight is not None:
            columns |= {"p": score * weight, "y": hit * weight, "w2": weight**2}
        for name, values in columns.items():
            if name == "p" and weight is None:
                found = Exact.of(np.zeros(total))
                for low in range(0, len(at), MOST_ROWS):
                    piece = slice(low, low + MOST_ROWS)
                    found += by_cell(at[piece], score[piece], total)
            else:
                found = Exact.of(np.bincount(at, values, total).astype(np.float64))
            shaped = Exact(*(x.reshape(classes, own.size) for x in (found.high, found.low)))
            self._plus(f"label/{name}", shaped)
        self._held.clear()

    def _values(self, rows: Rows) -> dict[str, Array]:
        found = {}
        for name, metric, options in self._scores:
            assert isinstance(metric, Score)
            try:
                values = metric.rows(rows, **options)
            except NotAvailableError:
                continue
            found[name] = values
            weights = rows.weights
            finite = np.isfinite(values) if values.dtype != bool else None
            if finite is not None and not finite.all():
                alive = ~finite if weights is None else ~finite & (weights > 0)
                lost = np.array([float(alive.sum())])
                self._plus(f"infinite/{name}", Exact.of(lost))
                values = values[finite]
                weights = None if weights is None else weights[finite]
            self._plus(f"score/{name}", moments(values, weights))
        return found

    def _counts(self, rows: Rows) -> None:
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
            found = np.bincount(where, values, size).astype(np.float64)
            self._plus(f"count/{name}", Exact.of(found))

    def _plus(self, name: str, value: Exact) -> None:
        self.sums[name] = self.sums[name] + value if name in self.sums else value


def shape_of(block: Predictions) -> DataShape:
    """What a block's rows are rows of."""
    return DataShape(block.kind, block.classes, block.one_column, block.class_names)
