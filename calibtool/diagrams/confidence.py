"""Histograms of the confidence of right and of wrong answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.diagrams import histograms, marks, texts
from calibtool.diagrams.curve import Parts, columns_of, data_columns, estimate_columns, stacked
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import Named, SharedOptions, drawn_view, only, request, shared_names
from calibtool.diagrams.options import Bins, View
from calibtool.diagrams.scales import AXIS_NAMES, LINEAR_TICKS
from calibtool.diagrams.style import Style
from calibtool.errors import InputError
from calibtool.evaluation.evaluate import evaluate_rows, evaluate_variants
from calibtool.formatting import counted, percent
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.cells import Cells
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HIGH = 0.9  # the words beside the bars give the share of rows above it


@dataclass(frozen=True, eq=False)
class Group:
    """The rows with one outcome.

    Attributes:
        label: "right" or "wrong"; "class 1" or "class 0" in the positive view.
        rows: number of rows.
        share: their share of the weight.
        mean: mean score.
        high: share of them, by weight, with a score above 0.9.
        mass: (M,) share of the weight of the group in each bin.
    """

    label: str
    rows: int
    share: float
    mean: float
    high: float
    mass: Array


@dataclass(frozen=True, eq=False)
class Confidence(Drawn):
    """Histograms of the score by outcome.

    Attributes:
        groups: rows with outcome 1, and with outcome 0.
        edges: (M + 1,) edges of the bins.
        estimates: AUROC of the score for the outcome.
        data: what was read.
        view: "top" or "positive".
        notes: what was left out, in words.
        class_names: of the two classes, if they have names.
    """

    groups: tuple[Group, Group]
    edges: Array
    estimates: tuple[Estimate, ...]
    data: tuple[DataInfo, ...]
    view: str
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        bins = {"from": self.edges[:-1], "to": self.edges[1:]}
        names = ("rows", "share", "mean", "high")
        return {
            "data": data_columns(self.data),
            "estimate": estimate_columns(self.estimates),
            "group": {"group": [g.label for g in self.groups], **columns_of(self.groups, names)},
            "histogram": stacked({"group": g.label, **bins, "mass": g.mass} for g in self.groups),
        }


def compute(
    predictions: Named, *, bins: Bins = 20, view: View = "auto", **shared: Unpack[SharedOptions]
) -> Confidence:
    """Compute histograms of the confidence by outcome (Hendrycks & Gimpel 2017, fig. 1).

    Args:
        predictions: one set.
        bins: number of bins, of equal width.
        view: "positive", P(class 1); "top", the confidence of the predicted class; or "auto",
            positive for two classes and top otherwise.
        shared: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Of more rows than are measured one by one, cells stand for the rows: the mean score of a cell
    for those in it.

    Raises InputError for cells that do not end at the edges of the bins.
    """
    source = only(predictions)
    chosen = drawn_view(view, source)
    metric = "auroc-correct" if chosen == "top" else "auroc"
    edges = np.arange(1, bins + 1) / bins
    bounds = np.append(0.0, edges)
    names = ("right", "wrong") if chosen == "top" else ("class 1", "class 0")
    asked = request(source, [metric], **shared)
    if asked.from_cells:
        # the ECE makes cells end at the edges of the bins
        specs = [metric, f"ece(bins={bins}, view={chosen})"]
        found = evaluate_variants(request(source, specs, **shared))
        auroc, ece = found.estimates()
        if ece.missing:  # the cells of a summary that do not end at these edges
            raise InputError(f"{found.data.source}: {ece.missing}")
        if not found.data.weighted:  # of weighted rows, cells do not say how many are on a side
            cells = found.problems(0, chosen).exact(0)
            first, second = (
                _summed(name, cells, mass, edges)
                for name, mass in zip(names, (cells.y, cells.n - cells.y), strict=True)
            )
            whole = (first, second), bounds, (auroc,), (found.data,), chosen
            return Confidence(*whole, class_names=shared_names(source))
    results = evaluate_rows(asked)
    rows = results.collected[0].rows
    score, outcome = rows.view(chosen)
    weights = np.ones(len(score)) if rows.weights is None else rows.weights
    first, second = (
        _group(name, score[at], edges, weights[at], float(weights.sum()))
        for name, at in zip(names, (outcome == 1, outcome == 0), strict=True)
    )
    drawn = (first, second), bounds, results.estimates(), (results.data,), chosen
    return Confidence(*drawn, class_names=shared_names(source))


def _summed(name: str, cells: Cells, mass: Array, edges: Array) -> Group:
    """Return a group from cells, of which `mass` rows each are in it."""
    total = float(mass.sum())
    if not total:
        return Group(name, 0, 0.0, float("nan"), float("nan"), np.zeros(len(edges)))
    at = cells.centres()
    side = Cells(cells.at, mass, mass * at, mass)
    high = float(side.pool(np.array([HIGH, 1.0])).n[1] / total)
    share, mean = total / float(cells.total), float(mass @ at) / total
    return Group(name, round(total), share, mean, high, side.pool(edges).n / total)


def _group(name: str, score: Array, edges: Array, weights: Array, whole: float) -> Group:
    """Return a group from its rows; `whole` is the weight of all rows."""
    cells = Cells.binned(score, np.zeros(len(score)), edges, weights)
    total = float(cells.total)
    if not total:
        return Group(name, len(score), 0.0, float("nan"), float("nan"), np.zeros(len(edges)))
    mean = float(cells.p.sum() / total)
    high = float(weights[score > HIGH].sum() / total)
    return Group(name, len(score), total / whole, mean, high, cells.n / total)


def height(data: Confidence, width: float, style: Style) -> float:
    """Return the height of the panel in inches: less than the width."""
    return _heights(data, width, style)[0]


def _heights(data: Confidence, width: float, style: Style) -> tuple[float, float]:
    """Return the height of the panel, and the share of it for words at each end."""
    return texts.mirrored(style, [data.named(_words(group)) for group in data.groups], width, 0.6)


def draw(data: Confidence, axes: Axes, style: Style) -> None:
    """Draw both histograms on one scale, that of outcome 1 upwards, that of outcome 0 downwards."""
    up, down = data.groups
    top, bottom = float(up.mass.max()), float(down.mass.max())
    taken = _heights(data, marks.width_of(axes), style)[1]
    room = max(0.32, 2 * taken / (1 - 2 * taken)) * (top + bottom)  # for words
    for index, (group, sign) in enumerate(((up, 1), (down, -1))):
        look: dict[str, Any] = {"fill": True, "lw": 0, "alpha": 0.85, "gid": f"histogram-{index}"}
        axes.stairs(sign * group.mass, data.edges, color=style.colour(index), **look)
        texts.inside(
            axes,
            style,
            data.named(_words(group) if style.stats else group.label),
            (0.012, 0.985 if sign > 0 else 0.015),
            va="top" if sign > 0 else "bottom",
            color=style.colour(index),
        )
    axes.axhline(0, color=style.muted, lw=style.line * 0.5)
    axes.set_ylim(-bottom - room, top + room)
    axes.set_xlim(0, 1)
    ends = [percent(bottom, 0), percent(top, 0), "0"]
    y_ticks = dict(zip([-bottom, top, 0], ends, strict=True))
    marks.ticks(axes.yaxis, y_ticks)
    marks.ticks(axes.xaxis, *LINEAR_TICKS)
    axes.set_xlabel(AXIS_NAMES[data.view][0])
    log = histograms.needs_log([up.mass, down.mass], histograms.ALONE)
    if log:
        histograms.mirror_on_log(axes, up.mass, down.mass)
    axes.set_ylabel(f"Share within group{', log scale' if log else ''}")
    head = [marks.estimate_text(data.estimates[0]), f"n = {data.data[0].rows:,}"]
    marks.header(axes, style, ["; ".join(head)])


def _words(group: Group) -> str:
    if not group.rows:
        return f"{group.label}: none"
    mean = percent(group.mean, 0)
    high = percent(group.high, 0)
    rows = counted(group.rows, "row")
    return f"{group.label}, {rows}: mean {mean}, {high} above {HIGH:g}"
