"""Histograms of P(class 1), of the rows that had the outcome and of those that had not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.diagrams import histograms, marks, texts
from calibtool.diagrams.curve import Parts, columns_of, data_columns, estimate_columns, stacked
from calibtool.diagrams.digits import brief
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import (
    Named,
    SharedOptions,
    only,
    request,
    require_two_classes,
    shared_names,
)
from calibtool.diagrams.options import Bins
from calibtool.diagrams.scales import AXIS_NAMES
from calibtool.diagrams.style import Style
from calibtool.evaluation.evaluate import evaluate_variants
from calibtool.evaluation.results import Results
from calibtool.formatting import percent
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.cells import Cells
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# where the axis may end: probabilities of a rare outcome would all stand in its first bin
ENDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, eq=False)
class Side:
    """The rows with one outcome.

    Attributes:
        label: "class 1" or "class 0".
        share: their share of the weight.
        mean, median: of their probabilities; NaN without rows.
        mass: (M,) share of the weight of the side in each bin.
    """

    label: str
    share: float
    mean: float
    median: float
    mass: Array


@dataclass(frozen=True, eq=False)
class Outcomes(Drawn):
    """Histograms of P(class 1) by outcome.

    Attributes:
        sides: rows with outcome 1, and with outcome 0.
        edges: (M + 1,) edges of the bins.
        estimates: AUROC.
        data: what was read.
        notes: what was left out, in words.
        class_names: of the two classes, if they have names.
    """

    sides: tuple[Side, Side]
    edges: Array
    estimates: tuple[Estimate, ...]
    data: tuple[DataInfo, ...]
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        bins = {"from": self.edges[:-1], "to": self.edges[1:]}
        named = {"group": [side.label for side in self.sides]}
        return {
            "data": data_columns(self.data),
            "estimate": estimate_columns(self.estimates),
            "group": named | columns_of(self.sides, ("share", "mean", "median")),
            "histogram": stacked({"group": s.label, **bins, "mass": s.mass} for s in self.sides),
        }


def compute(predictions: Named, *, bins: Bins = 20, **shared: Unpack[SharedOptions]) -> Outcomes:
    """Compute histograms of P(class 1) by outcome (Van Calster et al. 2025).

    Args:
        predictions: one set, of two classes.
        bins: number of bins, of equal width, up to the end of the axis.
        shared: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises UsageError for more than two classes.
    """
    rows = only(predictions)
    require_two_classes(rows, "this diagram")
    results = evaluate_variants(request(rows, ["auroc"], **shared))
    sides, edges = of_results(results, bins)
    found = sides, edges, results.estimates(), (results.data,)
    return Outcomes(*found, class_names=shared_names(rows))


def of_results(results: Results, bins: int = 20) -> tuple[tuple[Side, Side], Array]:
    """Return both sides of the first variant, and the edges of the bins."""
    cells = results.problems(0, "positive").exact(0)
    top = float(cells.centres()[cells.n > 0].max())
    end = next(end for end in ENDS if top <= end * (1 + 1e-6))
    edges = end * np.arange(1, bins + 1) / bins
    whole = float(cells.total)
    sides = (
        _side("class 1", cells, cells.y, edges, whole),
        _side("class 0", cells, cells.n - cells.y, edges, whole),
    )
    return sides, np.append(0.0, edges)


def _side(label: str, cells: Cells, mass: Array, edges: Array, whole: float) -> Side:
    """Return the rows of one outcome, whose weight by cell is `mass`."""
    at, total = cells.centres(), float(mass.sum())
    if not total > 0:
        return Side(label, 0.0, float("nan"), float("nan"), np.zeros(len(edges)))
    pooled = Cells(cells.at, mass, mass * at, mass).pool(edges)
    median = float(at[np.argmax(np.cumsum(mass) >= total / 2 * (1 - 1e-12))])
    return Side(label, total / whole, float(mass @ at) / total, median, pooled.n / total)


def height(data: Outcomes, width: float, style: Style) -> float:
    """Return the height of the panel in inches: less than the width."""
    return _heights(data, width, style)[0]


def _heights(data: Outcomes, width: float, style: Style) -> tuple[float, float]:
    """Return the height of the panel, and the share of it for words at each end."""
    return texts.mirrored(style, [data.named(_words(side)) for side in data.sides], width, 0.62)


def draw(data: Outcomes, axes: Axes, style: Style) -> None:
    """Draw both histograms on one scale, that of outcome 1 upwards, that of outcome 0 downwards."""
    up, down = data.sides
    top, bottom = float(up.mass.max()), float(down.mass.max())
    taken = _heights(data, marks.width_of(axes), style)[1]
    room = max(0.3, 2 * taken / (1 - 2 * taken)) * (top + bottom)  # for words
    for index, (side, sign) in enumerate(((up, 1), (down, -1))):
        colour = style.colour(index)
        look: dict[str, Any] = {"fill": True, "lw": 0, "alpha": 0.85, "gid": f"histogram-{index}"}
        axes.stairs(sign * side.mass, data.edges, color=colour, **look)
        texts.inside(
            axes,
            style,
            data.named(_words(side) if style.stats else side.label),
            (0.985, 0.985 if sign > 0 else 0.015),
            ha="right",
            va="top" if sign > 0 else "bottom",
            color=colour,
        )
    axes.axhline(0, color=style.muted, lw=style.line * 0.5)
    axes.set_ylim(-bottom - room, top + room)
    axes.set_xlim(0, float(data.edges[-1]))
    ends = [(sign * most, percent(most, 0)) for sign, most in ((-1, bottom), (1, top)) if most]
    marks.ticks(axes.yaxis, dict([*ends, (0.0, "0")]))
    axes.set_xlabel(AXIS_NAMES["positive"][0])
    log = histograms.needs_log([up.mass, down.mass], histograms.ALONE)
    if log:
        histograms.mirror_on_log(axes, up.mass, down.mass)
    axes.set_ylabel(f"Share of the class{', log scale' if log else ''}")
    head = [marks.estimate_text(data.estimates[0]), f"n = {data.data[0].rows:,}"]
    marks.header(axes, style, ["; ".join(head)])


def _words(side: Side) -> str:
    """Return the name, the share and the mean of a side."""
    if not side.share:
        return f"{side.label}: none"
    return f"{side.label}, {100 * side.share:.3g} % of rows: mean {brief(side.mean)}"
