"""Binned calibration errors: a profile, its replicates, and their inversion."""

from __future__ import annotations

import numpy as np

from calibtool.data.rows import Rows
from calibtool.errors import NotAvailableError
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.collect import InBins
from calibtool.evaluation.measurement import (
    Finish,
    Measurement,
    Settings,
    Sums,
    effective_rows,
    rows_by_bin,
)
from calibtool.evaluation.one_vs_rest import OneVsRest
from calibtool.evaluation.perfect import Null, few, of_scores
from calibtool.evaluation.plan import ColumnPlan
from calibtool.evaluation.profile_errors import ProfileErrors, SharedProfiles
from calibtool.evaluation.resampling import require_bins
from calibtool.intervals.drawn_sums import drawn_sums
from calibtool.intervals.draws import EXACT_ROWS
from calibtool.metrics.cells import Cells, locate
from calibtool.metrics.kinds import CellMetric
from calibtool.metrics.profiles import Profile, profile
from calibtool.metrics.spec import Spec
from calibtool.parallel import ordered
from calibtool.types import Array


class BinnedErrors:
    """Errors of one score per row. Metrics on the same bins share columns of the plan."""

    def __init__(self, rows: Rows, plan: ColumnPlan, shared: SharedProfiles) -> None:
        self.rows, self.plan, self.shared = rows, plan, shared
        self._cells: dict[str, Cells] = {}
        self._columns: dict[tuple[str, bytes], slice] = {}

    def add(self, spec: Spec) -> Finish:
        """Compute a metric's value, and note the columns of its bins: a gap and a mass per bin."""
        score, outcome = self.rows.view(spec.view)
        if self._draws_units:
            return self._of_units(spec)
        cells = self._cells_of(spec.view)
        edges = spec.edges(cells)
        seen = profile(cells.pool(edges))
        value = float(spec.of_profile(seen))
        bins = len(edges)
        key = (spec.view, edges.tobytes())
        if key not in self._columns:
            bin_of = locate(score, edges)
            residual = outcome - score.astype(np.float64)
            columns = InBins(bin_of, residual, bins)
            self._columns[key] = self.plan.note_bins(columns)
        at = self._columns[key]
        self.shared.want(key)

        def finish(sums: Sums) -> Measurement:
            if sums is None:
                return Measurement(value)

            def make() -> ProfileErrors:
                shares = sums[:, at] / sums[:, :1]
                # on their grid, sums of a bin that a replicate leaves empty may end just below 0
                gap, mass = shares[:, :bins], np.maximum(shares[:, bins:], 0)
                return self._errors(seen, gap, mass, score, locate(score, edges))

            return self.shared.take(key, make).measure(spec, value, [edges])

        return finish

    def _errors(
        self, seen: Profile, gap: Array, mass: Array, score: Array, where: Array
    ) -> ProfileErrors:
        """Return the errors of a profile with these replicates; `where` is the bin of each row."""
        weights = self.rows.weights
        count = None if weights is None else lambda: rows_by_bin(where, weights, seen.mass.size)
        rows, settings = effective_rows(seen.rows, weights), self.plan.settings
        null = self._null(score, where, seen.mass.size)
        return ProfileErrors(seen, gap, mass, rows, settings, count, null)

    def _null(self, score: Array, where: Array, bins: int) -> Null:
        """Return what draws the gaps of perfectly calibrated rows, (R, bins), of few rows."""
        draws, weights = self.plan.settings.draws, self.rows.weights
        if draws is None or not few(draws):
            return None
        return lambda: of_scores([(score, where, weights)], bins, draws)[:, 0]

    @property
    def _draws_units(self) -> bool:
        """Whether units of rows are weighted rather than rows: there are more than EXACT_ROWS."""
        return len(self.rows.confidence) > EXACT_ROWS

    def _of_units(self, spec: Spec) -> Finish:
        """Compute a metric of more than EXACT_ROWS rows, and how to get its interval.

        Their sums by unit need no columns: two per bin, for every row, would not fit in memory.
        """
        score, outcome = self.rows.view(spec.view)
        weights = self.rows.weights
        # rows are sorted into cells only where the edges depend on them
        edges = spec.edges(Cells.empty() if spec.one_edge_for_all else self._cells_of(spec.view))
        where = locate(score, edges)
        seen = profile(Cells.binned(score, outcome, edges, weights, where))
        value = float(spec.of_profile(seen))
        key = (spec.view, edges.tobytes())
        self.shared.want(key)
        settings = self.plan.settings

        def make() -> ProfileErrors:
            assert settings.draws is not None
            mass = np.ones(len(score)) if weights is None else weights
            residual = mass * (outcome - score.astype(np.float64))
            rows, columns = np.arange(len(score)), [mass, residual]
            n, r = drawn_sums(rows, where, len(edges), columns, settings.draws, settings.threads)
            total = n.sum(axis=1, keepdims=True)
            some = total[:, 0] > 0
            gap, share = r[some] / total[some], np.maximum(n[some] / total[some], 0)
            return self._errors(seen, gap, share, score, where)

        def finish(sums: Sums) -> Measurement:
            if settings.draws is None:
                return Measurement(value)
            return self.shared.take(key, make).measure(spec, value, [edges])

        return finish

    def _cells_of(self, view: str) -> Cells:
        """Return the cells of a view, one per distinct score."""
        if view not in self._cells:
            score, outcome = self.rows.view(view)
            self._cells[view] = Cells.from_rows(score, outcome, self.rows.weights)
        return self._cells[view]


