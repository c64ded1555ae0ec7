"""Measure from a summary: every metric that needs no rows, with replicates drawn from its cells.

A replicate draws how many rows of each outcome every cell has (Poisson, the bootstrap of counts);
1,000 replicates cost the same whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from calibtool.errors import WHOLE_ROWS, NotAvailableError
from calibtool.evaluation.binned import of_problems
from calibtool.evaluation.cell_bias import bias_and_error
from calibtool.evaluation.cell_problems import CellProblems, lacking_view
from calibtool.evaluation.cell_scores import deviates, mean_of, of_class_counts, paired
from calibtool.evaluation.curve_metrics import CurveMetrics
from calibtool.evaluation.measurement import Finish, Measurement, Settings, Sums
from calibtool.evaluation.profile_errors import ProfileErrors, SharedProfiles
from calibtool.evaluation.statistic import tested
from calibtool.evaluation.unseen_rows import (
    UnseenRows,
    cases_of_bias,
    mean_ends,
    with_ends,
)
from calibtool.evaluation.unseen_sums import (
    informative,
    skewed,
    spread_of_bias,
    unseen_of,
)
from calibtool.intervals.inversion import pieces
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import (
    BinnedError,
    CellMetric,
    CountMetric,
    MatrixMetric,
    Score,
)
from calibtool.metrics.profiles import profile
from calibtool.metrics.resolve import written_out
from calibtool.metrics.spec import Spec
from calibtool.streaming.summary import Summary, in_bins
from calibtool.types import Array

NO_ROWS = "needs rows; cells hold none"


def measure_cells(
    specs: Sequence[Spec], summaries: Sequence[Summary], settings: Settings, view: str | None
) -> tuple[list[list[Measurement]], Measurement]:
    """Measure every spec on every variant's summary.

    Returns measurements by [variant][spec], and the first variant's bias in `view`, without a
    value where `view` is None.
    """
    measured = [_VariantMetrics(summary, specs, settings).measure() for summary in summaries]
    for summary, after in zip(summaries[1:], measured[1:], strict=True):
        for k, spec in enumerate(specs):
            after[k] = paired(spec, measured[0][k], after[k], summary, settings)
    bias = Measurement() if view is None else bias_of(summaries[0], view, settings)
    return measured, bias


def bias_of(summary: Summary, view: str, settings: Settings) -> Measurement:
    """Measure mean score minus mean outcome, with replicates and an unseen row."""
    value, error = bias_and_error(summary.cells(view))
    if settings.draws is None:
        return Measurement(value)
    cells, count, weight = informative(summary, view)
    of_weighted, skew = spread_of_bias(cells, count, weight, value)
    if summary.weighted:
        error = of_weighted
    normal = deviates(settings.draws, "bias")
    measurement = Measurement(value, replicates=value + error * normal)
    if not settings.inverted:
        return measurement
    cases = cases_of_bias(cells.centres(), settings.draws, count, weight)
    drawn = value + error * skewed(normal, skew, settings.draws.seed)
    ends = mean_ends(drawn, float(cells.total), cases, settings.level, (-1.0, 1.0))
    return with_ends(measurement, ends, "unseen")


class _VariantMetrics:
    """The metrics of one variant's summary."""

    def __init__(self, summary: Summary, specs: Sequence[Spec], settings: Settings) -> None:
        self.summary, self.specs, self.settings = summary, specs, settings
        self.shared = SharedProfiles()
        self._problems: dict[str, CellProblems] = {}
        self._curves: dict[str, CurveMetrics] = {}

    def measure(self) -> list[Measurement]:
        # all metrics first say which profiles they need: those that several share are drawn once
        finishes = [self._finish_of(spec) for spec in self.specs]
        return [
            self._widened(spec, finish(None))
            for spec, finish in zip(self.specs, finishes, strict=True)
        ]

    def _finish_of(self, spec: Spec) -> Finish:
        try:
            return self._by_kind(spec)
        except NotAvailableError as error:
            missing = Measurement(missing=str(error))
            return lambda sums: missing

    def _by_kind(self, spec: Spec) -> Finish:
        match spec.metric:
            case Score():
                score = mean_of(spec, self.summary, self.settings, self._unseen)
                return lambda sums: score
            case CountMetric():
                counts = Measurement(of_class_counts(spec, spec.metric, self.summary))
                return lambda sums: counts
            case CellMetric(edges=None):
                problems = self._problems_of(spec.view)
                require_cuts(spec, problems.ends)
                finish = self._curves_of(spec.view).add(spec)
                curve = tested(finish, spec, problems, self.settings)(None)
                return lambda sums: curve
            case CellMetric():
                problems = self._problems_of(spec.view)
                return of_problems(spec, problems, self.settings, self.shared)
            case BinnedError():
                in_class_bins = spec.view == "class" and in_bins(self.summary.shape)
                if in_class_bins and spec.one_edge_for_all:
                    return _in_bins(spec, self.summary, self.settings, self.shared)
                problems = self._problems_of(spec.view)
                if spec.one_edge_for_all:
                    require_ends(spec, problems.ends)
                if spec.view in ("top", "positive"):
                    return _of_column(spec, problems, self.settings, self.shared)
                return of_problems(spec, problems, self.settings, self.shared)
        metric = spec.metric
        whole = isinstance(metric, MatrixMetric) and metric.of_confidences is None
        confidences = self.summary.kind == "confidence"
        raise NotAvailableError(WHOLE_ROWS if whole and confidences else NO_ROWS)

    @cached_property
    def _unseen(self) -> UnseenRows | None:
        """The rows of which an unseen one may be; None where no interval asks for them."""
        if self.settings.draws is None:
            return None
        columns = {n for s in self.specs if isinstance(s.metric, Score) for n in s.metric.needs}
        return unseen_of(self.summary, self.settings.draws, frozenset(columns))

    def _widened(self, spec: Spec, measurement: Measurement) -> Measurement:
        """Widen intervals and replicates of the class view.

        Classes are drawn one by one, as if independent, but every row is in the problems of all of
        them: with K equally frequent classes, a sum of their gaps can have K / (K - 1) times the
        variance of independent ones. For unequal shares, K is the effective number of classes,
        1 / sum(share**2). The factor is at most 2, that of two classes, which themselves are drawn
        together and need none.
        """
        if spec.view != "class" or (self.summary.classes or 0) <= 2:
            return measurement
        name = "class" if self.summary.has("class") else "class-grid"
        shares = self.summary.cells(name).y.sum(axis=-1)
        effective = float(shares.sum() ** 2 / (shares**2).sum())
        wider = min(effective / (effective - 1), 2.0) ** 0.5 if effective > 1 else 2.0**0.5
        inverse = measurement.inverse
        if inverse is not None:
            low, middle, high = inverse.low, inverse.corrected, inverse.high
            low = max(middle - wider * (middle - low), 0.0)
            inverse = inverse._replace(low=low, high=middle + wider * (high - middle))
            measurement = replace(measurement, inverse=inverse)
        if measurement.replicates is not None:
            middle = float(np.nanmean(measurement.replicates))
            replicates = middle + wider * (measurement.replicates - middle)
            measurement = replace(measurement, replicates=replicates)
        return measurement

    def _problems_of(self, view: str) -> CellProblems:
        if view not in self._problems:
            self._problems[view] = CellProblems(self.summary, view)
        return self._problems[view]

    def _curves_of(self, view: str) -> CurveMetrics:
        if view not in self._curves:
            specs = [s for s in self.specs if s.is_curve and s.view == view]
            self._curves[view] = CurveMetrics(self._problems_of(view), specs, self.settings)
        return self._curves[view]


