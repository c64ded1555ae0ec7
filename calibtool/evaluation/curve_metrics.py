"""Metrics of the cells of a view: values, bootstrap replicates, and candidate truths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.measurement import Finish, Measurement, Settings, Sums
from calibtool.intervals import bootstrap, inversion
from calibtool.intervals.draws import Draws
from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import CellMetric
from calibtool.metrics.spec import Spec
from calibtool.parallel import ordered
from calibtool.types import Array

# how far along their line the candidates stand: 0 is calibrated, 1 is what was seen
STEPS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.6)
FARTHER = 1.5  # each further candidate stands as many times as far
FARTHEST = 60.0
MOST_LABELS = 1 << 26  # labels drawn for one candidate of the class view
LONG = ("ks", "kuiper")  # errors that are sums over long stretches
FEWEST = 200  # data sets drawn for a candidate, however many rows there are


class CurveMetrics:
    """All metrics of the cells of one view of one system."""

    def __init__(self, panels: RowProblems, specs: Sequence[Spec], settings: Settings) -> None:
        self.panels, self.settings = panels, settings
        self.specs = {spec.name: spec for spec in specs}
        for spec in specs:
            if isinstance(spec.metric, CellMetric) and spec.metric.cuts:
                panels.keep(spec.metric.cuts(**spec.options))
        self._settled: dict[tuple[str, int], Spec] = {}
        values = panels.values([self._exactly(spec) for spec in specs], settings.threads)
        self.value = dict(zip(self.specs, values, strict=True))
        self._replicates: dict[str, Array] | None = None
        self._inverse: dict[str, inversion.Inverted] | None = None

    def _exactly(self, spec: Spec) -> Callable[[Cells, int], Array]:
        """The metric of a panel's exact cells, which decide on options left to the data."""

        def value(cells: Cells, index: int) -> Array:
            self._settled[spec.name, index] = own = spec.settled(cells)
            return own.of_cells(cells)

        return value

    def add(self, spec: Spec) -> Finish:
        """A metric's value, and how to get its interval."""
        value = self.value[spec.name]
        if np.isnan(value):
            raise NotAvailableError("not defined on these data")

        def finish(sums: Sums) -> Measurement:
            if self.settings.draws is None or not np.isfinite(value) or self._no_way(spec):
                return Measurement(value)
            if spec.is_error and self.settings.inverted:
                replicates = self.replicates[spec.name] if self.settings.paired else None
                return Measurement(value, replicates=replicates, inverse=self.inverse[spec.name])
            return self._plain(spec, value)

        return finish

    def _no_way(self, spec: Spec) -> bool:
        """Whether no interval covers: redrawn outcomes do not hang together, and clusters widen
        long sums, like those of KS, by more than short ones; only the former are known."""
        assert isinstance(spec.metric, CellMetric)
        redrawn = self.settings.inverted and (spec.is_error or spec.metric.biased)
        long = spec.metric.name in LONG and self.panels.view != "class"
        return self._clustered and redrawn and not long

    @property
    def _clustered(self) -> bool:
        return self.settings.draws is not None and self.settings.draws.cluster is not None

    def _plain(self, spec: Spec, value: float) -> Measurement:
        replicates = self.replicates[spec.name]
        assert isinstance(spec.metric, CellMetric)
        if spec.metric.biased and self.settings.inverted:
            low, high = np.quantile(self._moves(spec), self._tails)
            least, most = spec.metric.least, spec.metric.most
            ends = (max(value - high, least), min(value - low, most))
            return Measurement(value, replicates=replicates, interval=ends, method="smoothed")
        alone = len(self.panels) == 1
        closed = spec.metric.interval
        rows_alone = alone and self.panels.weights is None and not self._clustered
        if closed and rows_alone and self.settings.inverted:
            ends = closed(self.panels.exact(0), self.settings.level)
            return Measurement(value, replicates=replicates, interval=ends, method="delong")
        own = self._settled[spec.name, 0]
        known = alone and not self._clustered
        skew = _acceleration(own.of_cells, self.panels.fine[0].cells) if known else 0.0
        return Measurement(value, replicates=replicates, acceleration=skew)

    def _few_enough(self) -> Draws:
        """The draws; in the class view of many rows, where each draw costs a label a row, fewer."""
        draws = self.settings.draws
        assert draws is not None
        if self.panels.view != "class":
            return draws
        most = max(MOST_LABELS // draws.rows, FEWEST)
        return replace(draws, replicates=min(draws.replicates, most))

    @property
    def _tails(self) -> list[float]:
        return [(1 - self.settings.level) / 2, (1 + self.settings.level) / 2]

    def _moves(self, spec: Spec) -> Array:
        """How far noise moves a metric where what was seen, smoothed, is true."""
        draws, threads = self._few_enough(), self.settings.threads
        self.panels.prepare(draws, threads)
        true = self._values(self.panels.truth(1.0), [spec.name], truth=True)
        drawn = self._values(self.panels.simulated(1.0, draws, threads), [spec.name])
        return drawn[spec.name] - true[spec.name]

    # -------------------------------------------------------------- replicates

    @property
    def replicates(self) -> dict[str, Array]:
        """Bootstrap replicates of every metric, moved by what the fine cells lose."""
        if self._replicates is None:
            draws, threads = self.settings.draws, self.settings.threads
            assert draws is not None

            def tick(share: float) -> None:
                self.settings.progress("resampling curves", share)

            drawn = self._values(self.panels.bootstrapped(draws, threads, tick), self.specs)
            whole = self._values((fine.cells for fine in self.panels.fine), self.specs)
            self._replicates = {}
            for name in self.specs:
                moved = drawn[name] + (self.value[name] - float(whole[name]))
                metric = self.specs[name].metric
                assert isinstance(metric, CellMetric)
                self._replicates[name] = np.clip(moved, metric.least, metric.most)
        return self._replicates

    @property
    def inverse(self) -> dict[str, inversion.Inverted]:
        """What candidate truths say of every calibration error."""
        if self._inverse is None:
            self._inverse = self._invert()
        return self._inverse

    def _invert(self) -> dict[str, inversion.Inverted]:
        draws, threads = self._few_enough(), self.settings.threads
        errors = [name for name, spec in self.specs.items() if spec.is_error]
        whole = self._values((fine.cells for fine in self.panels.fine), errors)
        seen = {name: float(whole[name]) for name in errors}
        truth: dict[str, list[float]] = {name: [] for name in errors}
        drawn: dict[str, list[Array]] = {name: [] for name in errors}
        self.panels.prepare(draws, threads)
        open_, at, step = list(errors), 0, 0.0
        while open_ and step <= FARTHEST:
            step = STEPS[at] if at < len(STEPS) else step * FARTHER
            truths = self._values(self.panels.truth(step), open_, truth=True)
            simulated = self._values(self.panels.simulated(step, draws, threads), open_)
            for name in open_:
                truth[name].append(float(truths[name]))
                drawn[name].append(simulated[name])
            at += 1
            self.settings.progress("candidate truths", min(at / (len(STEPS) + 1), 1.0))
            if at >= len(STEPS):
                level = self.settings.level
                open_ = [e for e in open_ if not inversion.enough(seen[e], drawn[e][-1], level)]
        self.settings.progress("candidate truths", 1.0)
        return {
            name: inversion.along(
                seen[name], np.array(truth[name]), np.array(drawn[name]), self.settings.level
            )
            for name in errors
        }

    def _values(
        self, cells: Iterable[Cells], names: Iterable[str], *, truth: bool = False
    ) -> dict[str, Array]:
        """Each metric on each panel's cells, put together over the panels."""
        found: dict[str, list[Array]] = {name: [] for name in names}
        mass = []
        for index, one in enumerate(cells):
            mass.append(np.asarray(one.total).mean())

            def work(name: str, index: int = index, one: Cells = one) -> Array:
                spec = self._settled[name, index]
                return spec.of_truth(one) if truth else spec.of_cells(one)

            for name, value in zip(
                found, ordered(work, list(found), self.settings.threads), strict=True
            ):
                found[name].append(value)
        shares = np.array(mass)
        return {name: self.panels.combine(np.array(x), shares) for name, x in found.items()}


def _acceleration(function: Callable[[Cells], Array], cells: Cells) -> float:
    """BCa's acceleration by the influence of the rows of each cell and outcome."""
    size = len(cells.at)
    step = 1e-4
    ones = np.concatenate([cells.y, cells.n - cells.y])
    used = np.flatnonzero(ones > 0)
    grown = np.zeros((len(used), 2 * size))
    grown[np.arange(len(used)), used] = step * ones[used]
    up, down = grown[:, :size], grown[:, size:]
    n = cells.n + up + down
    centres = cells.centres()
    more = function(Cells(cells.at, n, n * centres, cells.y + up))
    base = function(Cells(cells.at, cells.n, cells.n * centres, cells.y))
    influence = (more - base) / (step * ones[used])
    some = np.isfinite(influence)
    return bootstrap.skewness(influence[some], ones[used][some])