def of_classes(
    spec: Spec, view: OneVsRest | None, settings: Settings, shared: SharedProfiles
) -> Finish:
    """Measure an error of the class view at edges that all classes share."""
    if view is None:
        raise NotAvailableError("needs whole probability rows")
    edges = spec.edges(Cells.empty())
    seen = profile(view.cells(edges))
    value = float(spec.of_profile(seen))
    bins = view.occupied(edges)
    if view.draws is not None:
        require_bins(spec, len(bins.at), view.draws.replicates)
    key = ("classes", edges.tobytes())
    shared.want(key)

    def make() -> ProfileErrors:
        gap, mass = view.replicates(
            edges,
            bins,
            settings.threads,
            lambda share: settings.progress("resampling classes", share),
        )
        if shared.only(key):
            view.lows = None  # a number per class and replicate: 256 MB of 32,000 classes
        rows = effective_rows(seen.rows, view.weights)
        count = None if view.weights is None else lambda: view.rows_by_bin(edges)
        null = view.null(edges, bins)
        return ProfileErrors(seen, gap, mass, rows, settings, count, null, bins)

    def finish(sums: Sums) -> Measurement:
        if view.draws is None:
            return Measurement(value)
        return shared.take(key, make).measure(spec, value, [edges])

    return finish


def of_problems(
    spec: Spec, problems: RowProblems, settings: Settings, shared: SharedProfiles
) -> Finish:
    """Measure an error of several binary problems, each at its own edges, as one profile of all
    bins."""
    edges, pooled, values = _pooled(spec, problems, settings.threads)
    bins = max(len(of_problem) for of_problem in edges)
    n, p, y = (_stacked([getattr(c, name) for c in pooled], bins) for name in ("n", "p", "y"))
    # every row is in the problem of each class, but only in that of its predicted class
    total = n.sum() if problems.view == "label" else n[0].sum()
    score = np.divide(p, n, out=np.zeros_like(p), where=n > 0)
    seen = Profile((y - p) / total, n / total, score, float(total))
    value = float(spec.of_profile(seen)) if values is None else values
    key = ("problems", problems.view, *(of_problem.tobytes() for of_problem in edges))
    shared.want(key)

    def make() -> ProfileErrors:
        draws = settings.draws
        assert draws is not None
        shape = (draws.replicates, len(problems), bins)
        gap, mass = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for k, (weight, hits) in enumerate(problems.binned(edges, draws, settings.threads)):
            at = slice(0, len(edges[k]))  # problems with fewer bins leave the rest empty
            mass[:, k, at], gap[:, k, at] = weight, hits - weight * score[k, at]
            settings.progress("resampling classes", (k + 1) / len(problems))
        whole = mass.sum(axis=(1, 2)) if problems.view == "label" else mass[:, 0].sum(axis=1)
        some = whole > 0
        share = np.where(some, whole, 1)[:, None, None]
        gap /= share
        mass /= share

        def count() -> Array:
            of_each = [problems.rows_by_bin(k, e) for k, e in enumerate(edges)]
            return _stacked(of_each, bins)

        rows = problems.rows()
        weighted = None if problems.weights is None else count
        null = problems.null(edges, bins, draws)
        return ProfileErrors(seen, gap[some], mass[some], rows, settings, weighted, null)

    def finish(sums: Sums) -> Measurement:
        if settings.draws is None:
            return Measurement(value)
        return shared.take(key, make).measure(spec, value, edges)

    return finish


def _pooled(
    spec: Spec, problems: RowProblems, threads: int
) -> tuple[list[Array], list[Cells], float | None]:
    """Return each problem's edges, its cells pooled into them, and the value of a metric of exact
    cells."""

    def work(index: int) -> tuple[Array, Cells, float, float]:
        cells = problems.exact(index)
        edges = spec.edges(cells)
        value = float(spec.of_cells(cells)) if isinstance(spec.metric, CellMetric) else 0.0
        return edges, cells.pool(edges), value, float(cells.total)

    edges, pooled, values, mass = zip(*ordered(work, range(len(problems)), threads), strict=True)
    if not isinstance(spec.metric, CellMetric):
        return list(edges), list(pooled), None
    value = float(problems.combine(np.array(values), np.array(mass)))
    return list(edges), list(pooled), value


def _stacked(parts: list[Array], width: int) -> Array:
    """Return the parts as rows of a matrix, (len(parts), width), filled up with 0."""
    out = np.zeros((len(parts), width))
    for row, part in zip(out, parts, strict=True):
        row[: len(part)] = part
    return out
