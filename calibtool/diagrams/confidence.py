"""How confident a model is where it is right, and where it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import numpy as np

from calibtool.asked import System
from calibtool.checks import Array
from calibtool.diagrams.named import How, Named, only
from calibtool.diagrams.record import Parts, data_columns, estimate_columns, stacked
from calibtool.evaluation import examine
from calibtool.report import Data, Estimate
from calibtool.statistic import Cells

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
class Confidence:
    """Histograms of the score by outcome, over bins between `edges`, (M + 1,)."""

    groups: tuple[Group, Group]
    edges: Array
    estimates: tuple[Estimate, ...]
    data: tuple[Data, ...]
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
    found = examine(one, [metric], [System()], **how)
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
