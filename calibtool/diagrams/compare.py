"""Two models on the same rows: where one is better calibrated than the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.calibrators.crossfit import ROW, numbered
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.data.readable import Variant
from calibtool.diagrams import marks, panels
from calibtool.diagrams.curve import Parts, data_columns, estimate_columns, stacked
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import (
    Named,
    SharedOptions,
    named,
    request,
    shared_names,
    view_option,
)
from calibtool.diagrams.options import View
from calibtool.diagrams.reliability_curves import Smooth, percentiles, smoother
from calibtool.diagrams.scales import AXIS_NAMES
from calibtool.diagrams.style import Style
from calibtool.errors import UsageError, row_name
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.evaluate import RowResults, evaluate_rows
from calibtool.intervals.estimate import Estimate
from calibtool.types import Array, silent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Line:
    """A curve of gaps, outcome minus score, with its band; NaN where there are few rows.

    Attributes:
        label: name of the model, or of the difference.
        gap, low, high: (M,) gap and its band.
    """

    label: str
    gap: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Compare(Drawn):
    """The gaps of two models on the same rows.

    Attributes:
        score: (M,) where the curves are computed.
        models: the gap of each model.
        difference: gap of the second minus gap of the first, where both are known.
        estimates: smooth ECE and NLL of each model.
        change: those of the second minus those of the first, paired.
        bandwidth: of the kernel, the same for both.
        data: what was read.
        view: "top" or "positive".
        level: of the bands.
        class_names: of the two classes, if they have names.
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
    class_names: tuple[str, ...] | None = None

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        lines = (*self.models, self.difference)
        return {
            "data": data_columns(self.data),
            "estimate": stacked(
                {"model": model.label, **estimate_columns(estimates)}
                for model, estimates in zip(self.models, self.estimates, strict=True)
            ),
            "change": estimate_columns(self.change),
            "bandwidth": {"value": [self.bandwidth]},
            "curve": stacked(
                {"curve": line.label, "score": self.score}
                | {"gap": line.gap, "low": line.low, "high": line.high}
                for line in lines
            ),
        }


def compute(predictions: Named, *, view: View = "auto", **shared: Unpack[SharedOptions]) -> Compare:
    """Compute the smoothed gaps of two models over the score, and their paired difference.

    Args:
        predictions: two sets of the same rows, by name.
        view: "positive", P(class 1); "top", the confidence of the predicted class; or "auto",
            positive for two classes and top otherwise.
        shared: `resamples`, `level`, `seed` of the bands, and `progress`.

    Raises UsageError if the rows or their labels differ.
    """
    sets = {name: rows.load() for name, rows in named(predictions).items()}
    if len(sets) != 2:
        raise UsageError(f"compare draws two sets of predictions, not {len(sets)}")
    (a_name, a), (b_name, b) = sets.items()
    _require_same_rows(a, b)
    error = f"smece({view_option(view, a, b)})"
    specs = [error] if a.kind == "confidence" else [error, "nll"]
    variants = [Variant(title=a_name), Variant(lambda block: _rows_of(b, block), b_name)]
    results = evaluate_rows(request(numbered(a), specs, variants, **shared))
    # one bandwidth for both, the wider, so that their curves differ by their gaps alone
    width = max(results.measured[k][0].value or 0.0 for k in range(2))
    problems = [RowProblems(results.collected[k], results.view) for k in range(2)]
    smoothers = [smoother(problem, width) for problem in problems]
    score = smoothers[0].at
    gaps = [smoothers[k](problems[k].exact(0)) - score for k in range(2)]
    replicates = [_replicates(results, problems[k], smoothers[k], gaps[k]) for k in range(2)]
    level = results.settings.level
    first, second = (
        Line(name, gap, *percentiles(drawn, level, gap))
        for name, gap, drawn in zip(sets, gaps, replicates, strict=True)
    )
    ends = percentiles(replicates[1] - replicates[0], level, gaps[1] - gaps[0])
    return Compare(
        score=score,
        models=(first, second),
        difference=Line(f"{b_name} minus {a_name}", gaps[1] - gaps[0], *ends),
        estimates=(results.estimates(0), results.estimates(1)),
        change=results.change(),
        bandwidth=smoothers[0].bandwidth,
        data=tuple(replace(results.data, source=p.source, kind=p.kind) for p in (a, b)),
        view=results.view,
        level=level,
        class_names=shared_names(a, b),
    )


