"""Two models on the same rows: where one is better calibrated than the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.calibrators.crossfit import ROW, numbered
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.data.readable import Variant
from calibtool.diagrams import marks
from calibtool.diagrams.curve import Parts, data_columns, estimate_columns, stacked
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import How, Named, named, whole
from calibtool.diagrams.reliability import AXES
from calibtool.diagrams.reliability_curves import percentiles, smoother
from calibtool.diagrams.style import Style
from calibtool.errors import UsageError
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.evaluate import RowResults, evaluate_rows
from calibtool.intervals.estimate import Estimate
from calibtool.types import Array, silent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Line:
    """A curve of gaps, outcome minus score, with its band; NaN where there are few rows."""

    label: str
    gap: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Compare(Drawn):
    """Two models.

    Attributes:
        score: (M,) where the curves are computed.
        models: the gap of each.
        difference: that of the second minus that of the first, where both are known.
        estimates: each model's smooth ECE and NLL.
        change: the second's minus the first's, paired.
        bandwidth: of the kernel, the same for both.
        data: what was read.
        view: "top" or "positive".
        level: of the bands.
    """

    score: Array
    models: tuple[Line, Line]
    difference: Line
    estimates: tuple[tuple[Estimate, ...], ...]
    change: tuple[Estimate, ...]
    bandwidth: float
    data: tuple[DataInfo, ...]
    view: str
    level: float
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        lines = (*self.models, self.difference)
        told = zip(self.models, self.estimates, strict=True)
        return {
            "data": data_columns(self.data),
            "estimate": stacked(
                {"model": line.label, **estimate_columns(own)} for line, own in told
            ),
            "change": estimate_columns(self.change),
            "bandwidth": {"value": [self.bandwidth]},
            "curve": stacked(
                {"curve": one.label, "score": self.score, "gap": one.gap, "low": one.low}
                | {"high": one.high}
                for one in lines
            ),
        }


def compute(predictions: Named, *, view: str = "auto", **how: Unpack[How]) -> Compare:
    """The smoothed gaps of two models over the score, and their difference, paired.

    Args:
        predictions: two sets of the same rows, by what to call them.
        view: "top", "positive", or "auto" for what the first is.
        how: `resamples`, `level`, `seed` of the bands, and `progress`.

    Raises UsageError where the rows or their labels differ.
    """
    sets = {name: whole(one) for name, one in named(predictions).items()}
    if len(sets) != 2:
        raise UsageError(f"compare draws two sets of predictions, not {len(sets)}")
    (a_name, a), (b_name, b) = sets.items()
    _require_same_rows(a, b)
    at = "" if view == "auto" else f"(view={view})"
    specs = [f"smece{at}"] if a.kind == "confidence" else [f"smece{at}", "nll"]
    systems = [Variant(title=a_name), Variant(lambda block: _rows_of(b, block), b_name)]
    found = evaluate_rows(numbered(a), specs, systems, **how)
    width = max(found.measured[k][0].value or 0.0 for k in range(2))
    panels = [RowProblems(found.collected[k], found.view) for k in range(2)]
    smooth = [smoother(one, width) for one in panels]
    score = smooth[0].at
    gaps = [one(own.exact(0)) - score for one, own in zip(smooth, panels, strict=True)]
    drawn = [_drawn(found, panels[k], smooth[k], gaps[k]) for k in range(2)]
    level = found.settings.level
    first, second = (
        Line(name, gap, *percentiles(replicates, level))
        for name, gap, replicates in zip(sets, gaps, drawn, strict=True)
    )
    ends = percentiles(drawn[1] - drawn[0], level)
    data = tuple(replace(found.data, source=one.source, kind=one.kind) for one in sets.values())
    return Compare(
        score,
        (first, second),
        Line(f"{b_name} minus {a_name}", gaps[1] - gaps[0], *ends),
        (found.estimates(0), found.estimates(1)),
        found.change(),
        smooth[0].bandwidth,
        data,
        found.view,
        level,
    )


def _rows_of(other: Predictions, block: Predictions) -> Predictions:
    """The other model's rows in the place of a block's."""
    return other.take(block.extra[ROW])


def _drawn(found: RowResults, panels: RowProblems, smooth: object, gap: Array) -> Array:
    """Replicates of a gap, (R, M), by the draws that both models share; what the fine cells lose is
    put back."""
    assert callable(smooth)
    draws = found.settings.draws
    if draws is None:
        return np.full((1, len(gap)), np.nan)
    (cells,) = panels.bootstrapped(draws, found.settings.threads, silent)
    fine = panels.fine[0].cells
    return np.asarray(smooth(cells) - smooth(fine) + gap)


def _require_same_rows(a: Predictions, b: Predictions) -> None:
    if a.rows != b.rows:
        raise UsageError(
            f"{a.source} has {a.rows:,} rows, {b.source} has {b.rows:,}; compare needs two models "
            "on the same rows, in the same order"
        )
    if (a.kind == "confidence") != (b.kind == "confidence") or a.classes != b.classes:
        raise UsageError(
            f"{a.source} and {b.source} do not hold the same: {a.classes or 'no'} and "
            f"{b.classes or 'no'} classes; compare needs two models of one problem"
        )
    if a.labels is not None and b.labels is not None and (a.labels != b.labels).any():
        row = int(np.flatnonzero(a.labels != b.labels)[0])
        raise UsageError(
            f"{a.source} and {b.source}: the labels of row {row} (counting from 0) differ; compare "
            "needs two models on the same rows, in the same order"
        )


def height(data: Compare, width: float, style: Style) -> float:
    """Two panels."""
    return 1.05 * width + 9 * style.text / 72


def draw(data: Compare, axes: Axes, style: Style) -> None:
    """The gap of each model above; the difference below, thick where its band leaves out 0."""
    from matplotlib.lines import Line2D

    place = marks.inside(axes)
    upper, lower = place.subplots(2, 1, sharex=True)
    x, handles, labels = data.score, [], []
    for index, line in enumerate(data.models):
        colour = style.colour(index)
        marks.band(upper, x, line.low, line.high, colour=colour, gid=f"band-{index}")
        how: dict[str, Any] = {
            "color": colour,
            "lw": style.line,
            "ls": "-" if not index else (0, (4, 1.6)),
        }
        upper.plot(x, line.gap, zorder=4, gid=f"curve-{index}", **how)
        handles.append(Line2D([], [], **how))
        numbers = ", ".join(marks.estimate_text(one) for one in data.estimates[index][:1])
        labels.append(f"{marks.long_name(line.label, 40)}: {numbers}")
    marks.key(upper, style, handles, labels)
    one = data.difference
    colour = style.colour(2)
    marks.band(lower, x, one.low, one.high, colour=colour, gid="band-2")
    lower.plot(x, one.gap, color=colour, lw=style.line * 0.7, zorder=3, gid="curve-2")
    sure = np.where((one.low > 0) | (one.high < 0), one.gap, np.nan)
    lower.plot(x, sure, color=colour, lw=style.line * 2, solid_capstyle="butt", zorder=4)
    for ax in (upper, lower):
        ax.axhline(0, color=style.muted, lw=style.line * 0.5, zorder=1)
    x_name, y_name = AXES[data.view]
    upper.set_ylabel(f"{y_name} - {x_name.lower()}" if data.view == "top" else f"{y_name} - P")
    lower.set_ylabel("Difference")
    lower.set_xlabel(x_name)
    shown = np.isfinite(np.array([line.gap for line in data.models])).any(axis=0)
    if shown.any():
        lower.set_xlim(float(x[shown].min()), 1.0)
    change = "; ".join(f"{marks.estimate_text(c)}" for c in data.change)
    lower.set_title(
        f"{marks.long_name(one.label, 44)}\n{change}",
        fontsize=style.small,
        loc="left",
        linespacing=1.3,
    )
    marks.foot(
        place,
        style,
        f"Colour: {100 * data.level:g} % bands, pointwise; that of the difference is paired; thick "
        f"where it leaves out 0; n = {data.data[0].rows:,}",
    )
