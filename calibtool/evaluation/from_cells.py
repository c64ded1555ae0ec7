"""Measure from a state: every metric that needs no rows, with replicates drawn from cells.

A replicate draws how many rows of each outcome every cell has (Poisson, the bootstrap of counts);
1,000 of them cost the same whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.evaluation.binary_problems import FINE, Fine, RowProblems, cut
from calibtool.evaluation.binned import error_of, of_panels
from calibtool.evaluation.curve_metrics import CurveMetrics
from calibtool.evaluation.measurement import Measurement, Settings
from calibtool.intervals.draws import Draws
from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import BinnedError, CellMetric, CountMetric, Counts, Score
from calibtool.metrics.profiles import profile
from calibtool.metrics.registry import score_of
from calibtool.metrics.spec import Spec
from calibtool.streaming.exact import Exact
from calibtool.streaming.summary import Summary, in_bins
from calibtool.types import Array

NO_ROWS = "needs rows; cells hold none"


def measure_cells(
    specs: Sequence[Spec], states: Sequence[Summary], settings: Settings, view: str | None
) -> tuple[list[list[Measurement]], Measurement]:
    """Every spec of every system's state, [system][spec], and the first system's bias in `view`."""
    found = [_System(state, specs, settings).measure() for state in states]
    for state, own in zip(states[1:], found[1:], strict=True):
        for k, spec in enumerate(specs):
            own[k] = _paired(spec, found[0][k], own[k], state, settings)
    bias = Measurement() if view is None else bias_of(states[0].cells(view), settings)
    return found, bias


def bias_of(cells: Cells, settings: Settings) -> Measurement:
    """Mean score minus mean outcome, with replicates."""
    value, error = bias_and_error(cells)
    if settings.draws is None:
        return Measurement(value)
    return Measurement(value, replicates=value + error * _deviates(settings.draws, "bias"))


def bias_and_error(cells: Cells) -> tuple[float, float]:
    """Mean score minus mean outcome, and its standard error."""
    total = float(cells.total)
    value = float((cells.p - cells.y).sum()) / total
    s = cells.centres()
    spread = float((cells.y * (1 - s) ** 2 + (cells.n - cells.y) * s**2).sum()) / total**2
    return value, float(np.sqrt(max(spread - value**2 / total, 0.0)))


class _System:
    """The metrics of one state."""

    def __init__(self, state: Summary, specs: Sequence[Spec], settings: Settings) -> None:
        self.state, self.specs, self.settings = state, specs, settings
        self._panels: dict[str, CellProblems] = {}
        self._curves: dict[str, CurveMetrics] = {}

    def measure(self) -> list[Measurement]:
        return [self._one(spec) for spec in self.specs]

    def _one(self, spec: Spec) -> Measurement:
        try:
            return self._widened(spec, self._found(spec))
        except NotAvailableError as error:
            return Measurement(missing=str(error))

    def _found(self, spec: Spec) -> Measurement:
        match spec.metric:
            case Score():
                return _score(spec, self.state, self.settings)
            case CountMetric():
                return Measurement(_counts(spec, spec.metric, self.state))
            case CellMetric():
                return self._curves_of(spec.view).add(spec)(None)
            case BinnedError():
                if spec.view == "class" and in_bins(self.state.shape) and spec.one_edge_for_all:
                    return _in_bins(spec, self.state, self.settings)
                panels = self._panels_of(spec.view)
                if spec.one_edge_for_all:
                    require_ends(spec, panels.ends)
                if spec.view in ("top", "positive"):
                    return _of_column(spec, panels, self.settings)
                return of_panels(spec, panels, self.settings)(None)
        raise NotAvailableError(NO_ROWS)

    def _widened(self, spec: Spec, found: Measurement) -> Measurement:
        """Classes are drawn one by one, but a row is in the panels of all of them: of K classes
        alike, a sum of their gaps may vary by K / (K - 1) as much as if they were independent. Two
        are drawn together."""
        if spec.view != "class" or (self.state.classes or 0) <= 2:
            return found
        name = "class" if self.state.has("class") else "class-grid"
        shares = self.state.cells(name).y.sum(axis=-1)
        alike = float(shares.sum() ** 2 / (shares**2).sum())
        wider = min(alike / (alike - 1), 2.0) ** 0.5 if alike > 1 else 2.0**0.5
        if found.inverse is not None:
            low, middle, high = found.inverse.low, found.inverse.unbiased, found.inverse.high
            low = max(middle - wider * (middle - low), 0.0)
            inverse = found.inverse._replace(low=low, high=middle + wider * (high - middle))
            found = replace(found, inverse=inverse)
        if found.replicates is not None:
            middle = float(np.nanmean(found.replicates))
            found = replace(found, replicates=middle + wider * (found.replicates - middle))
        return found

    def _panels_of(self, view: str) -> CellProblems:
        if view not in self._panels:
            self._panels[view] = CellProblems(self.state, view)
        return self._panels[view]

    def _curves_of(self, view: str) -> CurveMetrics:
        if view not in self._curves:
            own = [s for s in self.specs if isinstance(s.metric, CellMetric) and s.view == view]
            self._curves[view] = CurveMetrics(self._panels_of(view), own, self.settings)
        return self._curves[view]


class CellProblems(RowProblems):
    """The panels of a view of which only cells are known."""

    def __init__(self, state: Summary, view: str) -> None:
        name = "class-grid" if view == "class" and in_bins(state.shape) else view
        if not state.has(name):
            raise NotAvailableError(_lacking(state, view))
        cells = state.cells(name)
        self.ends = cells.at
        own = cells.n.reshape(-1, len(cells.at))
        squares = state.squares(name).reshape(own.shape)
        self.keys = np.arange(len(own)) if view != "label" else np.flatnonzero(own.sum(axis=1) > 0)
        self._cells = [
            _occupied(
                Cells(cells.at, *(x.reshape(own.shape)[k] for x in (cells.n, cells.p, cells.y)))
            )
            for k in self.keys
        ]
        self._squares = [squares[k][own[k] > 0] for k in self.keys]
        self._twins = view == "class" and len(own) == 2  # the same rows, seen from either side
        weights = np.zeros(0) if state.weighted else None
        self._begin(view, weights)

    def exact(self, index: int) -> Cells:
        """A panel's cells, as fine as they are known."""
        return self._cells[index]

    def rows(self) -> float:
        """How many rows would be as informative if all weighed the same."""
        every = range(1) if self.view == "class" else range(len(self))
        total = sum(float(self._cells[k].total) for k in every)
        return total**2 / sum(float(self._squares[k].sum()) for k in every)

    def binned(self, index: int, edges: Array, draws: Draws, threads: int) -> tuple[Array, Array]:
        """A panel's weights and outcomes by bin in every replicate, (R, bins)."""
        pooled = self.exact(index).pool(edges)
        return self._drawn(pooled, self._a_weight(index, edges, pooled), draws, 32, index)

    def bootstrapped(
        self, draws: Draws, threads: int, tick: Callable[[float], None]
    ) -> Iterator[Cells]:
        for index, fine in enumerate(self.fine):
            n, y = self._drawn(fine.cells, fine.rows_a_weight, draws, 31, index)
            tick((index + 1) / len(self))
            yield Cells(fine.cells.at, n, n * fine.cells.centres(), y)

    def column(self, edges: Array, draws: Draws) -> tuple[Array, Array]:
        """Gaps and masses by bin of the only panel, as shares, in every replicate: (R, bins). Drawn
        in fine cells that end at the edges too."""
        exact = self.exact(0)
        ends = np.union1d(cut(exact, FINE), edges)
        fine = exact.pool(ends)
        n, y = self._drawn(fine, self._a_weight(0, ends, fine), draws, 33, 0)
        starts = np.searchsorted(ends, np.append(0.0, edges[:-1]), side="right")
        gap, mass = (np.add.reduceat(x, starts, axis=1) for x in (y - n * fine.centres(), n))
        total = mass.sum(axis=1, keepdims=True)
        some = total[:, 0] > 0
        return gap[some] / total[some], mass[some] / total[some]

    def widen(self) -> None:
        """Join cells two by two."""
        wider = self.ends[(len(self.ends) + 1) % 2 :: 2]
        self._cells = [_occupied(cells.pool(wider)) for cells in self._cells]

    def truth(self, s: float) -> list[Cells]:
        return [fine.truth(s) for fine in self.fine]

    def simulated(self, s: float, draws: Draws, threads: int) -> Iterator[Cells]:
        for index, fine in enumerate(self.fine):
            yield self.redrawn(index, fine.rate(s), draws)

    def redrawn(self, index: int, rate: Array, draws: Draws) -> Cells:
        if not self._twins or index == 1:
            return super().redrawn(index, rate, draws)
        other = super().redrawn(1, 1 - rate[::-1], draws)
        at, n = self.fine[0].cells.at, other.n[:, ::-1]
        return Cells(at, n, n * self.fine[0].cells.centres(), n - other.y[:, ::-1])

    def prepare(self, draws: Draws, threads: int) -> None:
        if not self._resampled_mass:
            for index, fine in enumerate(self.fine):
                n, _ = self._drawn(fine.cells, fine.rows_a_weight, draws, 34, index)
                self._resampled_mass.append(n)

    def _fine(self, index: int, count: int) -> Fine:
        exact = self.exact(index)
        if not len(exact.at):  # a class that no row is predicted as, or that scores nothing
            raise NotAvailableError("a class has no rows")
        ends = np.union1d(cut(exact, count), self._kept)
        if self._twins and index == 0:
            ends = np.union1d(cut(self.exact(1), count), self._kept)
            ends = np.append(1 - ends[-2::-1], 1.0)
        cells = exact.pool(ends)
        return Fine(cells, np.zeros(0), self._a_weight(index, ends, cells))

    def _a_weight(self, index: int, ends: Array, cells: Cells) -> Array:
        """For each cell, rows of equal weight that are as informative as a unit of its weight."""
        exact, squares = self.exact(index), self._squares[index]
        summed = Cells(exact.at, squares, squares, squares).pool(ends).n
        return np.divide(cells.n, summed, out=np.ones(len(summed)), where=summed > 0)

    def _drawn(
        self, cells: Cells, a_weight: Array, draws: Draws, key: int, index: int
    ) -> tuple[Array, Array]:
        """Weights and outcomes by cell in every replicate, (R, C) each. A cell has a stream of its
        own, and of two classes both have the same."""
        ones, zeros = np.maximum(cells.y, 0) * a_weight, np.maximum(cells.n - cells.y, 0) * a_weight
        mirrored = self._twins and index == 0
        size = len(cells.at)
        drawn = np.empty((2, draws.replicates, size))
        for c in range(size):
            stream = [1, size - 1 - c] if mirrored else [index, c]
            rng = np.random.Generator(np.random.SFC64([draws.seed, key, *stream]))
            for which in (1, 0) if mirrored else (0, 1):
                mean = (ones, zeros)[which][c]
                drawn[which, :, c] = rng.poisson(mean, draws.replicates) / a_weight[c]
        return drawn.sum(axis=0), drawn[0]


