"""Panels: the scores and outcomes that a view consists of, and what can be redrawn of them.

The views `top` and `positive` are one panel of all rows, `label` is a panel a predicted class, and
`class` a panel a class, each of all rows. A value is computed from a panel's exact cells; what is
redrawn, from its *fine* cells, of which there are so many that hardly anything is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.evaluation.collect import Collected
from calibtool.intervals import inversion
from calibtool.intervals.draws import GROUP, Draws, drawn_sums
from calibtool.metrics.cells import Cells, locate
from calibtool.parallel import ordered
from calibtool.types import Array

FINE = 256  # cells of the only panel
FINE_OF_MANY = 128  # cells of each of several, fewer where BUDGET asks for it
BUDGET = 1 << 24  # values of all replicates of all panels
_ROWS = 1 << 13  # rows redrawn at a time


@dataclass(frozen=True, eq=False)
class BinaryProblem:
    """Scores and outcomes of some rows; `rows` says which, None for all."""

    score: Array
    outcome: Array
    weights: Array | None
    rows: Array | None = None

    def cells(self) -> Cells:
        """A cell a distinct score."""
        return Cells.from_rows(self.score, self.outcome, self.weights)


@dataclass(frozen=True, eq=False)
class Fine:
    """A panel's fine cells: the cells, the cell of each row, and for each cell how many rows of
    equal weight would be as informative as a unit of its weight."""

    cells: Cells
    where: Array
    rows_a_weight: Array

    @cached_property
    def gap(self) -> Array:
        """The panel's gap as a curve over its cells, smoothed by a normal kernel that spans some
        cells' share of the information (local means)."""
        n = self.cells.n
        rank = np.cumsum(_information(self.cells)) - _information(self.cells) / 2
        width = 0.3 * max(float((n * self.rows_a_weight).sum()), 10.0) ** -0.2
        kernel = np.exp(-(((rank[:, None] - rank) / width) ** 2) / 2)
        return np.asarray(kernel @ (self.cells.y - self.cells.p) / (kernel @ n))

    def truth(self, s: float) -> Cells:
        """Cells whose outcomes are exactly what candidate `s` makes of the scores."""
        n = self.cells.n
        return Cells(self.cells.at, n, self.cells.p, n * self.rate(s))

    def rate(self, s: float) -> Array:
        """Outcome rate of each cell under candidate `s`: the scores at 0, what was seen at 1."""
        centres = self.cells.centres()
        gap = self.gap
        if np.abs(gap).max() < 1e-9:  # nothing was seen: go inwards
            gap = 0.01 * (0.5 - centres)
        return np.clip(centres + s * gap, 0, 1)


