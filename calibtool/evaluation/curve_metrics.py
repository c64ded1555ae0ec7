"""Metrics of the cells of a view: values, bootstrap replicates, and candidate truths."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.curve_shifts import CurveShifts
from calibtool.evaluation.measurement import Finish, Measurement, Settings, Sums
from calibtool.evaluation.unseen_cells import (
    More,
    UnseenCell,
    acceleration,
    beyond_cuts,
    few_of,
    influence,
    rarer,
    smoothed,
    unseen_cells,
)
from calibtool.evaluation.unseen_classes import of_classes
from calibtool.evaluation.unseen_rows import with_ends
from calibtool.intervals import candidates, inversion, unseen
from calibtool.intervals.draws import Draws
from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import CellMetric
from calibtool.metrics.spec import Spec
from calibtool.parallel import longest_first, ordered
from calibtool.types import Array

# Candidate truths lie on a line: at 0 the scores are calibrated, at 1 they are off as observed; in
# between the error is concentrated (`Fine.moved`). The steps are close where intervals usually end;
# between them `candidates.along` interpolates. Beyond them, each candidate is FARTHER times as far
# as the one before, until enough of its data sets lie above the observed error. FARTHEST bounds
# their number: nine beyond STEPS.
STEPS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.6)
FARTHER = 1.5
FARTHEST = 60.0
# Labels drawn for one candidate of the class view, which cost one draw per row and data set: with
# many rows, fewer data sets are drawn, though never fewer than FEWEST, whose 2.5 % tail is 5 sets.
MOST_LABELS = 1 << 26
FEWEST = 200
UNBOUNDED = (
    "{:,.0f} rows of the rarer outcome were seen, so few that one more row could make it infinite"
)
LONG = ("ks", "kuiper")  # errors that are sums over long stretches of the scores


class CurveMetrics:
    """All metrics of the cells of one view of one variant."""

    def __init__(self, problems: RowProblems, specs: Sequence[Spec], settings: Settings) -> None:
        self.problems, self.settings = problems, settings
        self.specs = {spec.name: spec for spec in specs}
        for spec in specs:
            problems.keep(spec.cuts)
        # measured whether or not they were asked for: corrected values have to add up
        pairs = [(spec, spec.counterpart) for spec in specs]
        self.counterparts: dict[str, Spec | None] = {x.name: spec for spec, x in pairs if x}
        self.counterparts |= {spec.name: other for spec, other in pairs}
        known = {other.name: other for _, other in pairs if other} | self.specs
        self._settled: dict[tuple[str, int], Spec] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)  # that each value took
        values = problems.values([self._exactly(x) for x in known.values()], settings.threads)
        self.value = dict(zip(known, values, strict=True))
        self._replicates: dict[str, Array] | None = None
        self._drawn: Cells | None = None
        self._inverse: dict[str, inversion.Inverted] | None = None

    def _exactly(self, spec: Spec) -> Callable[[Cells, int], Array]:
        """Return the metric as a function of a problem's exact cells, which also decide on options
        that are left to the data."""

        def value(cells: Cells, index: int) -> Array:
            self._settled[spec.name, index] = settled = spec.settled(cells)
            assert isinstance(spec.metric, CellMetric)
            by_weight = spec.metric.by_weight and self.problems.weights is not None
            began = time.perf_counter()
            found = settled.of_cells(self.problems.by_weight(index) if by_weight else cells)
            self._seconds[spec.name] += time.perf_counter() - began
            return found

        return value

    def add(self, spec: Spec) -> Finish:
        """Return what finishes a metric: its value, and how to get its interval."""
        value = self.value[spec.name]
        if np.isnan(value):
            raise NotAvailableError(self._why_undefined(spec))

        def finish(sums: Sums) -> Measurement:
            if self.settings.draws is None or not np.isfinite(value) or self._lacks_interval(spec):
                return Measurement(value)
            if spec.is_error and self.settings.inverted:
                replicates = self.replicates[spec.name] if self.settings.paired else None
                inverse = self._balanced(spec, self.inverse[spec.name])
                return Measurement(value, replicates=replicates, inverse=inverse)
            return self._plain(spec, value)

        return finish

    def _why_undefined(self, spec: Spec) -> str:
        """Return why a metric has no value: the score that a row refutes, or that none fits."""
        assert isinstance(spec.metric, CellMetric)
        refuted = spec.metric.refuted or (lambda cells: None)
        for index in range(len(self.problems)):
            found = refuted(self.problems.exact(index))
            if found is not None:
                score, outcome = found
                row = self.problems.first_row(index, score, outcome)
                place = "" if row is None else f" (row {row}, counting from 0)"
                return f"not defined: a score of exactly {score} has outcome {outcome}{place}"
        return "not defined on these data"

    def _balanced(self, spec: Spec, found: inversion.Inverted) -> inversion.Inverted:
        """Return an error's interval with an estimate that leaves its counterpart at least 0.

        Miscalibration - discrimination + uncertainty is the mean score, of values and of estimates.
        What noise adds to one of the two it adds to the other, so that both are corrected by the
        same amount: at most by the whole discrimination.
        """
        other = self.counterparts[spec.name]
        if other is None or not np.isfinite(self.value[other.name]):
            return found
        corrected = max(found.corrected, self.value[spec.name] - self.value[other.name])
        return found._replace(corrected=corrected, high=max(found.high, corrected))

    def _corrected(self, spec: Spec, moves: Array) -> float:
        """Return the estimate of a metric that noise moves by `moves`, or by as much as it adds to
        the metric's counterpart."""
        value, other = self.value[spec.name], self.counterparts[spec.name]
        if other is None or not np.isfinite(self.value[other.name]):
            return value - float(np.median(moves))
        error = self._balanced(other, self.inverse[other.name])
        return value - (self.value[other.name] - error.corrected)

    def _lacks_interval(self, spec: Spec) -> bool:
        """Return whether no interval is known to cover.

        Redrawn outcomes are independent, so the rows of a cluster are not correlated in them. The
        design effect makes up for that, but it is that of sums over long stretches of the scores,
        like those of KS, which clusters widen most; by how much they widen other metrics is not
        known.
        """
        assert isinstance(spec.metric, CellMetric)
        if self.settings.inverted and not spec.metric.covers:
            return True
        redrawn = self.settings.inverted and (spec.is_error or spec.metric.biased)
        long = spec.metric.name in LONG and self.problems.view != "class"
        return self._clustered and redrawn and not long

    @property
    def _clustered(self) -> bool:
        return self.settings.draws is not None and self.settings.draws.cluster is not None

    def _plain(self, spec: Spec, value: float) -> Measurement:
        replicates = self.replicates[spec.name]
        assert isinstance(spec.metric, CellMetric)
        if spec.metric.biased and self.settings.inverted:
            moves, level = self._moves(spec), self.settings.level
            low, high = np.quantile(moves, [(1 - level) / 2, (1 + level) / 2]).tolist()
            # a basic interval: what noise does to the smoothed truth is taken off the value
            least, most = spec.limits
            ends = (max(value - high, least), min(value - low, most))
            if len(self.problems) == 1 and self._few:
                # the smoothed truth of a few rows knows nothing of the one that was not seen
                beyond = self._unseen_ends(spec)
                if beyond is not None:
                    ends = (min(ends[0], beyond.low), max(ends[1], beyond.high))
            corrected = min(max(self._corrected(spec, moves), least), most)
            return Measurement(
                value, replicates=replicates, corrected=corrected, interval=ends, method="smoothed"
            )
        alone = len(self.problems) == 1
        closed = spec.metric.interval
        exact = not spec.metric.replicated  # bounds that hold with few rows too
        equal = self.problems.weights is None or exact
        few = alone and self.settings.inverted and self._few and not exact
        rows_alone = alone and equal and not self._clustered
        if closed and rows_alone and self.settings.inverted and not few:
            cells = self.problems.exact(0)
            if self.problems.weights is not None:  # as many equal rows as are as informative
                share = self.problems.rows() / float(cells.total)
                cells = Cells(cells.at, share * cells.n, share * cells.p, share * cells.y)
            ends = closed(cells, self.settings.level, **spec.options)
            method = spec.metric.interval_name
            return Measurement(value, replicates=replicates, interval=ends, method=method)
        if self.settings.inverted and exact:
            return Measurement(value)
        settled = self._settled[spec.name, 0]
        if alone and self.settings.inverted and not spec.metric.statistic:
            measurement = Measurement(value, replicates=replicates)
            of_kinds = self._unseen_ends(spec)
            if of_kinds is None or not np.isfinite(of_kinds).all():
                seen = rarer(self.problems.fine[0])
                return replace(measurement, without=UNBOUNDED.format(seen))
            return with_ends(measurement, of_kinds, "unseen")
        of_rows = self.settings.inverted and self.problems.view == "class"
        if of_rows and not spec.metric.statistic:
            return of_classes(
                Measurement(value, replicates=replicates),
                self.problems.unseen_rows(self._draws),
                [self._settled[spec.name, k].of_cells for k in range(len(self.problems))],
                self.problems.fine,
                self.settings.level,
                spec.limits,
                pushed=spec.metric.pushed,
            )
        known = alone and not self._clustered  # the influence of single rows, in one problem
        skew = acceleration(settled.of_cells, self.problems.fine[0], self._more) if known else 0.0
        return Measurement(value, replicates=replicates, acceleration=skew)

    def _unseen_ends(self, spec: Spec) -> unseen.Ends | None:
        """Return the interval of a metric of the only problem, by one unseen row."""
        fine, function = self.problems.fine[0], self._settled[spec.name, 0].of_cells
        assert isinstance(spec.metric, CellMetric)
        more = beyond_cuts(spec.cuts, fine, self._unseen_kinds[0])
        plain, kinds = self.replicates[spec.name], [*self._unseen_kinds, *more]
        if self._few:
            shift = self.value[spec.name] - float(function(fine.cells))
            every = [*self._with_unseen, *(kind.added(self._smoothed) for kind in more)]
            shifted = ordered(lambda cells: function(cells) + shift, every, self.settings.threads)
            replicates = list(shifted)
        else:
            effect = influence(function, self._more)
            replicates = [plain + kind.weight * effect[kind.outcome, kind.at] for kind in kinds]
        if spec.metric.pushed:
            replicates.append(2 * self.value[spec.name] - plain)
        return unseen.ends(replicates, self.settings.level, *spec.limits, self.problems.rows())

    @cached_property
    def _more(self) -> More:
        """The only problem's fine cells with a little more weight."""
        return More.of(self.problems.fine[0].cells)

    @cached_property
    def _few(self) -> bool:
        """Whether the only problem has so few rows of an outcome, or so few surprises, that every
        replicate is computed with an unseen row."""
        return bool(few_of(self.problems.fine[0]))

    @cached_property
    def _smoothed(self) -> Cells:
        """The only problem's cells in every replicate, in which few rows have gamma weights."""
        assert self._drawn is not None
        fine, drawn = self.problems.fine[0], self._drawn
        return drawn if self._clustered else smoothed(drawn, fine, self._draws)

    @cached_property
    def _with_unseen(self) -> list[Cells]:
        """The only problem's cells in every replicate, with each kind of unseen row."""
        return [kind.added(self._smoothed) for kind in self._unseen_kinds]

    @cached_property
    def _unseen_kinds(self) -> list[UnseenCell]:
        mass = unseen.cluster_mass(self._draws, self.problems.weights)
        return unseen_cells(self.problems.fine[0], self._draws, mass)

    @property
    def _draws(self) -> Draws:
        assert self.settings.draws is not None
        return self.settings.draws

    def _candidate_draws(self) -> Draws:
        """Return the draws for candidates: in the class view of many rows, fewer replicates."""
        draws = self._draws
        if self.problems.view != "class":
            return draws
        most = max(MOST_LABELS // draws.rows, FEWEST)
        return replace(draws, replicates=min(draws.replicates, most))

    def _moves(self, spec: Spec) -> Array:
        """Return how far noise moves a metric if the smoothed observed gap is the truth, (R,)."""
        draws, threads = self._candidate_draws(), self.settings.threads
        self.problems.prepare(draws, threads)
        true = self._values(self.problems.truth(1.0), [spec.name], threads, truth=True)
        drawn = self._values(self.problems.simulated(1.0, draws, threads), [spec.name], threads)
        return drawn[spec.name] - true[spec.name]

    # -------------------------------------------------------------- replicates

    @property
    def replicates(self) -> dict[str, Array]:
        """Bootstrap replicates of every metric, moved by the difference that fine cells make."""
        if self._replicates is None:
            draws, threads = self._draws, self.settings.threads

            def tick(share: float) -> None:
                self.settings.progress("resampling curves", share)

            cells: Iterable[Cells] = self.problems.bootstrapped(draws, threads, tick)
            if len(self.problems) == 1:  # an unseen row is added to them
                cells = list(cells)
                self._drawn = cells[0]
            drawn = self._values(cells, self.specs, threads)
            whole = self._values((fine.cells for fine in self.problems.fine), self.specs, threads)
            self._replicates = {}
            for name in self.specs:
                moved = drawn[name] + (self.value[name] - float(whole[name]))
                metric = self.specs[name].metric
                assert isinstance(metric, CellMetric)
                self._replicates[name] = np.clip(moved, *self.specs[name].limits)
        return self._replicates

    @property
    def inverse(self) -> dict[str, inversion.Inverted]:
        """Interval, p-value and corrected estimate of every calibration error, by candidates."""
        if self._inverse is None:
            self._inverse = self._invert()
        return self._inverse

    def _invert(self) -> dict[str, inversion.Inverted]:
        """Draw data sets from candidates ever farther out, until every error's interval ends."""
        draws, threads = self._candidate_draws(), self.settings.threads
        known = self.specs | {x.name: x for x in self.counterparts.values() if x}
        errors = [name for name, spec in known.items() if spec.is_error]
        whole = self._values((fine.cells for fine in self.problems.fine), errors, threads)
        seen = {name: float(whole[name]) for name in errors}
        truth: dict[str, list[float]] = {name: [] for name in errors}
        drawn: dict[str, list[Array]] = {name: [] for name in errors}
        self.problems.prepare(draws, threads)
        noise: list[Array] = []  # the mean gaps of calibrated data sets, (R,) for each problem
        # threads share the candidates of one problem; of several, the work within a candidate,
        # whose data sets take more memory
        beside, within = (threads, 1) if len(self.problems) == 1 else (1, threads)

        def measured(step: float, names: Sequence[str] = errors) -> list[dict[str, Array]]:
            truths = self._values(self.problems.truth(step), names, within, truth=True)
            cells = self.problems.simulated(step, draws, within)
            return [truths, self._values(cells if step else _watched(cells, noise), names, within)]

        def add(truths: dict[str, Array], simulated: dict[str, Array]) -> None:
            for name, true in truths.items():
                truth[name].append(float(true))
                drawn[name].append(simulated[name])
            done = max(map(len, drawn.values())) / (len(STEPS) + 1)
            self.settings.progress("candidate truths", min(done, 1.0))

        def unfinished() -> list[str]:
            level = self.settings.level
            return [e for e in errors if not candidates.enough(seen[e], drawn[e][-1], level)]

        for values in ordered(measured, STEPS, beside):
            add(*values)
        step = STEPS[-1]
        while step <= FARTHEST and (names := unfinished()):
            step *= FARTHER
            add(*measured(step, names))
        self.settings.progress("candidate truths", 1.0)
        found = {
            name: candidates.along(
                seen[name], np.array(truth[name]), np.array(drawn[name]), self.settings.level
            )
            for name in errors
        }
        shifts = CurveShifts(self.problems, np.array(noise), self.settings.level)
        count = range(len(self.problems))
        settled = {name: [self._settled[name, index] for index in count] for name in errors}
        return {name: shifts.raised(settled[name], found[name]) for name in errors}

    def _values(
        self, cells: Iterable[Cells], names: Iterable[str], threads: int, *, truth: bool = False
    ) -> dict[str, Array]:
        """Return each metric on each problem's cells, combined over the problems."""
        # what took longest begins first; a metric that had only to fetch what another one computed
        # comes last, or a thread would wait for that
        order = longest_first({name: self._seconds[name] for name in names})
        values: dict[str, list[Array]] = {name: [] for name in order}
        mass = []
        for index, of_problem in enumerate(cells):
            mass.append(np.asarray(of_problem.total).mean())

            def work(name: str, index: int = index, of_problem: Cells = of_problem) -> Array:
                spec = self._settled[name, index]
                return spec.of_truth(of_problem) if truth else spec.of_cells(of_problem)

            for name, value in zip(values, ordered(work, list(values), threads), strict=True):
                values[name].append(value)
        shares = np.array(mass)
        return {name: self.problems.combine(np.array(x), shares) for name, x in values.items()}


def _watched(cells: Iterable[Cells], noise: list[Array]) -> Iterator[Cells]:
    """Yield each problem's cells, and note their mean gaps."""
    for of_problem in cells:
        noise.append((of_problem.y - of_problem.p).sum(axis=-1) / of_problem.total)
        yield of_problem