def require_ends(spec: Spec, ends: Array) -> None:
    """Whether cells end where a metric's bins do."""
    edges = spec.edges(Cells.empty())
    if not np.isin(edges, ends).all():
        raise NotAvailableError(
            f"these cells do not end at the edges of {len(edges):,} bins; make them with "
            f'--metrics "{spec.name}"'
        )


def resolution(spec: Spec, state: Summary, value: float) -> float:
    """How much a metric whose cuts depend on the data moves when cells are twice as wide; 0 for
    metrics that cells give exactly."""
    if not isinstance(spec.metric, BinnedError | CellMetric) or spec.one_edge_for_all:
        return 0.0
    try:
        panels = CellProblems(state, spec.view)
        panels.widen()
        if isinstance(spec.metric, CellMetric):
            found = panels.values([lambda cells, k: spec.settled(cells).of_cells(cells)], 1)[0]
        elif spec.view in ("top", "positive"):
            cells = panels.exact(0)
            found = float(spec.of_profile(profile(cells.pool(spec.edges(cells)))))
        else:
            return 0.0
    except (NotAvailableError, ValueError, IndexError):
        return 0.0
    return abs(found - value) if np.isfinite(found) else 0.0


def _of_column(spec: Spec, panels: CellProblems, settings: Settings) -> Measurement:
    exact = panels.exact(0)
    edges = spec.edges(exact)
    seen = profile(exact.pool(edges))
    value = float(spec.of_profile(seen))
    if settings.draws is None:
        return Measurement(value)
    gap, mass = panels.column(edges, settings.draws)
    return error_of(spec, seen, gap, mass, panels.rows(), settings)