def _rows_of(other: Predictions, block: Predictions) -> Predictions:
    """Return the rows of the other model that belong to a block."""
    return other.take(block.extra[ROW])


def _replicates(results: RowResults, problem: RowProblems, smooth: Smooth, gap: Array) -> Array:
    """Return replicates of a gap, (R, M), by the draws that both models share."""
    draws = results.band_draws
    if draws is None:
        return np.full((1, len(gap)), np.nan)
    (cells,) = problem.bootstrapped(draws, results.settings.threads, silent)
    fine = problem.fine[0].cells
    # replicates are of the fine cells, the gap of the exact ones: the difference is put back
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
            f"{a.source} and {b.source}: the labels of {row_name(row)} differ; compare "
            "needs two models on the same rows, in the same order"
        )


def height(data: Compare, width: float, style: Style) -> float:
    """Return the height of both panels in inches."""
    return 0.9 * width


def draw(data: Compare, axes: Axes, style: Style) -> None:
    """Draw the gaps of both models; below, the difference, thick where its band excludes 0."""
    from matplotlib.lines import Line2D

    place = panels.inside(axes)
    upper, lower = place.subplots(2, 1, sharex=True)
    x, handles, labels = data.score, [], []
    for index, line in enumerate(data.models):
        colour = style.colour(index)
        marks.band(upper, x, line.low, line.high, colour=colour, gid=f"band-{index}")
        look: dict[str, Any] = {"color": colour, "lw": style.line, "ls": style.dash(index)}
        upper.plot(x, line.gap, zorder=4, gid=f"curve-{index}", **look)
        handles.append(Line2D([], [], **look))
        numbers = ", ".join(marks.estimate_text(estimate) for estimate in data.estimates[index][:1])
        labels.append((line.label, numbers))
    marks.key(upper, style, handles, labels)
    difference = data.difference
    colour = style.colour(2)
    marks.band(lower, x, difference.low, difference.high, colour=colour, gid="band-2")
    lower.plot(x, difference.gap, color=colour, lw=style.line * 0.7, zorder=3, gid="curve-2")
    excludes_0 = (difference.low > 0) | (difference.high < 0)
    sure = np.where(excludes_0, difference.gap, np.nan)
    lower.plot(x, sure, color=colour, lw=style.line * 2, solid_capstyle="butt", zorder=4)
    for ax in (upper, lower):
        ax.axhline(0, color=style.muted, lw=style.line * 0.5, zorder=1)
    x_name, y_name = AXIS_NAMES[data.view]
    upper.set_ylabel(f"{y_name} - {x_name.lower()}" if data.view == "top" else f"{y_name} - P")
    lower.set_ylabel("Difference")
    lower.set_xlabel(x_name)
    shown = np.isfinite(np.array([line.gap for line in data.models])).any(axis=0)
    if shown.any():
        lower.set_xlim(float(x[shown].min()), 1.0)
    change = map(marks.change_text, *data.estimates, data.change)
    names = [style.named(line.label, k) for k, line in enumerate(data.models)]
    marks.header(lower, style, [*change], name=f"{names[1]} minus {names[0]}", small=True)
    marks.foot(
        place,
        style,
        f"Colour: {100 * data.level:g} % bands, pointwise; that of the difference is paired; thick "
        f"where it excludes 0; n = {data.data[0].rows:,}",
    )