class RowProblems:
    """The panels of a view of one system."""

    def __init__(self, system: Collected, view: str) -> None:
        self._rows, self._probs = system.rows, system.probs
        if view == "class":
            if self._probs is None or self._rows.labels is None:
                raise NotAvailableError("needs whole probability rows")
            self.keys = np.arange(self._probs.shape[1])
        elif view == "label":
            if self._rows.predicted is None:
                raise NotAvailableError("needs whole probability rows")
            self.keys = np.unique(self._rows.predicted)
        else:
            self.score, self.outcome = self._rows.view(view)
            self.keys = np.zeros(1, np.int64)
        self._begin(view, system.rows.weights)

    def _begin(self, view: str, weights: Array | None) -> None:
        """Nothing is known or drawn yet."""
        self.view, self.weights = view, weights
        self._exact: list[Cells] | None = None
        self._kept: Array = np.zeros(0)
        self._resampled_mass: list[Array] = []
        self._design: list[float] = []  # how many times as much clusters let each panel vary

    def __len__(self) -> int:
        return len(self.keys)

    def keep(self, edges: Sequence[float]) -> None:
        """Let the fine cells end at these edges too; to be said before they are made."""
        self._kept = np.union1d(self._kept, np.asarray(edges, np.float64))

    def panel(self, index: int) -> BinaryProblem:
        """One of them."""
        key, weights = self.keys[index], self.weights
        if self.view == "class":
            assert self._probs is not None
            assert self._rows.labels is not None
            column = np.ascontiguousarray(self._probs[:, key])
            return BinaryProblem(column, self._rows.labels == key, weights)
        if self.view == "label":
            assert self._rows.predicted is not None
            at = np.flatnonzero(self._rows.predicted == key)
            own = None if weights is None else weights[at]
            return BinaryProblem(self._rows.confidence[at], self._rows.correct[at], own, at)
        return BinaryProblem(self.score, self.outcome, weights)

    def rows(self) -> float:
        """How many rows would be as informative if all weighed the same."""
        if self.weights is None:
            return float(len(self._rows.confidence))
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())

    def binned(self, index: int, edges: Array, draws: Draws, threads: int) -> tuple[Array, Array]:
        """A panel's weights and outcomes by bin in every replicate, (R, bins)."""
        where = locate(self.panel(index).score, edges)
        n, y = self.drawn(index, where, len(edges), draws, threads)
        return n, y

    def values(
        self, functions: Sequence[Callable[[Cells, int], Array]], threads: int
    ) -> list[float]:
        """Each function's value of the view, from each panel's exact cells and its number."""

        def work(index: int) -> tuple[list[float], float]:
            cells = self.exact(index)
            return [float(f(cells, index)) for f in functions], float(cells.total)

        done = list(ordered(work, range(len(self)), threads))
        mass = np.array([total for _, total in done])
        found = np.array([values for values, _ in done]).reshape(len(self), -1)
        return [float(self.combine(column, mass)) for column in found.T]

    def exact(self, index: int) -> Cells:
        """A panel's exact cells; kept where there is only one panel."""
        if len(self) > 1:
            return self.panel(index).cells()
        if self._exact is None:
            self._exact = [self.panel(index).cells()]
        return self._exact[0]

    def combine(self, values: Array, mass: Array | None = None) -> Array:
        """A value of each panel, on the first axis, to that of the view: the mean over classes; by
        their shares of the rows for predicted classes."""
        if self.view == "label":
            shares = self.mass if mass is None else mass
            some = np.where(shares.reshape(-1, *(1,) * (values.ndim - 1)) > 0, values, 0)
            return np.asarray(np.tensordot(shares / shares.sum(), some, 1))
        return np.asarray(values.mean(axis=0))

    @cached_property
    def mass(self) -> Array:
        """Weight of each panel."""
        return np.array([float(fine.cells.total) for fine in self.fine])

    @cached_property
    def fine(self) -> list[Fine]:
        """Each panel's fine cells."""
        count = FINE if len(self) == 1 else min(FINE_OF_MANY, max(BUDGET // (1000 * len(self)), 16))
        return [self._fine(index, count) for index in range(len(self))]

    def _fine(self, index: int, count: int) -> Fine:
        panel = self.panel(index)
        exact = self.exact(index) if len(self) == 1 else panel.cells()
        edges = np.union1d(cut(exact, count), self._kept)
        where = locate(panel.score, edges).astype(np.int16)
        cells = exact.pool(edges)
        if panel.weights is None:
            return Fine(cells, where, np.ones(len(edges)))
        squares = np.bincount(where, panel.weights**2, len(edges))
        a_weight = np.divide(cells.n, squares, out=np.ones(len(edges)), where=squares > 0)
        return Fine(cells, where, a_weight)

    # -------------------------------------------------------------- the bootstrap

    def bootstrapped(
        self, draws: Draws, threads: int, tick: Callable[[float], None]
    ) -> Iterator[Cells]:
        """Each panel's fine cells in every replicate: (R, C)."""
        for index, fine in enumerate(self.fine):
            n, y = self.drawn(index, fine.where, len(fine.cells.at), draws, threads)
            tick((index + 1) / len(self))
            yield Cells(fine.cells.at, n, n * fine.cells.centres(), y)

    def drawn(
        self,
        index: int,
        where: Array,
        size: int,
        draws: Draws,
        threads: int,
        *,
        outcome: bool = True,
    ) -> list[Array]:
        """Drawn sums of a panel's weights (and weighted outcomes) by cell, (R, size) each."""
        panel = self.panel(index)
        weights = np.ones(len(panel.score)) if panel.weights is None else panel.weights
        columns = [weights, weights * panel.outcome] if outcome else [weights]
        at = np.arange(len(where)) if panel.rows is None else panel.rows
        return drawn_sums(at, where, size, columns, draws, threads)

    # -------------------------------------------------------------- candidate truths

    def truth(self, s: float) -> list[Cells]:
        """Each panel's cells if candidate `s` is true and nothing is left to chance."""
        if self.view != "class":
            return [fine.truth(s) for fine in self.fine]
        size = max(len(fine.cells.at) for fine in self.fine)
        y = np.zeros(len(self) * size)
        start = np.arange(len(self)) * size
        for at, where, chance in self._chances(s):
            mass = chance if self.weights is None else chance * self.weights[at, None]
            y += np.bincount((where + start).ravel(), mass.ravel(), len(y))
        own = (fine.cells for fine in self.fine)
        return [
            Cells(c.at, c.n, c.p, y[low : low + len(c.at)])
            for c, low in zip(own, start, strict=True)
        ]

    def simulated(self, s: float, draws: Draws, threads: int) -> Iterator[Cells]:
        """Each panel's fine cells in data sets drawn under candidate `s`: (R, C)."""
        if self.view == "class":
            yield from self._simulated_labels(s, draws, threads)
            return
        for index, fine in enumerate(self.fine):
            yield self.redrawn(index, fine.rate(s), draws)

    def redrawn(self, index: int, rate: Array, draws: Draws) -> Cells:
        """A panel's fine cells in data sets whose outcomes have these rates, (C,): (R, C). The
        scores are those of `prepare`."""
        fine, n = self.fine[index], self._resampled_mass[index]
        informative = fine.rows_a_weight / (self._design[index] if self._design else 1.0)
        trials = np.where(n > 0, np.maximum(np.rint(n * informative), 1), 0)
        rng = np.random.Generator(np.random.SFC64([draws.seed, 5, index]))
        hits = rng.binomial(trials.astype(np.int64), rate)
        y = np.divide(hits * n, trials, out=np.zeros_like(n), where=trials > 0)
        return Cells(fine.cells.at, n, n * fine.cells.centres(), y)

    def prepare(self, draws: Draws, threads: int) -> None:
        """Draw the scores of the simulated data sets; in the class view, they stay as they are."""
        if self.view == "class" or self._resampled_mass:
            return
        for index, fine in enumerate(self.fine):
            size = len(fine.cells.at)
            n, *y = self.drawn(
                index, fine.where, size, draws, threads, outcome=draws.cluster is not None
            )
            self._resampled_mass.append(n)
            if y:
                self._design.append(_design(fine, n, y[0]))

    def _simulated_labels(self, s: float, draws: Draws, threads: int) -> Iterator[Cells]:
        """Labels drawn row by row, so that the classes of a row go together."""
        weights = self._rows.weights
        size = max(len(fine.cells.at) for fine in self.fine)
        classes = len(self)
        out = np.zeros((draws.replicates, classes * size), np.float32)

        def work(group: slice) -> None:
            count = group.stop - group.start
            offset = np.arange(count) * (classes * size)
            for at, where, chance in self._chances(s):
                cumulated = np.cumsum(chance, axis=1)
                key = [draws.seed, 6, at.start // _ROWS, group.start // GROUP]
                label = _drawn(cumulated, np.random.Generator(np.random.SFC64(key)), count)
                flat = label * size + np.take_along_axis(where, label, 1) + offset
                heavy = None if weights is None else np.repeat(weights[at], count)
                sums = np.bincount(flat.ravel(), heavy, count * classes * size)
                out[group] += sums.reshape(count, -1)

        list(ordered(work, draws.groups, threads))
        y = out.reshape(draws.replicates, classes, size)
        for k, fine in enumerate(self.fine):
            own = fine.cells
            shape = (draws.replicates, len(own.at))
            n, p = np.broadcast_to(own.n, shape), np.broadcast_to(own.p, shape)
            yield Cells(own.at, n, p, y[:, k, : len(own.at)].astype(np.float64))

    def _chances(self, s: float) -> Iterator[tuple[slice, Array, Array]]:
        """Block by block: which rows, each one's cell in every class, and its (n, K) chances of
        every label under candidate `s`."""
        assert self._probs is not None
        places, gaps = self._places
        for low in range(0, len(self._probs), _ROWS):
            at = slice(low, low + _ROWS)
            where = places[at].astype(np.int64)
            q = np.maximum(self._probs[at] + s * np.take_along_axis(gaps, where.T, 1).T, 0)
            yield at, where, q / np.maximum(q.sum(axis=1, keepdims=True), 1e-300)

    @cached_property
    def _places(self) -> tuple[Array, Array]:
        """Each row's cell in every class, (N, K), and each class's gaps, (K, cells)."""
        gaps = np.zeros((len(self), max(len(fine.cells.at) for fine in self.fine)), np.float32)
        for k, fine in enumerate(self.fine):
            gaps[k, : len(fine.cells.at)] = fine.gap
        return np.stack([fine.where for fine in self.fine], axis=1), gaps


def _design(fine: Fine, n: Array, y: Array) -> float:
    """The design effect of a panel's gap over 1, 2, 4, 8 or 16 stretches of alike much information,
    whichever is the largest: what is summed over a long stretch, clusters let vary most."""
    rows = max(float((fine.cells.n * fine.rows_a_weight).sum()), 1.0)
    share = np.cumsum(_information(fine.cells))
    found = [1.0]
    for count in (1, 2, 4, 8, 16):
        stretch = np.minimum((share * count * (1 - 1e-12)).astype(np.int64), count - 1)
        starts = np.flatnonzero(np.concatenate([[True], stretch[1:] != stretch[:-1]]))
        centres = fine.cells.centres()

        def sums(values: Array, starts: Array = starts) -> Array:
            return np.add.reduceat(values, starts, axis=-1)

        total = float(fine.cells.total)
        mass = sums(fine.cells.n)
        gap = sums(fine.cells.y - fine.cells.n * centres)
        score = np.divide(sums(fine.cells.n * centres), mass, where=mass > 0, out=0 * mass)
        whole = np.maximum(n.sum(axis=1, keepdims=True), 1e-300)
        drawn = sums(y - n * centres) / whole, sums(n) / whole
        found.append(inversion.design_effect(gap / total, mass / total, score, *drawn, rows))
    return max(found)


def _drawn(cumulated: Array, rng: np.random.Generator, count: int) -> Array:
    """Labels by cumulated probabilities: (rows, count)."""
    rows, classes = cumulated.shape
    uniform = rng.random((rows, count), dtype=np.float32)
    if classes > 64:
        pairs = zip(cumulated, uniform, strict=True)
        found = [np.searchsorted(row, drawn, side="right") for row, drawn in pairs]
        return np.minimum(np.array(found), classes - 1)
    label = np.zeros((rows, count), np.int64)
    for k in range(classes - 1):
        label += uniform >= cumulated[:, k : k + 1]
    return label


def cut(cells: Cells, count: int) -> Array:
    """Upper edges of at most `count` cells that hold alike much information."""
    if len(cells.at) <= count:
        edges = cells.at.astype(np.float64)
    else:
        heap = np.cumsum(_information(cells))
        last = np.flatnonzero(np.diff(np.floor(heap * count * (1 - 1e-12))) >= 1)
        edges = cells.at[np.unique(np.append(last, len(cells.at) - 1))].astype(np.float64)
    edges[-1] = 1.0
    return edges


def _information(cells: Cells) -> Array:
    """Share of each cell: half by weight, half by the variance that its outcomes should have."""
    mean = np.divide(cells.p, cells.n, out=np.zeros_like(cells.p), where=cells.n > 0)
    variance = cells.n * mean * (1 - mean)
    share = cells.n / cells.n.sum()
    if not variance.sum() > 0:
        return np.asarray(share)
    return np.asarray((share + variance / variance.sum()) / 2)