def require_ends(spec: Spec, ends: Array) -> None:
    """Check that cells end where a metric's bins do. Raises NotAvailableError."""
    edges = spec.edges(Cells.empty())
    if not np.isin(edges, ends).all():
        raise NotAvailableError(
            f"these cells do not end at the edges of {len(edges):,} bins; make them with "
            f'--metrics "{written_out(spec).name}"'
        )


def require_cuts(spec: Spec, ends: Array) -> None:
    """Check that cells end where a metric jumps. Raises NotAvailableError."""
    if not np.isin(spec.cuts, ends).all():
        raise NotAvailableError(
            f"these cells do not end at its threshold; make them with --metrics "
            f'"{written_out(spec).name}"'
        )


def resolution(spec: Spec, summary: Summary, value: float) -> float:
    """Return how much a metric whose cuts depend on the data moves when cells are twice as wide; 0
    for metrics that cells give exactly."""
    if not isinstance(spec.metric, BinnedError | CellMetric) or spec.one_edge_for_all:
        return 0.0
    if spec.is_curve and spec.cuts:  # where cells have to end
        return 0.0
    try:
        problems = CellProblems(summary, spec.view)
        problems.widen()
        if isinstance(spec.metric, CellMetric):
            moved = problems.values([lambda cells, k: spec.settled(cells).of_cells(cells)], 1)[0]
        elif spec.view in ("top", "positive"):
            cells = problems.exact(0)
            moved = float(spec.of_profile(profile(cells.pool(spec.edges(cells)))))
        else:
            return 0.0
    except (NotAvailableError, ValueError, IndexError):  # too few cells are left to be joined
        return 0.0
    return abs(moved - value) if np.isfinite(moved) else 0.0


