"""Risk-coverage curves: the error rate of the rows that a model is most confident of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.diagrams import marks
from calibtool.diagrams.curve import Parts, data_columns, estimate_columns, stacked
from calibtool.diagrams.digits import intervals_note
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import Named, SharedOptions, named, request, with_calibrators
from calibtool.diagrams.options import Calibrators
from calibtool.diagrams.reliability_curves import percentiles
from calibtool.diagrams.style import DOTTED, Style
from calibtool.evaluation.evaluate import evaluate_variants
from calibtool.evaluation.results import Results
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.cells import Cells
from calibtool.metrics.profiles import equal_mass
from calibtool.metrics.ranking import accuracies_at
from calibtool.types import Array, silent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMITS = ("low", "high")
COVERAGE_TICKS = tuple(
    {at / 100: f"{at} %" if at else "0" for at in ticks}
    for ticks in ((0, 20, 40, 60, 80, 100), (0, 50, 100), (0, 100))
)
COVERAGE = np.arange(1, 201) / 200  # where curves are computed: steps finer than a line is wide
FINE = 4096  # most cells of a curve: 20 per step of the coverage


@dataclass(frozen=True, eq=False)
class Risk:
    """The curve of one variant.

    Attributes:
        label: name of the curve.
        risk: (200,) error rate of the most confident share of the rows, at each coverage.
        low, high: (200,) its band.
        best: (200,) risk if every error were less confident than every right answer.
        estimates: AURC and E-AURC, with their intervals.
    """

    label: str
    risk: Array
    low: Array
    high: Array
    best: Array
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True, eq=False)
class RiskCoverage(Drawn):
    """Risk against coverage.

    Attributes:
        curves: one per variant.
        data: what was read, one entry per set of predictions.
        level: of the bands.
        coverage: (200,) where the curves are computed.
        notes: what was left out, in words.
    """

    curves: tuple[Risk, ...]
    data: tuple[DataInfo, ...]
    level: float
    coverage: Array
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        return {
            "data": data_columns(self.data),
            "estimate": stacked(
                {"curve": curve.label, **estimate_columns(curve.estimates)} for curve in self.curves
            ),
            "curve": stacked(
                {"curve": curve.label, "coverage": self.coverage}
                | {"risk": curve.risk, "low": curve.low, "high": curve.high, "best": curve.best}
                for curve in self.curves
            ),
        }


def compute(
    predictions: Named, *, calibrators: Calibrators = (), **shared: Unpack[SharedOptions]
) -> RiskCoverage:
    """Compute risk against coverage (El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017).

    Args:
        predictions: one set, or several by name.
        calibrators: the predictions after each of these are drawn as well.
        shared: `resamples`, `level`, `seed` of the intervals, and `progress`.
    """
    sets = named(predictions)
    variants = with_calibrators(calibrators)
    curves, data = [], []
    for name, rows in sets.items():
        results = evaluate_variants(request(rows, ["aurc", "e-aurc"], variants, **shared))
        data.append(results.data)
        for number, variant in enumerate(variants):
            title = variant.title or "as given"
            label = title if len(sets) == 1 else f"{name}, {title}"
            if len(variants) == 1:
                label = name
            curves.append(of_variant(results, number, label))
    return RiskCoverage(tuple(curves), tuple(data), results.settings.level, COVERAGE)


def of_variant(results: Results, number: int, label: str) -> Risk:
    """Return the curve of one of several variants, with its band."""
    problems, draws = results.problems(number, "top"), results.band_draws
    exact = problems.exact(0)
    cells = exact if len(exact.at) <= FINE else exact.pool(equal_mass(exact, bins=FINE))
    risk = _risk(cells)
    low = high = np.full(len(COVERAGE), np.nan)
    if draws is not None:
        (drawn,) = problems.bootstrapped(draws, results.settings.threads, silent)
        # replicates are of the fine cells, the curve of the exact ones: the difference is put back
        moved = _risk(drawn) + (risk - _risk(problems.fine[0].cells))
        low, high = percentiles(np.clip(moved, 0, 1), results.settings.level, risk)
    right = float(exact.y.sum() / exact.total)
    best = np.maximum(0, 1 - right / COVERAGE)
    return Risk(label, risk, low, high, best, results.estimates(number))


def _risk(cells: Cells) -> Array:
    """Return the error rate at each coverage, (..., 200)."""
    with np.errstate(invalid="ignore"):  # a replicate may hold no row that weighs anything
        return 1 - accuracies_at(cells, COVERAGE.tolist())


def height(data: RiskCoverage, width: float, style: Style) -> float:
    """Return the height of the panel in inches: less than the width."""
    return 0.62 * width


def draw(data: RiskCoverage, axes: Axes, style: Style) -> None:
    """Draw one line per variant; if there is only one, also that of the best possible order."""
    from matplotlib.lines import Line2D

    coverage, handles = data.coverage, []
    alone = len(data.curves) == 1
    for index, curve in enumerate(data.curves):
        colour = style.colour(index)
        if len(data.curves) <= marks.WITH_INTERVALS:
            band = (coverage, curve.low, curve.high)
            marks.band(axes, *band, colour=colour, gid=f"band-{index}")
        look: dict[str, Any] = {"color": colour, "lw": style.line, "ls": style.dash(index)}
        axes.plot(coverage, curve.risk, zorder=4, gid=f"curve-{index}", **look)
        handles.append(Line2D([], [], **look))
    top = max(float(max(curve.risk.max(), _top(curve.high))) for curve in data.curves)
    axes.set_ylim(0, min(1.15 * top, 1.0) or 1.0)
    if alone:
        axes.plot(coverage, data.curves[0].best, color=style.muted, lw=style.line * 0.7, ls=DOTTED)
        first, *more = [marks.estimate_text(estimate) for estimate in data.curves[0].estimates]
        marks.header(axes, style, [first, "; ".join([*more, f"n = {data.data[0].rows:,}"])])
    else:
        labels = [(c.label, marks.estimate_text(c.estimates[0])) for c in data.curves]
        marks.key(axes, style, handles, labels)
    axes.set_xlim(0, 1)
    marks.ticks(axes.xaxis, *COVERAGE_TICKS)
    marks.percent_axis(axes)
    axes.set_xlabel("Coverage: the most confident share of the rows")
    axes.set_ylabel("Risk: their error rate")
    if len(data.curves) <= marks.WITH_INTERVALS:
        best = "; dotted: the best possible order" if alone else ""
        top = axes.get_ylim()[1]
        low, high = (np.concatenate([getattr(c, end) for c in data.curves]) for end in LIMITS)
        note = intervals_note("Colour", data.level, low, high, axis=top, noun="bands")
        marks.small_print(axes, style, f"{note}{best}")


def _top(values: Array) -> float:
    """Return the highest end of a band from a coverage of 10 %: below, a few rows make it wide."""
    known = values[20:]
    return float(np.nanmax(known)) if np.isfinite(known).any() else 0.0
