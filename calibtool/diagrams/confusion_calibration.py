"""Confidence and accuracy by predicted class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.diagrams import marks, panels
from calibtool.diagrams.curve import Parts, data_columns, estimate_columns, stacked
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import (
    Named,
    SharedOptions,
    class_names,
    numbered_name,
    request,
    with_classes,
)
from calibtool.diagrams.lines import Lines, lines_of
from calibtool.diagrams.options import Top
from calibtool.diagrams.reliability_curves import informative_rows
from calibtool.diagrams.style import Style
from calibtool.evaluation.evaluate import evaluate_rows
from calibtool.formatting import counted, percent
from calibtool.intervals.estimate import Estimate
from calibtool.intervals.shares import clopper_pearson
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOP = 20  # classes: as many lines as a page holds beside other text


@dataclass(frozen=True)
class Predicted:
    """The rows in which a class is predicted.

    Attributes:
        index, name: number and name of the class.
        rows: number of rows.
        share: their share of the weight.
        said, was: mean confidence and accuracy.
        low, high: interval of the accuracy.
        mistaken: the most frequent label among the wrong predictions of this class; "" if none.
        mistaken_share: its share of all rows in which this class is predicted.
    """

    index: int
    name: str
    rows: int
    share: float
    said: float
    was: float
    low: float
    high: float
    mistaken: str
    mistaken_share: float


@dataclass(frozen=True, eq=False)
class ConfusionCalibration(Drawn):
    """Confidence and accuracy by predicted class.

    Attributes:
        classes: the predicted classes, the most overconfident first.
        estimates: top-label ECE.
        data: what was read.
        level: of the intervals.
        notes: what was left out, in words.
    """

    classes: tuple[Predicted, ...]
    estimates: tuple[Estimate, ...]
    data: tuple[DataInfo, ...]
    level: float
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        return {
            "data": data_columns(self.data),
            "estimate": estimate_columns(self.estimates),
            "class": stacked(dict(vars(predicted)) for predicted in self.classes),
        }


def compute(
    predictions: Named, *, top: Top = TOP, **shared: Unpack[SharedOptions]
) -> ConfusionCalibration:
    """Compute mean confidence and accuracy of the rows in which each class is predicted (top-label
    calibration, Gupta & Ramdas 2022), and the label that it is most often confused with.

    Args:
        predictions: one set, with whole rows.
        top: largest number of classes; of more, those whose gaps weigh most.
        shared: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises UsageError for confidences alone.
    """
    source = with_classes(predictions, "confusion calibration")
    results = evaluate_rows(
        request(source, ["top-label-ece"], columns=("labels", "predicted"), **shared)
    )
    rows = results.collected[0].rows
    assert rows.predicted is not None
    assert rows.labels is not None
    weight = np.ones(len(rows.correct)) if rows.weights is None else rows.weights
    level = results.settings.level
    size = results.data.classes or 2
    n, confidence, hits, squares = (
        np.bincount(rows.predicted, weight * values, size)
        for values in (1.0, rows.confidence, rows.correct, weight)
    )
    seen = np.flatnonzero(n > 0)
    shown = seen[np.argsort(-np.abs(hits - confidence)[seen], kind="stable")][:top]
    notes: tuple[str, ...] = ()
    if len(shown) < len(seen):
        notes = (f"{len(shown)} of {len(seen):,} predicted classes are drawn: the widest gaps",)
    names = class_names(source)
    rate = np.divide(hits, n, out=np.zeros(size), where=n > 0)
    low, high = clopper_pearson(rate, informative_rows(n, squares), level)
    counts = np.bincount(rows.predicted, minlength=size)
    classes = []
    for k in shown.tolist():
        taken = _taken_for(rows.predicted, rows.labels, weight, k, size)
        wrong = int(taken.argmax())
        classes.append(
            Predicted(
                index=k,
                name=names[k],
                rows=int(counts[k]),
                share=float(n[k] / weight.sum()),
                said=float(confidence[k] / n[k]),
                was=float(rate[k]),
                low=float(low[k]),
                high=float(high[k]),
                mistaken=names[wrong] if taken[wrong] > 0 else "",
                mistaken_share=float(taken[wrong] / n[k]),
            )
        )
    classes.sort(key=lambda predicted: predicted.was - predicted.said)
    return ConfusionCalibration(tuple(classes), results.estimates(), (results.data,), level, notes)


def _taken_for(predicted: Array, labels: Array, weight: Array, k: int, size: int) -> Array:
    """Return the weight of each label other than k in the rows where k is predicted, (K,)."""
    at = (predicted == k) & (labels != k)
    return np.bincount(labels[at], weight[at], size)


def height(data: ConfusionCalibration, width: float, style: Style) -> float:
    """Return the height of the panel in inches: one line per class."""
    return _lines(data, width, style).height


def _lines(data: ConfusionCalibration, width: float, style: Style) -> Lines:
    """Return the lines of the panel: the names of the classes, and words on each."""
    names = [marks.long_name(predicted.name, 18) for predicted in data.classes]
    return lines_of(names, [_words(predicted) for predicted in data.classes], width, style)


def draw(data: ConfusionCalibration, axes: Axes, style: Style) -> None:
    """Draw confidence as open diamonds, accuracy as points, and the gaps between them."""
    from matplotlib.lines import Line2D

    place = panels.inside(axes)
    axes = place.subplots()
    of_confidence, of_accuracy = style.colour(1), style.colour(0)
    size: dict[str, Any] = {"ms": 0.62 * style.text, "mew": style.line * 0.8, "zorder": 4, "ls": ""}
    for y, predicted in enumerate(data.classes):
        axes.plot(
            [predicted.said, predicted.was],
            [y, y],
            color=style.faint,
            lw=style.line * 2.2,
            zorder=1,
        )
        axes.plot(
            [predicted.low, predicted.high],
            [y, y],
            color=of_accuracy,
            lw=style.line * 0.9,
            gid=f"bars-{y}",
        )
        axes.plot([predicted.said], [y], marker="D", mfc=style.paper, mec=of_confidence, **size)
        axes.plot([predicted.was], [y], marker="o", color=of_accuracy, gid=f"point-{y}", **size)
    lines = _lines(data, marks.width_of(axes), style)
    lines.draw(axes, style)
    low = min((min(predicted.said, predicted.low) for predicted in data.classes), default=0.0)
    axes.set_xlim(max(0.0, low - 0.03), 1.0 + 0.01 * (1 - low))
    axes.xaxis.set_major_locator(marks.few_ticks(4))
    marks.percent_axis(axes, which="x")
    handles = [
        Line2D([], [], marker="o", color=of_accuracy, **{**size, "ls": ""}),
        Line2D([], [], marker="D", mfc=style.paper, mec=of_confidence, **size),
    ]
    marks.key(axes, style, handles, ["accuracy where it is predicted", "mean confidence"])
    axes.set_xlabel("Accuracy and mean confidence")
    axes.set_ylabel("Predicted class")
    where = "Above" if lines.above else "Right"
    marks.foot(
        place,
        style,
        f"{'; '.join(marks.estimate_text(estimate) for estimate in data.estimates)}. "
        f"Bars: {100 * data.level:g} % intervals. {where}: rows, and the label most frequent among "
        "the others",
    )


def _words(predicted: Predicted) -> str:
    """Return how many rows there are, and what they are where the prediction is wrong."""
    rows = counted(predicted.rows, "row")
    if not predicted.mistaken:
        return rows
    mistaken = marks.long_name(numbered_name(predicted.mistaken), 13)
    return f"{rows}, {percent(predicted.mistaken_share, 0)} are {mistaken}"
