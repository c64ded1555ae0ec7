"""Calibration belts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Variant
from calibtool.diagrams import marks
from calibtool.diagrams.curve import (
    Histogram,
    Parts,
    data_columns,
    estimate_columns,
    plain,
    stacked,
)
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import How, Named, only
from calibtool.diagrams.reliability import AXES, LOWER, SPACE
from calibtool.diagrams.reliability_curves import FINE_BARS, histogram
from calibtool.diagrams.scales import LINEAR, Scale
from calibtool.diagrams.style import Style
from calibtool.errors import InputError
from calibtool.evaluation.evaluate import evaluate_rows
from calibtool.intervals.estimate import Estimate
from calibtool.metrics import clinical
from calibtool.metrics.cells import Cells
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALPHA = (0.32, 0.16)  # of the narrow and of the wide band
LEVELS = (0.8, 0.95)


@dataclass(frozen=True, eq=False)
class BeltDiagram(Drawn):
    """A calibration belt.

    Attributes:
        belt: the curve, its bands, and the test of the diagonal.
        histogram: of the scores.
        estimates: the numbers that go with it.
        data: what was read.
        view: "top" or "positive".
    """

    belt: clinical.Belt
    histogram: Histogram
    estimates: tuple[Estimate, ...]
    data: tuple[DataInfo, ...]
    view: str
    notes: tuple[str, ...] = ()

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


def compute(predictions: Named, *, view: str = "auto", **how: Unpack[How]) -> BeltDiagram:
    """The belt of Nattino, Finazzi & Bertolini 2014, at 80 % and at the level asked for.

    Args:
        predictions: one set.
        view: "top", "positive", or "auto" for what the data are.
        how: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises InputError where no score lies between 0 and 1.
    """
    one = only(predictions)
    at = "" if view == "auto" else f"(view={view})"
    found = evaluate_rows(one, [f"ici{at}"], [Variant()], **how)
    rows = found.collected[0].rows
    found_view = found.specs[0].view
    score, outcome = rows.view(found_view)
    cells = Cells.from_rows(score, outcome, rows.weights)
    levels = tuple(sorted({LEVELS[0], found.settings.level}))
    belt = clinical.belt(cells, level=levels)
    if belt is None:
        raise InputError(f"{one.source}: no score lies between 0 and 1; there is no belt")
    bars = histogram(found, 0, np.arange(1, FINE_BARS + 1) / FINE_BARS)
    return BeltDiagram(belt, bars, found.estimates(), (found.data,), found_view)


def height(data: BeltDiagram, width: float, style: Style) -> float:
    """The panel is square: the height follows."""
    return width


def draw(data: BeltDiagram, axes: Axes, style: Style) -> None:
    """Curve and bands over the diagonal; a histogram beneath."""
    belt, scale, colour = data.belt, Scale(LINEAR, LINEAR, logit=False), style.colour(0)
    lower = marks.beneath(axes, LOWER, SPACE)
    axes.set_box_aspect(1)
    axes.set_anchor("N")
    scale.frame(axes)
    marks.diagonal(axes, style, scale.even())
    for k in np.argsort(belt.level)[::-1]:
        alpha = ALPHA[0] if k == np.argmin(belt.level) else ALPHA[1]
        band = (belt.grid, belt.low[k], belt.high[k])
        marks.band(axes, *band, colour=colour, alpha=alpha, gid=f"band-{k}")
    axes.plot(belt.grid, belt.curve, color=colour, lw=style.line, zorder=4, gid="curve-0")
    lines = _corner(data)
    taken = [(scale.even(), scale.even()), (belt.grid, belt.curve)]
    taken += [(belt.grid, edge) for edge in (belt.low[-1], belt.high[-1])]
    wide = marks.width_of(axes) * axes.get_position().width
    marks.corner(axes, style, lines, marks.corner_place(lines, taken, wide, style))
    x_name, y_name = AXES[data.view]
    axes.set_ylabel(y_name)
    lower.set_xlabel(x_name)
    scale.x_frame(lower)
    marks.histogram(lower, data.histogram, style)
    levels = " and ".join(f"{100 * level:g} %" for level in belt.level)
    marks.small_print(lower, style, f"Bands: {levels} confidence")


def _corner(data: BeltDiagram) -> list[str]:
    p = data.belt.p_value
    test = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    numbers = [marks.estimate_text(one) for one in data.estimates[:1]]
    return [f"calibrated? {test}", *numbers, f"n = {data.data[0].rows:,}"]
