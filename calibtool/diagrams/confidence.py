"""How confident a model is where it is right, and where it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Variant
from calibtool.diagrams import marks
from calibtool.diagrams.curve import Parts, data_columns, estimate_columns, stacked
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import How, Named, only
from calibtool.diagrams.reliability import AXES
from calibtool.diagrams.style import Style
from calibtool.evaluation.evaluate import evaluate_rows
from calibtool.formatting import percent
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.cells import Cells
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HIGH = 0.9  # what is called confident in the words beside the bars


@dataclass(frozen=True, eq=False)
class Group:
    """The rows with one outcome.

    Attributes:
        label: "right" or "wrong"; "class 1" or "class 0" in the positive view.
        rows: how many.
        share: their share of the weight.
        mean: mean score.
        high: share of them, by weight, with a score above 0.9.
        mass: (M,) their weight in each bin, as shares of their own.
    """

    label: str
    rows: int
    share: float
    mean: float
    high: float
    mass: Array


@dataclass(frozen=True, eq=False)
class Confidence(Drawn):
    """Histograms of the score by outcome, over bins between `edges`, (M + 1,)."""

    groups: tuple[Group, Group]
    edges: Array
    estimates: tuple[Estimate, ...]
    data: tuple[DataInfo, ...]
    view: str
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        bins = {"from": self.edges[:-1], "to": self.edges[1:]}
        names = ("rows", "share", "mean", "high")
        return {
            "data": data_columns(self.data),
            "estimate": estimate_columns(self.estimates),
            "group": stacked(
                {"group": g.label, **{name: getattr(g, name) for name in names}}
                for g in self.groups
            ),
            "histogram": stacked({"group": g.label, **bins, "mass": g.mass} for g in self.groups),
        }


def compute(
    predictions: Named, *, bins: int = 20, view: str = "auto", **how: Unpack[How]
) -> Confidence:
    """Histograms of the confidence of right and of wrong answers (Hendrycks & Gimpel 2017, fig. 1).

    Args:
        predictions: one set.
        bins: of equal width.
        view: "top", "positive", or "auto" for what the data are.
        how: `resamples`, `level`, `seed` of the intervals, and `progress`.
    """
    one = only(predictions)
    chosen = view if view != "auto" else ("positive" if one.one_column else "top")
    metric = "auroc-correct" if chosen == "top" else "auroc"
    found = evaluate_rows(one, [metric], [Variant()], **how)
    rows = found.collected[0].rows
    score, outcome = rows.view(chosen)
    edges = np.arange(1, bins + 1) / bins
    names = ("right", "wrong") if chosen == "top" else ("class 1", "class 0")
    groups = [
        _group(name, score[at], edges, None if rows.weights is None else rows.weights[at], whole)
        for whole in [len(score) if rows.weights is None else float(rows.weights.sum())]
        for name, at in zip(names, (outcome == 1, outcome == 0), strict=True)
    ]
    first, second = groups
    bounds = np.append(0.0, edges)
    return Confidence((first, second), bounds, found.estimates(), (found.data,), chosen)


def _group(name: str, score: Array, edges: Array, weights: Array | None, whole: float) -> Group:
    cells = Cells.binned(score, np.zeros(len(score)), edges, weights)
    total = float(cells.total)
    if not total:
        none = np.zeros(len(edges))
        return Group(name, len(score), 0.0, float("nan"), float("nan"), none)
    weight = np.ones(len(score)) if weights is None else weights
    mean = float(cells.p.sum() / total)
    high = float(weight[score > HIGH].sum() / total)
    return Group(name, len(score), total / whole, mean, high, cells.n / total)


def height(data: Confidence, width: float, style: Style) -> float:
    """Wide rather than high."""
    return 0.6 * width + 5 * style.text / 72


def draw(data: Confidence, axes: Axes, style: Style) -> None:
    """Both on one scale: shares of the right answers, and of the wrong ones."""
    up, down = data.groups
    top, bottom = float(up.mass.max()), float(down.mass.max())
    room = 0.32 * (top + bottom)  # for words
    for index, (group, sign) in enumerate(((up, 1), (down, -1))):
        how: dict[str, Any] = {"fill": True, "lw": 0, "alpha": 0.85, "gid": f"histogram-{index}"}
        axes.stairs(sign * group.mass, data.edges, color=style.colour(index), **how)
        axes.text(
            0.012,
            0.985 if sign > 0 else 0.015,
            _words(group),
            transform=axes.transAxes,
            va="top" if sign > 0 else "bottom",
            color=style.colour(index),
            fontsize=style.text,
        )
    axes.axhline(0, color=style.muted, lw=style.line * 0.5)
    axes.set_ylim(-bottom - room, top + room)
    axes.set_xlim(0, 1)
    ends = [percent(bottom, 0), "0", percent(top, 0)]
    axes.set_yticks([-bottom, 0, top], ends)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0", "0.2", "0.4", "0.6", "0.8", "1"])
    axes.set_xlabel(AXES[data.view][0])
    axes.set_ylabel("Share of its own")
    head = [marks.estimate_text(data.estimates[0]), f"n = {data.data[0].rows:,}"]
    marks.header(axes, style, ["; ".join(head)])


def _words(group: Group) -> str:
    if not group.rows:
        return f"{group.label}: none"
    mean = percent(group.mean, 0)
    high = percent(group.high, 0)
    return f"{group.label} {group.rows:,}: mean {mean}, {high} above {HIGH:g}"
