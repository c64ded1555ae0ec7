"""Calibration belts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.diagrams import histograms, marks, panels
from calibtool.diagrams.curve import (
    Histogram,
    Parts,
    data_columns,
    estimate_columns,
    plain,
    stacked,
)
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import Named, SharedOptions, only, request, shared_names, view_option
from calibtool.diagrams.options import View
from calibtool.diagrams.reliability_curves import FINE_BARS, histogram
from calibtool.diagrams.scales import AXIS_NAMES, LINEAR, Scale
from calibtool.diagrams.style import Style
from calibtool.errors import InputError
from calibtool.evaluation.evaluate import evaluate_rows
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.belt import Belt, fit_belt
from calibtool.metrics.cells import Cells
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALPHA = (0.32, 0.16)  # opacity of the narrow and of the wide band
NARROW = 0.8  # level of the narrow band, that of the R package givitiR


@dataclass(frozen=True, eq=False)
class BeltDiagram(Drawn):
    """A calibration belt.

    Attributes:
        belt: the curve, its bands, and the test of the diagonal.
        histogram: of the scores.
        estimates: the numbers that go with it.
        data: what was read.
        view: "top" or "positive".
        class_names: of the two classes, if they have names.
    """

    belt: Belt
    histogram: Histogram
    estimates: tuple[Estimate, ...]
    data: tuple[DataInfo, ...]
    view: str
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        belt = self.belt
        bands: dict[str, Array] = {}
        for k, level in enumerate(belt.level):
            bands |= {f"low_{100 * level:g}": belt.low[k], f"high_{100 * level:g}": belt.high[k]}
        test = {"degree": [belt.degree], "statistic": [belt.statistic], "p_value": [belt.p_value]}
        curve = {"score": belt.grid, "outcome": belt.curve, **bands}
        return {
            "data": data_columns(self.data),
            "estimate": estimate_columns(self.estimates),
            "test": {name: list(plain(x)) for name, x in test.items()},
            "curve": stacked([curve]),
            "histogram": stacked([self.histogram.columns()]),
        }


def compute(
    predictions: Named, *, view: View = "auto", **shared: Unpack[SharedOptions]
) -> BeltDiagram:
    """Compute the belt of Nattino, Finazzi & Bertolini 2014, at 80 % and at `level`.

    Args:
        predictions: one set.
        view: "positive", P(class 1); "top", the confidence of the predicted class; or "auto",
            positive for two classes and top otherwise.
        shared: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises InputError if no score lies between 0 and 1.
    """
    rows = only(predictions)
    results = evaluate_rows(request(rows, [f"ici({view_option(view, rows)})"], **shared))
    collected, chosen = results.collected[0].rows, results.specs[0].view
    score, outcome = collected.view(chosen)
    cells = Cells.from_rows(score, outcome, collected.weights)
    levels = tuple(sorted({NARROW, results.settings.level}))
    belt = fit_belt(cells, level=levels)
    if belt is None:
        raise InputError(f"{rows.source}: no score lies between 0 and 1; there is no belt")
    bars = histogram(results, 0, np.arange(1, FINE_BARS + 1) / FINE_BARS)
    found = belt, bars, results.estimates(), (results.data,), chosen
    return BeltDiagram(*found, class_names=shared_names(rows))


def height(data: BeltDiagram, width: float, style: Style) -> float:
    """Return the height in inches; the panel is square, `figure` takes their width."""
    return width


def draw(data: BeltDiagram, axes: Axes, style: Style) -> None:
    """Draw curve and bands over the diagonal, and a histogram beneath."""
    belt, scale, colour = data.belt, Scale(LINEAR, LINEAR, logit=False), style.colour(0)
    lower = panels.beneath(axes)
    panels.square(axes, scale, style)
    for k in np.argsort(belt.level)[::-1]:
        alpha = ALPHA[0] if k == np.argmin(belt.level) else ALPHA[1]
        band = (belt.grid, belt.low[k], belt.high[k])
        marks.band(axes, *band, colour=colour, alpha=alpha, gid=f"band-{k}")
    axes.plot(belt.grid, belt.curve, color=colour, lw=style.line, zorder=4, gid="curve-0")
    lines = _corner(data)
    taken = [(scale.even(), scale.even()), (belt.grid, belt.curve)]
    taken += [(belt.grid, edge) for edge in (belt.low[-1], belt.high[-1])]
    wide = marks.inner_width(axes)
    marks.corner(axes, style, lines, marks.corner_place(lines, taken, wide, style))
    x_name, y_name = AXIS_NAMES[data.view]
    axes.set_ylabel(y_name)
    lower.set_xlabel(x_name)
    scale.x_frame(lower)
    log = histograms.needs_log([data.histogram.mass])
    histograms.draw(lower, [data.histogram], style, log=log)
    levels = " and ".join(f"{100 * level:g} %" for level in belt.level)
    marks.small_print(
        lower, style, f"Bands: {levels} confidence{'; histogram: log scale' if log else ''}"
    )


def _corner(data: BeltDiagram) -> list[str]:
    p = data.belt.p_value
    test = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    numbers = [marks.estimate_text(estimate) for estimate in data.estimates[:1]]
    return [f"calibrated? {test}", *numbers, f"n = {data.data[0].rows:,}"]
