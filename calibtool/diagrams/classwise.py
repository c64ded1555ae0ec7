"""One-vs-rest diagrams of the worst classes, and a strip of all classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Unpack

import numpy as np

from calibtool.data.files.source import Source
from calibtool.data.predictions import DataInfo, Kind, Predictions
from calibtool.data.readable import Readable, Variant
from calibtool.data.rows import to_probs
from calibtool.data.unit import Unit, unit_of
from calibtool.diagrams import marks, panels, strip
from calibtool.diagrams.curve import Curve, Parts, data_columns, estimate_columns, stacked
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import (
    Named,
    SharedOptions,
    class_names,
    numbered_name,
    request,
    with_classes,
)
from calibtool.diagrams.options import Bins, Top
from calibtool.diagrams.reliability_curves import binned, curve_of
from calibtool.diagrams.scales import LINEAR, Scale
from calibtool.diagrams.style import Style
from calibtool.evaluation.evaluate import RowResults, evaluate_rows
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.norms import l1
from calibtool.metrics.profiles import equal_width, profile
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 1.2  # height of a row of panels, as a share of the width of a column
TOP = 8  # panels: two rows of four


@dataclass(frozen=True, eq=False)
class Classwise(Drawn):
    """One-vs-rest calibration of K classes.

    Attributes:
        curves: the one-vs-rest diagrams of the worst classes, the worst first.
        order: (K,) numbers of all classes, the highest one-vs-rest ECE first.
        names: of the classes, by number.
        ece: (K,) one-vs-rest ECE, by number.
        said, was: (K,) mean score and share of the labels, by number.
        strip: all classes.
        edges: (M + 1,) edges of the bins.
        estimates: class-wise ECE.
        data: what was read.
        level: of the intervals and ranges.
        notes: what was left out, in words.
    """

    curves: tuple[Curve, ...]
    order: Array
    names: tuple[str, ...]
    ece: Array
    said: Array
    was: Array
    strip: strip.Strip
    edges: Array
    estimates: tuple[Estimate, ...]
    data: tuple[DataInfo, ...]
    level: float
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        heads = [{"panel": c.panel} for c in self.curves]
        pairs = list(zip(heads, self.curves, strict=True))
        by_class = {
            "class": self.order,
            "name": [self.names[k] for k in self.order],
            "ece": self.ece[self.order],
            "said": self.said[self.order],
            "was": self.was[self.order],
        }
        bins = {"from": self.edges[:-1], "to": self.edges[1:]}
        return {
            "data": data_columns(self.data),
            "summary": stacked(
                {**head, "rows": c.rows, "said": c.said, "was": c.was} for head, c in pairs
            ),
            "estimate": stacked(
                [
                    {"panel": "", **estimate_columns(self.estimates)},
                    *({**head, **estimate_columns(c.estimates)} for head, c in pairs),
                ]
            ),
            "class": stacked([by_class]),
            "strip": stacked(
                {
                    "classes": f"{group[0]} to {group[-1]}",
                    **bins,
                    "n": self.strip.n[k],
                    "gap": self.strip.gap[k],
                    "outside": self.strip.outside[k],
                    "p": self.strip.p[k],
                }
                for k, group in enumerate(self.strip.groups)
            ),
            "curve": stacked({**head, **c.columns()} for head, c in pairs),
            "histogram": stacked({**head, **c.histogram.columns()} for head, c in pairs),
        }


def compute(
    predictions: Named, *, top: Top = TOP, bins: Bins = 15, **shared: Unpack[SharedOptions]
) -> Classwise:
    """Compute the one-vs-rest reliability of every class (Kull et al. 2019; Nixon et al. 2019).

    Args:
        predictions: one set, with whole rows.
        top: number of classes with a diagram: those with the highest ECE.
        bins: number of bins, of equal width.
        shared: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises UsageError for confidences alone.
    """
    rows = with_classes(predictions, "the class view")
    edges = equal_width(None, bins=bins)  # type: ignore[arg-type]  # no cells are needed
    results = evaluate_rows(request(rows, [f"classwise-ece(bins={bins})"], **shared))
    one_vs_rest = results.collected[0].classes
    assert one_vs_rest is not None
    cells = one_vs_rest.cells(edges)
    ece = l1(profile(cells))
    order = np.argsort(-ece, kind="stable")
    names = tuple(class_names(rows))
    worst = [int(k) for k in order[:top]]
    variants = [Variant(_ClassAgainstRest(k), names[k]) for k in worst]
    of_worst = evaluate_rows(request(_OneColumn(rows), [f"ece(bins={bins})"], variants, **shared))
    curves = [_curve(of_worst, number, edges, names[k]) for number, k in enumerate(worst)]
    notes: tuple[str, ...] = ()
    if len(worst) < len(names):
        notes = (f"{len(worst)} of {len(names):,} classes have a diagram: those of highest ECE",)
    total = cells.total
    return Classwise(
        curves=tuple(curves),
        order=order,
        names=names,
        ece=ece,
        said=cells.p.sum(axis=1) / total,
        was=cells.y.sum(axis=1) / total,
        strip=strip.strip_of(
            cells, order, results.collected[0].rows.weights, results.settings.level
        ),
        edges=np.append(0.0, edges),
        estimates=results.estimates(),
        data=(results.data,),
        level=results.settings.level,
        notes=notes,
    )


def _curve(results: RowResults, number: int, edges: Array, name: str) -> Curve:
    """Return the one-vs-rest diagram of a class; its rows are those with the label of the class."""
    points = binned(results, number, edges, "clopper-pearson")
    rows = int(results.collected[number].rows.outcome.sum())  # type: ignore[union-attr]
    return replace(curve_of(results, number, points, label=name, panel=name), rows=rows)


@dataclass(frozen=True)
class _ClassAgainstRest:
    """A recalibrator that turns a class against all others into P(class 1) of two classes."""

    index: int

    def __call__(self, block: Predictions) -> Predictions:
        assert block.labels is not None
        column = to_probs(block).matrix()[:, [self.index]]
        labels = (block.labels == self.index).astype(np.int64)
        return replace(block, kind="probs", values=column, labels=labels, class_names=None)


@dataclass(frozen=True)
class _OneColumn:
    """Predictions of K classes, presented as the one column that `_ClassAgainstRest` makes."""

    predictions: Readable
    kind: Kind = "probs"
    classes: int | None = 2
    one_column: bool = True

    @property
    def source(self) -> str:
        """The name of the file."""
        return self.predictions.source

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.predictions.rows

    @property
    def unit(self) -> Unit | None:
        """The rows of the file, where each holds several of the predictions."""
        return unit_of(self.predictions)

    @property
    def extra(self) -> Mapping[str, Array]:
        """The column that numbers those rows, by which predictions are resampled."""
        if self.unit is None:
            return {}
        column = self.unit.column
        if isinstance(self.predictions, Source):
            return {column: self.predictions.also([column]).column(column)}
        return {column: self.predictions.load().extra[column]}

    def blocks(self, rows: int) -> Iterator[Predictions]:
        """Yield the predictions in blocks; shorter ones for many classes, to bound the memory."""
        step = max(1024, rows // max((self.predictions.classes or 2) // 64, 1) // 1024 * 1024)
        return self.predictions.blocks(step)

    def load(self) -> Predictions:
        """Return all rows in memory."""
        return self.predictions.load()


def pages(data: Classwise, width: float, style: Style) -> list[Classwise]:
    """Return the diagram page by page; each page shows the strip."""
    below = strip.RATIO * width + 10 * style.text / 72  # the strip with its names
    shown = panels.pages(len(data.curves), width, style, below=below, row=ROW)
    return [replace(data, curves=data.curves[page.start : page.stop]) for page in shown]


def height(data: Classwise, width: float, style: Style) -> float:
    """Return the height in inches; panels are square, `figure` takes their width."""
    return width


def draw(data: Classwise, axes: Axes, style: Style) -> None:
    """Draw a panel per class, the worst first; below, every class as a column of its bins."""
    place = panels.inside(axes)
    width = place.bbox.width / place.dpi
    rows, columns = panels.grid_shape(len(data.curves), width, style)
    panel = width / columns - 0.35
    grid = place.add_gridspec(
        rows + 1, columns, height_ratios=[*[panel] * rows, strip.RATIO * (width - 0.6)]
    )
    for index, curve in enumerate(data.curves):
        ax = place.add_subplot(grid[index // columns, index % columns])
        _panel(ax, curve, style)
        if index % columns:
            ax.set_yticklabels([])
        else:
            ax.set_ylabel("Frequency")
        if index + columns < len(data.curves):
            ax.set_xticklabels([])
        else:
            ax.set_xlabel("P(class)")
    names = [data.names[k] for k in data.order]
    strip.draw(place.add_subplot(grid[rows, :]), data.strip, names, style)
    level = f"{100 * data.level:g} %"
    note = marks.corrected_note(e for curve in data.curves for e in curve.estimates)
    marks.foot(
        place,
        style,
        f"Bars: {level} intervals; grey: {level} of perfect models; n: rows of the class"
        f"{f'; {note}' if note else ''}. "
        f"{marks.estimate_text(data.estimates[0])} over {len(data.names):,} classes. "
        f"{strip.caption(data.level)}",
    )


def _panel(axes: Axes, curve: Curve, style: Style) -> None:
    """Draw the one-vs-rest diagram of a class."""
    colour, some = style.colour(0), np.isfinite(curve.outcome)
    assert curve.edges is not None
    panels.square(axes, Scale(LINEAR, LINEAR, logit=False), style)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    marks.expected(axes, curve.edges, curve.least, curve.most, style)
    # the first bin holds nearly all rows of other classes: shares are of the largest of the others
    others = curve.mass[1:].max(initial=0)
    share = np.sqrt(curve.mass[some] / others) if others > 0 else np.ones(1)
    thick = style.line * (0.35 + 0.5 * np.minimum(share, 1))
    x, y = curve.score[some], curve.outcome[some]
    low, high = curve.low[some], curve.high[some]
    marks.bars(axes, x, low, high, colour=colour, width=thick, gid="bars-0")
    axes.scatter(
        x,
        y,
        s=(0.42 * style.text) ** 2,
        color=colour,
        edgecolors=style.paper,
        linewidths=style.line * 0.25,
        clip_on=False,
        zorder=5,
        gid="points-0",
    )
    lines = [
        marks.estimate_text(curve.estimates[0], alone=True),
        f"n = {curve.rows:,}",
    ]
    marks.header(axes, style, lines, name=numbered_name(curve.label), small=True)