def _of_column(
    spec: Spec, problems: CellProblems, settings: Settings, shared: SharedProfiles
) -> Finish:
    """Measure a binned error of the top or the positive view, which is one binary problem."""
    exact = problems.exact(0)
    edges = spec.edges(exact)
    seen = profile(exact.pool(edges))
    value = float(spec.of_profile(seen))
    key = (spec.view, edges.tobytes())
    shared.want(key)

    def make() -> ProfileErrors:
        assert settings.draws is not None
        gap, mass = problems.column(edges, settings.draws)
        count = None if problems.weights is None else lambda: problems.rows_by_bin(0, edges)
        return ProfileErrors(seen, gap, mass, problems.rows(), settings, count)

    def finish(sums: Sums) -> Measurement:
        if settings.draws is None:
            return Measurement(value)
        return shared.take(key, make).measure(spec, value)

    return finish


def _in_bins(spec: Spec, summary: Summary, settings: Settings, shared: SharedProfiles) -> Finish:
    """Measure an error of many classes in bins: a summary of many classes keeps sums of squares by
    bin, but no fine cells."""
    if not summary.has("class"):
        raise NotAvailableError(lacking_view(summary, "class"))
    require_ends(spec, summary.ends("class"))
    edges = spec.edges(Cells.empty())
    value = float(spec.of_profile(profile(summary.cells("class").pool(edges))))
    key = ("bins of classes", edges.tobytes())
    shared.want(key)

    def finish(sums: Sums) -> Measurement:
        if settings.draws is None:
            return Measurement(value)
        return shared.take(key, lambda: _drawn_bins(summary, edges, settings)).measure(spec, value)

    return finish


def _drawn_bins(summary: Summary, edges: Array, settings: Settings) -> ProfileErrors:
    """Return the errors of many classes' bins, whose replicates are normal with each bin's own
    moments."""
    assert settings.draws is not None
    cells = summary.cells("class").pool(edges)
    seen = profile(cells)
    total = float(cells.total[0])
    squares, pp, py = (
        Cells(summary.ends("class"), x, x, x).pool(edges).n
        for x in (
            summary.squares("class"),
            *(summary.sums[f"class/{k}"].high for k in ("pp", "py")),
        )
    )
    weight_per_row = np.divide(squares, cells.n, out=np.ones_like(squares), where=cells.n > 0)
    # the variance of a bin's summed gap: sum of (y - p)**2 = y - 2 p y + p**2, as y is 0 or 1
    residual = np.maximum((cells.y - 2 * py + pp) * weight_per_row, 0)
    root = np.sqrt(residual)
    # the covariance of mass and gap is the summed gap itself: rows that are drawn more often add
    # to both. `shared` is the part of the mass's spread that goes with the gap's, `rest` the other
    shared = np.divide(
        (cells.y - cells.p) * weight_per_row, root, out=np.zeros_like(root), where=root > 0
    )
    rest = np.sqrt(np.maximum(squares - shared**2, 0))
    rng = generator(Stream.CLASS_BINS, settings.draws.seed)
    size = (settings.draws.replicates, *root.shape)
    gap, mass = (rng.standard_normal(size, dtype=np.float32) for _ in range(2))
    for at in pieces(len(gap), root.size):
        of_gap, of_mass = gap[at], mass[at]
        moved = seen.mass + (shared * of_gap + rest * of_mass) / total
        gap[at], mass[at] = seen.gap + root / total * of_gap, np.maximum(moved, 0)
    rows = total**2 / float(squares[0].sum())
    by_bin = np.divide(cells.n, weight_per_row, out=np.zeros_like(root), where=squares > 0)
    return ProfileErrors(seen, gap, mass, rows, settings, lambda: by_bin)
