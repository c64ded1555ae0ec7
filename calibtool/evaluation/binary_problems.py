"""Binary problems: the scores and outcomes of a view, and how they are redrawn.

The views `top` and `positive` are one problem of all rows; `label` is one problem per predicted
class, of its rows; `class` is one per class, each of all rows. A value is computed from a problem's
exact cells, replicates are drawn in its fine cells (`fine_cells`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.evaluation.collect import Collected
from calibtool.evaluation.drawn_problems import BinaryProblem, drawn_of_each, of_rows_drawn
from calibtool.evaluation.fine_cells import Fine, cut, design_effect, fine_count
from calibtool.evaluation.measurement import effective_rows, rows_by_bin
from calibtool.evaluation.perfect import Null, drawn_labels, few, of_labels, of_scores
from calibtool.evaluation.unseen_classes import UnseenOfClasses, unseen_of_classes
from calibtool.intervals import unseen
from calibtool.intervals.binomial import normal, quantiles
from calibtool.intervals.draws import GROUP, Draws
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics.cells import Cells, locate
from calibtool.parallel import Once, ordered
from calibtool.types import Array

_ROWS = 1 << 13  # rows whose labels are redrawn at a time; part of the key of their random stream


@dataclass(frozen=True, eq=False)
class _Resampled:
    """The rows of a problem in simulated data sets, whose outcomes are to be drawn.

    Attributes:
        cells: (R, C) the fine cells, with any outcomes.
        trials: (R, C) as how many rows each cell is informative.
    """

    cells: Cells
    trials: Array


class RowProblems:
    """The binary problems of a view of one variant."""

    def __init__(self, variant: Collected, view: str) -> None:
        self._rows, self._probs = variant.rows, variant.probs
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
        self._begin(view, variant.rows.weights)

    def _begin(self, view: str, weights: Array | None) -> None:
        """Start with nothing computed or drawn."""
        self.view, self.weights = view, weights
        self._exact: list[Cells] | None = None
        self._kept: Array = np.zeros(0)
        self._resampled: list[_Resampled] = []
        self._uniforms = Once()
        self._design: list[float] = []  # each problem's design effect, where rows are clustered

    def __len__(self) -> int:
        return len(self.keys)

    def keep(self, edges: Sequence[float]) -> None:
        """Let the fine cells end at these edges too. To be called before they are made."""
        self._kept = np.union1d(self._kept, np.asarray(edges, np.float64))

    def problem(self, index: int) -> BinaryProblem:
        """Return the binary problem at `index`."""
        key, weights = self.keys[index], self.weights
        if self.view == "class":
            assert self._probs is not None
            assert self._rows.labels is not None
            column = np.ascontiguousarray(self._probs[:, key])
            return BinaryProblem(column, self._rows.labels == key, weights)
        if self.view == "label":
            assert self._rows.predicted is not None
            at = np.flatnonzero(self._rows.predicted == key)
            of_class = None if weights is None else weights[at]
            return BinaryProblem(self._rows.confidence[at], self._rows.correct[at], of_class, at)
        return BinaryProblem(self.score, self.outcome, weights)

    def first_row(self, index: int, score: float, outcome: int) -> int | None:
        """Return the number of the first row of a problem with this score and outcome, counting
        from 0; None where the rows are not at hand."""
        problem = self.problem(index)
        at = (problem.score == score) & (problem.outcome == outcome)
        if problem.weights is not None:
            at &= problem.weights > 0
        found = np.flatnonzero(at)
        if not len(found):
            return None
        return int(found[0] if problem.rows is None else problem.rows[found[0]])

    def rows(self) -> float:
        """Return the number of equally weighted rows that would be as informative (Kish 1965)."""
        return effective_rows(float(len(self._rows.confidence)), self.weights)

    def binned(
        self, edges: Sequence[Array], draws: Draws, threads: int
    ) -> Iterator[tuple[Array, Array]]:
        """Yield each problem's weights and outcomes by bin in every replicate, (R, bins) each; the
        edges are those of each problem."""
        bins = ((locate(self.problem(k).score, e), len(e)) for k, e in enumerate(edges))
        yield from ((n, y) for n, y in self.drawn(bins, draws, threads))

    def rows_by_bin(self, index: int, edges: Array) -> Array:
        """Return the effective number of rows of each bin of a problem (Kish 1965), (bins,)."""
        problem = self.problem(index)
        where = locate(problem.score, edges)
        weights = np.ones(len(where)) if problem.weights is None else problem.weights
        return rows_by_bin(where, weights, len(edges))

    def values(
        self, functions: Sequence[Callable[[Cells, int], Array]], threads: int
    ) -> list[float]:
        """Return each function's value of the view: it is called with each problem's exact cells
        and index, and the values are combined."""

        def work(index: int) -> tuple[list[float], float]:
            cells = self.exact(index)
            return [float(f(cells, index)) for f in functions], float(cells.total)

        done = list(ordered(work, range(len(self)), threads))
        mass = np.array([total for _, total in done])
        values = np.array([of_problem for of_problem, _ in done]).reshape(len(self), -1)
        return [float(self.combine(column, mass)) for column in values.T]

    def exact(self, index: int) -> Cells:
        """Return a problem's exact cells; they are kept where there is only one problem."""
        if len(self) > 1:
            return self.problem(index).cells()
        if self._exact is None:
            self._exact = [self.problem(index).cells()]
        return self._exact[0]

    def by_weight(self, index: int) -> Cells:
        """Return a problem's exact cells, each of one weight."""
        return self.problem(index).cells(by_weight=True)

    def combine(self, values: Array, mass: Array | None = None) -> Array:
        """Return the value of the view from one value per problem, on the first axis: the mean over
        classes; for predicted classes, weighted by their shares of the rows."""
        if self.view == "label":
            shares = self.mass if mass is None else mass
            some = np.where(shares.reshape(-1, *(1,) * (values.ndim - 1)) > 0, values, 0)
            return np.asarray(np.tensordot(shares / shares.sum(), some, 1))
        return np.asarray(values.mean(axis=0))

    @cached_property
    def mass(self) -> Array:
        """Weight of each problem, (problems,)."""
        return np.array([float(fine.cells.total) for fine in self.fine])

    @cached_property
    def fine(self) -> list[Fine]:
        """Each problem's fine cells."""
        count = fine_count(len(self))
        return [self._fine(index, count) for index in range(len(self))]

    def _fine(self, index: int, count: int) -> Fine:
        problem = self.problem(index)
        exact = self.exact(index) if len(self) == 1 else problem.cells()
        edges = np.union1d(cut(exact, count), self._kept)
        where = locate(problem.score, edges).astype(np.int16)
        cells = exact.pool(edges)
        if problem.weights is None:
            return Fine(cells, where, np.ones(len(edges)))
        squares = np.bincount(where, problem.weights**2, len(edges))
        rows_per_weight = np.divide(cells.n, squares, out=np.ones(len(edges)), where=squares > 0)
        return Fine(cells, where, rows_per_weight)

    # -------------------------------------------------------------- the bootstrap

    def bootstrapped(
        self, draws: Draws, threads: int, tick: Callable[[float], None]
    ) -> Iterator[Cells]:
        """Yield each problem's fine cells in every replicate: (R, C)."""
        drawn = self.drawn(self._fine_places(), draws, threads)
        for index, (fine, columns) in enumerate(zip(self.fine, drawn, strict=True)):
            n, y = of_rows_drawn(columns)
            tick((index + 1) / len(self))
            yield Cells(fine.cells.at, n, n * fine.cells.centres(), y, fine.cells.row)

    def drawn(
        self,
        cells: Iterable[tuple[Array, int]],
        draws: Draws,
        threads: int,
        *,
        outcome: bool = True,
    ) -> Iterator[list[Array]]:
        """Yield drawn sums of each problem's weights (and weighted outcomes) by cell, (R, size)
        each; of each problem, given are the cell of each row and how many there are."""
        every = (self.problem(k).in_cells(*at, outcome=outcome) for k, at in enumerate(cells))
        return drawn_of_each(every, draws, threads)

    def _fine_places(self) -> Iterator[tuple[Array, int]]:
        return ((fine.where, len(fine.cells.at)) for fine in self.fine)

    def null(self, edges: Sequence[Array], bins: int, draws: Draws) -> Null:
        """Return what draws the gaps of each problem's bins under perfect calibration, (R,
        problems, bins); None of many rows.

        Args:
            edges: the upper edges of each problem's bins.
            bins: how many there are in the result.
            draws: the replicates.
        """
        if not few(draws):
            return None
        if self.view == "class":
            assert self._probs is not None
            probs = self._probs
            wheres = [bins * k + locate(probs[:, k], ends) for k, ends in enumerate(edges)]
            where, size = np.stack(wheres, axis=1), bins * len(wheres)
            shape = (draws.replicates, len(wheres), bins)
            return lambda: of_labels([(probs, where)], size, self.weights, draws).reshape(shape)
        every = [self.problem(k) for k in range(len(self))]
        pairs = zip(every, edges, strict=True)
        rows = [(each.score, locate(each.score, ends), each.weights) for each, ends in pairs]
        return lambda: of_scores(rows, bins, draws)

    def unseen_rows(self, draws: Draws) -> list[UnseenOfClasses] | None:
        """Return the kinds of row that was not seen, of the class view; None without rows."""
        assert self._probs is not None
        mass = unseen.cluster_mass(draws, self.weights)
        return unseen_of_classes(self._probs, self.weights, draws, mass)

    # -------------------------------------------------------------- candidate truths

    def informative(self, index: int) -> Array:
        """Return numbers of independent rows in proportion to the weights of the fine cells, (C,),
        whose mean gap varies as much as that of the weighted rows if the scores are calibrated."""
        fine = self.fine[index]
        n, score = fine.cells.n, np.clip(fine.cells.centres(), 0, 1)
        squares = n / np.maximum(fine.rows_per_weight, 1e-300)
        variance = score * (1 - score)
        if not squares @ variance > 0:
            variance = np.ones(len(n))
        of_clusters = self._design[index] if self._design else 1.0
        return n * float(n @ variance) / float(squares @ variance) / of_clusters

    def truth(self, s: float) -> list[Cells]:
        """Return each problem's cells if candidate `s` is true and nothing is left to chance."""
        if self.view != "class":
            return [fine.truth(s) for fine in self.fine]
        size = max(len(fine.cells.at) for fine in self.fine)
        y = np.zeros(len(self) * size)
        start = np.arange(len(self)) * size
        for at, where, chance in self._chances(s):
            mass = chance if self.weights is None else chance * self.weights[at, None]
            y += np.bincount((where + start).ravel(), mass.ravel(), len(y))
        every = (fine.cells for fine in self.fine)
        return [
            Cells(c.at, c.n, c.p, y[low : low + len(c.at)], c.row)
            for c, low in zip(every, start, strict=True)
        ]

    def simulated(self, s: float, draws: Draws, threads: int) -> Iterator[Cells]:
        """Yield each problem's fine cells in data sets drawn under candidate `s`: (R, C)."""
        if self.view == "class":
            yield from self._simulated_labels(s, draws, threads)
            return
        for index, fine in enumerate(self.fine):
            yield self.redrawn(index, fine.rate(s), draws)

    def redrawn(self, index: int, rate: Array, draws: Draws) -> Cells:
        """Return a problem's fine cells in data sets whose outcomes have these rates, (C,): (R, C).

        The scores are those of `prepare`. The outcomes of a cell are binomial, of as many trials as
        its weight is informative: fewer with unequal weights, and fewer again with clusters.
        """
        cells, trials = self._resampled[index].cells, self._resampled[index].trials
        uniform = self._uniform(index, draws)

        def deviates() -> Array:  # the same for all candidates
            return self._uniforms(("normal", index), lambda: normal(uniform))

        hits = quantiles(uniform, deviates, trials, rate)
        hits *= cells.n
        return cells.with_outcomes(np.divide(hits, trials, out=hits, where=trials > 0))

    def _uniform(self, index: int, draws: Draws) -> Array:
        """Return the uniform variables that a problem's outcomes are drawn by, (R, C). All
        candidates share them, and two variants nearly do: a cell has those of its place among all
        information."""

        def draw() -> Array:
            places = self.fine[index].places(fine_count(len(self)))
            rng = generator(Stream.OUTCOMES, draws.seed, index)
            return np.asarray(rng.random((int(places[-1]) + 1, draws.replicates))[places].T)

        return self._uniforms(index, draw)

    def prepare(self, draws: Draws, threads: int) -> None:
        """Draw the scores of the simulated data sets; in the class view, the observed scores are
        used."""
        if self.view == "class" or self._resampled:
            return
        clustered = draws.cluster is not None
        every = self.drawn(self._fine_places(), draws, threads, outcome=clustered)
        for index, (fine, columns) in enumerate(zip(self.fine, every, strict=True)):
            n, *y = of_rows_drawn(columns)
            if y:
                self._design.append(design_effect(fine, n, y[0]))
            self._add_resampled(index, n)

    def _add_resampled(self, index: int, n: Array) -> None:
        """Keep the weights by fine cell of a problem in every simulated data set, (R, C)."""
        fine = self.fine[index]
        informative = fine.rows_per_weight / (self._design[index] if self._design else 1.0)
        trials = np.where(n > 0, np.maximum(np.rint(n * informative), 1), 0)
        cells = Cells(fine.cells.at, n, n * fine.cells.centres(), n, fine.cells.row)
        self._resampled.append(_Resampled(cells, trials))

    def _simulated_labels(self, s: float, draws: Draws, threads: int) -> Iterator[Cells]:
        """Yield fine cells of labels that are drawn row by row, so that the problems of a row's
        classes stay dependent: a row has one label."""
        weights = self._rows.weights
        size = max(len(fine.cells.at) for fine in self.fine)
        classes = len(self)
        out = np.zeros((draws.replicates, classes * size), np.float32)

        def work(group: slice) -> None:
            count = group.stop - group.start
            offset = np.arange(count) * (classes * size)
            for at, where, chance in self._chances(s):
                cumulated = np.cumsum(chance, axis=1)
                key = (at.start // _ROWS, group.start // GROUP)
                rng = generator(Stream.LABELS, draws.seed, *key)
                uniform = rng.random((len(chance), count), np.float32)
                label = drawn_labels(cumulated, uniform).astype(np.int64)
                flat = label * size + np.take_along_axis(where, label, 1) + offset
                repeated = None if weights is None else np.repeat(weights[at], count)
                sums = np.bincount(flat.ravel(), repeated, count * classes * size)
                out[group] += sums.reshape(count, -1)

        list(ordered(work, draws.groups, threads))
        y = out.reshape(draws.replicates, classes, size)
        for k, fine in enumerate(self.fine):
            cells = fine.cells
            shape = (draws.replicates, len(cells.at))
            n, p = np.broadcast_to(cells.n, shape), np.broadcast_to(cells.p, shape)
            yield Cells(cells.at, n, p, y[:, k, : len(cells.at)].astype(np.float64), cells.row)

    def _chances(self, s: float) -> Iterator[tuple[slice, Array, Array]]:
        """Yield, block by block: the slice of rows, each row's cell in every class, (n, K), and its
        probabilities of every label under candidate `s`, (n, K).

        A candidate moves each class's probability along that class's gap; what falls below 0 is cut
        off, and each row is scaled to sum to 1.
        """
        assert self._probs is not None
        places, gaps = self._places, self._gaps(s)
        for low in range(0, len(self._probs), _ROWS):
            at = slice(low, low + _ROWS)
            where = places[at].astype(np.int64)
            q = np.maximum(self._probs[at] + np.take_along_axis(gaps, where.T, 1).T, 0)
            yield at, where, q / np.maximum(q.sum(axis=1, keepdims=True), 1e-300)

    @cached_property
    def _places(self) -> Array:
        """Each row's cell in every class, (N, K)."""
        return np.stack([fine.where for fine in self.fine], axis=1)

    def _gaps(self, s: float) -> Array:
        """Return each class's gaps under candidate `s`, (K, cells)."""
        gaps = np.zeros((len(self), max(len(fine.cells.at) for fine in self.fine)), np.float32)
        for k, fine in enumerate(self.fine):
            gaps[k, : len(fine.cells.at)] = fine.moved(s)
        return gaps
