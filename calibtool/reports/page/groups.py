"""Classes and slices of a page: mean score and mean outcome of groups of rows.

`data.slicing` splits the rows into slices, and `analysis.slices` measures their calibration error.
Mean scores, mean outcomes and their Clopper-Pearson intervals are computed here, for slices and for
classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.data.slicing import partition
from calibtool.evaluation.collect import Collected
from calibtool.evaluation.one_vs_rest import OneVsRest
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.intervals.shares import clopper_pearson, design_effects
from calibtool.reports.evaluation import in_words
from calibtool.reports.page.model import Classes, Group, OneClass, Slices
from calibtool.types import Array

# Most classes that a page lists; of more, those with the widest gaps. ImageNet has 1,000, and the
# page stays below a megabyte.
MOST_CLASSES = 1000
MOST_VALUES = 20  # most values of a column that have a line each; the rarer ones are joined
BINS = 15  # bins of the ECE of a class, the default of `ece`


def classes(
    collected: Collected,
    count: int,
    names: Sequence[str] | None,
    level: float,
    most: int = MOST_CLASSES,
    cluster: Array | None = None,
) -> Classes:
    """Return every class with the rows in which it is predicted, and those that have its label.

    Args:
        collected: what was collected of the predictions, with labels and predicted classes.
        count: number of classes.
        names: names of the classes; None for their numbers.
        level: confidence level of the intervals.
        most: number of classes that are listed, the widest gaps first.
        cluster: (N,) numbers of the clusters that rows belong to, or None.
    """
    rows = collected.rows
    assert rows.labels is not None
    assert rows.predicted is not None
    view = collected.classes
    errors = np.full(count, np.nan) if view is None else one_vs_rest(view)
    titles = list(names or map(str, range(count)))
    scores = (rows.confidence, rows.correct)
    predicted = groups(scores, rows.weights, rows.predicted, titles, level, cluster)
    labelled = np.bincount(rows.labels, minlength=count)
    mass = np.bincount(rows.labels, rows.weights, count)
    hits = np.bincount(rows.labels[rows.correct], _at(rows.weights, rows.correct), count)
    recall = np.divide(hits, mass, out=np.full(count, np.nan), where=mass > 0)
    lines = [
        OneClass(group, int(labelled[k]), _known(recall[k]), _known(errors[k]))
        for k, group in enumerate(predicted)
    ]
    lines.sort(key=lambda line: urgency(line.predicted), reverse=True)
    known = sum(group.gap is not None for group in predicted)
    return Classes(tuple(lines[:most]), count, known, sum(group.off for group in predicted))


def one_vs_rest(view: OneVsRest) -> Array:
    """Return (K,) ECEs of each class against all others, in 15 equal-width bins."""
    cells = view.cells(np.arange(1, BINS + 1) / BINS)
    return np.asarray(np.abs(cells.y - cells.p).sum(axis=1) / cells.n.sum(axis=1))


def slices(
    predictions: Predictions,
    view: str,
    scores: tuple[Array, Array],
    by: str,
    resampling: Resampling,
    cluster: Array | None = None,
) -> Slices:
    """Return the slices by the values of a column, with the means and the ECE of each.

    Args:
        predictions: the rows, with the column in `extra`.
        view: view of the scores.
        scores: (N,) scores and outcomes in that view.
        by: a column, a pseudo-column, or several separated by commas.
        resampling: how intervals are made.
        cluster: (N,) numbers of the clusters that rows belong to, or None.
    """
    from calibtool.analysis.slices import slice_estimates  # few pages have slices

    parts = partition(predictions, by, most=MOST_VALUES)
    how = (parts.names, resampling.level, cluster)
    means = groups(scores, predictions.weights, parts.codes, *how)
    request = Request.of(predictions, f"ece(view={view})", resampling=resampling)
    measured = [
        replace(group, errors=slice_estimates(request, parts.take(predictions, k)))
        if group.rows
        else group
        for k, group in enumerate(means)
    ]
    part = predictions.unit.part if predictions.unit else ""
    return Slices(by, tuple(measured), parts.note, _worst(by, measured) if by == part else "")


def _worst(by: str, measured: Sequence[Group]) -> str:
    """Return a sentence on the group whose error is largest, without what noise adds to it."""
    known = [group for group in measured if group.errors and group.errors[0].best is not None]
    if not known:
        return ""
    worst = max(known, key=lambda group: group.errors[0].best or 0.0)
    error = worst.errors[0]
    return f"The worst {by} is {worst.name}: {error.name} {in_words(error)}."


def groups(
    scores: tuple[Array, Array],
    weights: Array | None,
    codes: Array,
    names: Sequence[str],
    level: float,
    cluster: Array | None = None,
) -> list[Group]:
    """Return the means of each group, with Clopper-Pearson intervals of the outcome.

    Args:
        scores: (N,) scores and outcomes.
        weights: (N,), or None.
        codes: (N,) number of each row's group.
        names: name of each group.
        level: confidence level of the intervals.
        cluster: (N,) numbers of the clusters that rows belong to, or None.

    With weights, the interval is that of the effective number of rows, (sum of weights)^2 / sum of
    squared weights (Kish 1965), and with clusters that number over the design effect. A group
    without weight has no means.
    """
    score, outcome = scores
    count = len(names)
    rows = np.bincount(codes, minlength=count)
    w = np.ones(len(codes)) if weights is None else weights
    mass, squares = (np.bincount(codes, x, count) for x in (w, w * w))
    divisor = np.where(mass > 0, mass, np.nan)
    means = [np.bincount(codes, w * x, count) / divisor for x in (score, outcome)]
    if cluster is not None:
        squares = squares * design_effects(codes, outcome, weights, cluster, count)
    low, high = clopper_pearson(means[1], mass**2 / np.where(squares > 0, squares, np.nan), level)
    columns = [[_known(x) for x in column] for column in (*means, low, high)]
    return [
        Group(name, int(n), *values)
        for name, n, values in zip(names, rows, zip(*columns, strict=True), strict=True)
    ]


def urgency(group: Group) -> tuple[float, float]:
    """Return what classes are sorted by: the gap beyond chance; where there is none, how much of
    the way from the gap to the end of its interval leads to 0. Without an interval, -1.

    By the gap alone, classes of one or two rows would come first, whose gaps say nothing.
    """
    beyond, gap, ends = group.beyond, group.gap, group.gap_interval
    if beyond is None or gap is None or ends is None:
        return -1.0, 0.0
    reach = gap - ends[0] if gap > 0 else ends[1] - gap
    return beyond, abs(gap) / reach if reach > 0 else 0.0


def _known(value: float) -> float | None:
    """Return a finite value, or None."""
    return float(value) if np.isfinite(value) else None


def _at(weights: Array | None, where: Array) -> Array | None:
    """Return the weights of some rows, or None without weights."""
    return None if weights is None else weights[where]
