"""Risk-coverage curves in ink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibtool.diagrams.risk_coverage import RiskCoverage
from calibtool.ink import marks
from calibtool.ink.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WITH_BANDS = 4  # curves whose bands are drawn; those of more would hide one another


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