def _in_bins(spec: Spec, state: Summary, settings: Settings) -> Measurement:
    """Errors of many classes in bins: replicates are normal, with each bin's own moments."""
    if not state.has("class"):
        raise NotAvailableError(_lacking(state, "class"))
    require_ends(spec, state.ends("class"))
    edges = spec.edges(Cells.empty())
    cells = state.cells("class").pool(edges)
    seen = profile(cells)
    value = float(spec.of_profile(seen))
    if settings.draws is None:
        return Measurement(value)
    total = float(cells.total[0])
    squares, pp, py = (
        Cells(state.ends("class"), x, x, x).pool(edges).n
        for x in (state.squares("class"), *(state.sums[f"class/{k}"].high for k in ("pp", "py")))
    )
    a_weight = np.divide(squares, cells.n, out=np.ones_like(squares), where=cells.n > 0)
    residual = np.maximum((cells.y - 2 * py + pp) * a_weight, 0)
    root = np.sqrt(residual)
    # mass and gap of a bin go together where its rows' gaps have one sign
    shared = np.divide(
        (cells.y - cells.p) * a_weight, root, out=np.zeros_like(root), where=root > 0
    )
    rest = np.sqrt(np.maximum(squares - shared**2, 0))
    rng = np.random.Generator(np.random.SFC64([settings.draws.seed, 35]))
    size = (settings.draws.replicates, *root.shape)
    one, two = (rng.standard_normal(size, dtype=np.float32) for _ in range(2))
    gap = (seen.gap + root / total * one).astype(np.float32)
    mass = np.maximum(seen.mass + (shared * one + rest * two) / total, 0).astype(np.float32)
    rows = total**2 / float(squares[0].sum())
    return error_of(spec, seen, gap, mass, rows, settings)


