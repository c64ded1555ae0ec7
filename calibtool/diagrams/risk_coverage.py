"""Risk-coverage curves: how often a model errs on the rows that it is most confident of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Recalibrator, Variant
from calibtool.diagrams import marks
from calibtool.diagrams.curve import Parts, data_columns, estimate_columns, stacked
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import How, Named, named
from calibtool.diagrams.reliability_curves import percentiles
from calibtool.diagrams.style import Style
from calibtool.evaluation.evaluate import evaluate_variants
from calibtool.evaluation.results import Results
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.cells import Cells
from calibtool.metrics.profiles import equal_mass
from calibtool.metrics.ranking import accuracy_at_coverage
from calibtool.types import Array, silent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WITH_BANDS = 4  # curves whose bands are drawn; those of more would hide one another
COVERAGE = np.arange(1, 201) / 200
FINE = 4096  # cells that stand for the rows


@dataclass(frozen=True, eq=False)
class Risk:
    """The curve of one system.

    Attributes:
        label: what it shows.
        risk: (200,) error rate of the most confident share of the rows, at each coverage.
        low, high: (200,) its band.
        best: (200,) the risk if every error were less confident than every right answer.
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
    """Risk against coverage."""

    curves: tuple[Risk, ...]
    data: tuple[DataInfo, ...]
    level: float
    coverage: Array
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        names = ("risk", "low", "high", "best")
        columns = [{name: getattr(c, name) for name in names} for c in self.curves]
        heads = [{"curve": curve.label} for curve in self.curves]
        return {
            "data": data_columns(self.data),
            "estimate": stacked(
                {**head, **estimate_columns(curve.estimates)}
                for head, curve in zip(heads, self.curves, strict=True)
            ),
            "curve": stacked(
                {**head, "coverage": self.coverage, **own}
                for head, own in zip(heads, columns, strict=True)
            ),
        }


def compute(
    predictions: Named, *, calibrators: Sequence[Recalibrator] = (), **how: Unpack[How]
) -> RiskCoverage:
    """Risk against coverage (El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017).

    Args:
        predictions: one set, or several by what to call them.
        calibrators: what each makes of the predictions is drawn beside them.
        how: `resamples`, `level`, `seed` of the intervals, and `progress`.
    """
    sets = named(predictions)
    systems = [Variant(), *(Variant.of(one) for one in calibrators)]
    curves, data = [], []
    for name, one in sets.items():
        found = evaluate_variants(one, ["aurc", "e-aurc"], systems, **how)
        data.append(found.data)
        for number, system in enumerate(systems):
            own = system.title or "as given"
            label = name if len(systems) == 1 else own if len(sets) == 1 else f"{name}, {own}"
            curves.append(of_system(found, number, label))
    return RiskCoverage(tuple(curves), tuple(data), found.settings.level, COVERAGE)


def of_system(found: Results, number: int, label: str) -> Risk:
    """The curve of one of several systems, with its band."""
    panels, draws = found.panels(number, "top"), found.settings.draws
    exact = panels.exact(0)
    cells = exact if len(exact.at) <= FINE else exact.pool(equal_mass(exact, bins=FINE))
    risk = _risk(cells)
    low = high = np.full(len(COVERAGE), np.nan)
    if draws is not None:
        (drawn,) = panels.bootstrapped(draws, found.settings.threads, silent)
        moved = _risk(drawn) + (risk - _risk(panels.fine[0].cells))
        low, high = percentiles(np.clip(moved, 0, 1), found.settings.level)
    right = float(exact.y.sum() / exact.total)
    best = np.maximum(0, 1 - right / COVERAGE)
    return Risk(label, risk, low, high, best, found.estimates(number))


def _risk(cells: Cells) -> Array:
    """Error rate at each coverage, (..., 200)."""
    with np.errstate(invalid="ignore"):  # a replicate may hold no row that weighs anything
        rates = [accuracy_at_coverage(cells, coverage=float(share)) for share in COVERAGE]
    return 1 - np.stack(rates, axis=-1)


def height(data: RiskCoverage, width: float, style: Style) -> float:
    """Wide rather than high, and the key."""
    lines = 0 if len(data.curves) == 1 else len(data.curves)
    return 0.68 * width + (6 + 1.2 * lines) * style.text / 72


def draw(data: RiskCoverage, axes: Axes, style: Style) -> None:
    """A line a system; for one alone, the best order beside it."""
    from matplotlib.lines import Line2D

    coverage, handles = data.coverage, []
    alone = len(data.curves) == 1
    for index, curve in enumerate(data.curves):
        colour = style.colour(index)
        if len(data.curves) <= WITH_BANDS:
            band = (coverage, curve.low, curve.high)
            marks.band(axes, *band, colour=colour, gid=f"band-{index}")
        how: dict[str, Any] = {"color": colour, "lw": style.line, "ls": style.dash(index)}
        axes.plot(coverage, curve.risk, zorder=4, gid=f"curve-{index}", **how)
        handles.append(Line2D([], [], **how))
    top = max(float(max(curve.risk.max(), _top(curve.high))) for curve in data.curves)
    axes.set_ylim(0, min(1.15 * top, 1.0) or 1.0)
    if alone:
        axes.plot(
            coverage, data.curves[0].best, color=style.muted, lw=style.line * 0.7, ls=(0, (2, 1.5))
        )
        first, *more = [marks.estimate_text(one) for one in data.curves[0].estimates]
        marks.header(axes, style, [first, "; ".join([*more, f"n = {data.data[0].rows:,}"])])
    else:
        labels = [
            f"{marks.long_name(c.label, 60)}: {marks.estimate_text(c.estimates[0])}"
            for c in data.curves
        ]
        marks.key(axes, style, handles, labels)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0", "20 %", "40 %", "60 %", "80 %", "100 %"])
    marks.percent_axis(axes)
    axes.set_xlabel("Coverage: the most confident share of the rows")
    axes.set_ylabel("Risk: their error rate")
    if len(data.curves) <= WITH_BANDS:
        best = "; dotted: the best possible order" if alone else ""
        marks.small_print(axes, style, f"Colour: {100 * data.level:g} % bands{best}")


def _top(values: object) -> float:
    import numpy as np

    known = np.asarray(values)[20:]
    return float(np.nanmax(known)) if np.isfinite(known).any() else 0.0
