"""Classes and slices: mean score and mean outcome of some of the rows, and how far apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from calibtool.analysis.slices import slice_estimates
from calibtool.data.predictions import Predictions
from calibtool.data.slicing import partition
from calibtool.diagrams.reliability_curves import clopper_pearson
from calibtool.evaluation.collect import Collected
from calibtool.evaluation.one_vs_rest import OneVsRest
from calibtool.metrics.spec import parse
from calibtool.reports.page.model import Classes, Group, OneClass, Slices
from calibtool.types import Array

MOST_CLASSES = 1000  # listed in a page; of more, those with the widest gaps
MOST_VALUES = 20  # of a column; the rarer ones are joined
BINS = 15


def classes(
    found: Collected,
    count: int,
    names: Sequence[str] | None,
    level: float,
    most: int = MOST_CLASSES,
) -> Classes:
    """Every class by the rows that it is predicted in, beside those that are labelled so."""
    rows = found.rows
    assert rows.labels is not None
    assert rows.predicted is not None
    errors = np.full(count, np.nan) if found.classes is None else one_vs_rest(found.classes)
    titles = list(names or map(str, range(count)))
    predicted = groups((rows.confidence, rows.correct), rows.weights, rows.predicted, titles, level)
    labelled = np.bincount(rows.labels, minlength=count)
    mass = np.bincount(rows.labels, rows.weights, count)
    hits = np.bincount(rows.labels[rows.correct], _at(rows.weights, rows.correct), count)
    recall = np.divide(hits, mass, out=np.full(count, np.nan), where=mass > 0)
    whole = [
        OneClass(group, int(labelled[k]), _known(recall[k]), _known(errors[k]))
        for k, group in enumerate(predicted)
    ]
    whole.sort(key=lambda one: (-_urgency(one.predicted), -abs(one.predicted.gap or 0.0)))
    return Classes(tuple(whole[:most]), count)


def one_vs_rest(view: OneVsRest) -> Array:
    """ECE of each class against all others, (K,), in equal-width bins."""
    cells = view.cells(np.arange(1, BINS + 1) / BINS)
    return np.asarray(np.abs(cells.y - cells.p).sum(axis=1) / cells.n.sum(axis=1))


def slices(
    predictions: Predictions, view: str, scores: tuple[Array, Array], by: str, **how: Any
) -> Slices:
    """The rows by the values of a column, with the ECE of each group."""
    parts = partition(predictions, by, most=MOST_VALUES)
    level = float(how.get("level", 0.95))
    means = groups(scores, predictions.weights, parts.codes, parts.names, level)
    specs = [parse(f"ece(view={view})")]
    measured = [
        replace(group, errors=slice_estimates(predictions, parts, k, specs, how))
        if group.rows
        else group
        for k, group in enumerate(means)
    ]
    return Slices(by, tuple(measured), parts.note)


def groups(
    scores: tuple[Array, Array],
    weights: Array | None,
    codes: Array,
    names: Sequence[str],
    level: float,
) -> list[Group]:
    """A group for each name; `codes` says which one a row belongs to."""
    score, outcome = scores
    count = len(names)
    rows = np.bincount(codes, minlength=count)
    w = np.ones(len(codes)) if weights is None else weights
    mass, squares = (np.bincount(codes, x, count) for x in (w, w * w))
    some = np.where(mass > 0, mass, np.nan)
    means = [np.bincount(codes, w * x, count) / some for x in (score, outcome)]
    low, high = clopper_pearson(means[1], mass**2 / np.where(squares > 0, squares, np.nan), level)
    columns = [[_known(x) for x in column] for column in (*means, low, high)]
    return [
        Group(name, int(n), *values)
        for name, n, values in zip(names, rows, zip(*columns, strict=True), strict=True)
    ]


def _urgency(group: Group) -> float:
    """How far the gap lies from 0, in excess of what its interval allows; 0 without rows."""
    ends = group.gap_interval
    if ends is None:
        return -1.0
    return max(ends[0], -ends[1], 0.0)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _at(weights: Array | None, where: Array) -> Array | None:
    return None if weights is None else weights[where]