def _score(spec: Spec, state: Summary, settings: Settings) -> Measurement:
    """The mean of a value a row, by its sums."""
    name = f"score/{spec.name}"
    if name not in state.sums:
        raise NotAvailableError(_lacking_score(spec, state))
    lost = state.sums.get(f"infinite/{spec.name}")
    if lost is not None and lost.high[0] > 0:
        return Measurement(float("inf"))
    mean, root, skew = of_moments(state.sums[name], weighted=state.weighted)
    if settings.draws is None:
        return Measurement(mean)
    drawn = mean + root * _deviates(settings.draws, spec.name)
    return Measurement(mean, replicates=drawn, acceleration=skew)


def of_moments(sums: Exact, *, weighted: bool) -> tuple[float, float, float]:
    """Mean, its standard error and BCa's acceleration, of `exact.moments`."""
    total, one, two, three, squares, with_one, with_two = (float(x) for x in sums.high)
    mean = one / total
    spread = max(with_two - 2 * mean * with_one + mean**2 * squares, 0.0)
    third = three - 3 * mean * two + 3 * mean**2 * one - mean**3 * total
    skew = 0.0 if weighted or spread <= 0 else third / (6 * spread**1.5)
    return mean, spread**0.5 / total, skew


def _paired(
    spec: Spec, before: Measurement, after: Measurement, state: Summary, settings: Settings
) -> Measurement:
    """A score after, its replicates moved so that they go with those before as rows do."""
    name = f"pair/{spec.name}"
    if name not in state.sums or before.replicates is None or after.replicates is None:
        return after
    assert settings.draws is not None
    assert before.value is not None
    assert after.value is not None
    a, b = float(np.std(before.replicates)), float(np.std(after.replicates))
    total, _, square = (float(x) for x in state.sums[name].high)
    change = after.value - before.value
    spread = max(square / total**2 - change**2 / total, 0.0)  # of the mean difference
    if a <= 0 or b <= 0:
        return after
    share = float(np.clip((a * a + b * b - spread) / (2 * a * b), -1, 1))
    z = (before.replicates - before.value) / a
    own = _deviates(settings.draws, f"after {spec.name}")
    drawn = after.value + b * (share * z + (1 - share**2) ** 0.5 * own)
    return Measurement(after.value, replicates=drawn, acceleration=after.acceleration)


def _counts(spec: Spec, metric: CountMetric, state: Summary) -> float:
    if "count/label" not in state.sums:
        raise NotAvailableError(_lacking_score(spec, state))
    label, said, right = (
        state.sums[f"count/{name}"].high for name in ("label", "predicted", "correct")
    )
    total = label.sum()
    mean = np.array(0.0)
    if metric.rows is not None:
        name = score_of(metric)
        sums = state.sums.get(f"score/{name}")
        if sums is None or f"infinite/{name}" in state.sums:
            raise NotAvailableError(_lacking_score(spec, state))
        mean = sums.high[1] / sums.high[0]
    some = max(int(np.flatnonzero((label > 0) | (said > 0)).max(initial=0)) + 1, 1)
    label, said, right = (x[:some] / total for x in (label, said, right))
    found = float(metric.of(Counts(label, said, right, mean), **spec.options))
    if np.isnan(found):
        raise NotAvailableError("not defined on these data")
    return found


def _lacking(state: Summary, view: str) -> str:
    if state.kind == "confidence" and view != "top":
        return "needs whole probability rows"
    return f"these cells keep no {view} view; make them with --metrics that need it"


def _lacking_score(spec: Spec, state: Summary) -> str:
    if state.kind == "confidence":
        return "needs whole probability rows"
    return f'these cells do not keep it; make them with --metrics "{spec.name}"'


def _occupied(cells: Cells) -> Cells:
    some = cells.n > 0
    return Cells(cells.at[some], cells.n[some], cells.p[some], cells.y[some])


def _deviates(draws: Draws, name: str) -> Array:
    """Standard normal deviates, spaced evenly in probability, in an order of the name's own."""
    normal = NormalDist()
    r = draws.replicates
    even = np.array([normal.inv_cdf((k + 0.5) / r) for k in range(r)])
    rng = np.random.Generator(np.random.SFC64([draws.seed, 36, *name.encode()]))
    return rng.permutation(even)
