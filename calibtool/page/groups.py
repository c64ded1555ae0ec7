"""Classes and slices: mean score and mean outcome of some of the rows, and how far apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from calibtool.checks import Array
from calibtool.classview import ClassView
from calibtool.collect import Collected
from calibtool.diagrams.curves import clopper_pearson
from calibtool.errors import CalibtoolError, InputError
from calibtool.evaluation import evaluate
from calibtool.page.record import Classes, Group, OneClass, Slices
from calibtool.predictions import Predictions
from calibtool.report import Estimate

MOST_CLASSES = 1000  # listed in a page; of more, those with the widest gaps
MOST_VALUES = 20  # of a column; the rarer ones are joined
QUANTILES = 8  # groups of a column of numbers
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


def one_vs_rest(view: ClassView) -> Array:
    """ECE of each class against all others, (K,), in equal-width bins."""
    cells = view.cells(np.arange(1, BINS + 1) / BINS)
    return np.asarray(np.abs(cells.y - cells.p).sum(axis=1) / cells.n.sum(axis=1))


def slices(
    predictions: Predictions, view: str, scores: tuple[Array, Array], column: str, **how: Any
) -> Slices:
    """The rows by the values of a column, with the ECE of each group."""
    codes, names, note = coded(predictions.extra[column], f"{predictions.source}: {column}")
    level = float(how.get("level", 0.95))
    found = groups(scores, predictions.weights, codes, names, level)
    whole = []
    for k, group in enumerate(found):
        errors: tuple[Estimate, ...] = ()
        if group.rows:
            part = predictions.take(np.flatnonzero(codes == k))
            errors = _errors(part, view, **how)
        whole.append(
            Group(
                group.name,
                group.rows,
                group.score,
                group.outcome,
                group.low,
                group.high,
                errors,
            )
        )
    return Slices(column, tuple(whole), note)


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


def coded(column: Array, place: str) -> tuple[Array, list[str], str]:
    """A column's values as the number of a group, the names of the groups, and what to know.

    >>> coded(np.array(["b", "a", "b"]), "file: column")[:2]
    (array([0, 1, 0]), ['b', 'a'])
    """
    if column.ndim != 1:
        raise InputError(f"{place}: holds several values a row; rows go by one value each")
    if column.dtype.kind == "f" or (
        column.dtype.kind in "iu" and len(np.unique(column)) > MOST_VALUES
    ):
        return _by_quantiles(column.astype(np.float64), place)
    values, codes, counts = np.unique(column.astype(str), return_inverse=True, return_counts=True)
    if column.dtype.kind in "iu":
        order = np.argsort(column[np.unique(codes, return_index=True)[1]], kind="stable")
    else:
        order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(values), np.int64)
    rank[order] = np.arange(len(values))
    names = [str(values[k]) or "(empty)" for k in order]
    if len(names) <= MOST_VALUES:
        return rank[codes], names, ""
    rest = len(names) - MOST_VALUES
    note = f"The {rest:,} rarest of {len(names):,} values are joined."
    return (
        np.minimum(rank[codes], MOST_VALUES),
        [*names[:MOST_VALUES], f"{rest:,} other values"],
        note,
    )


def _by_quantiles(column: Array, place: str) -> tuple[Array, list[str], str]:
    """Groups of about as many rows each; equal values stay together."""
    known = np.isfinite(column)
    values = np.unique(column[known])
    if not len(values):
        raise InputError(f"{place}: no value is a finite number")
    if len(values) <= MOST_VALUES:
        edges = values
        names = [f"{value:g}" for value in values]
    else:
        at = np.quantile(column[known], np.arange(1, QUANTILES + 1) / QUANTILES, method="higher")
        edges = np.unique(at)
        lows = [values[0], *edges[:-1]]
        names = [f"{a:.4g} to {b:.4g}" for a, b in zip(lows, edges, strict=True)]
        names = names if len(set(names)) == len(names) else [f"up to {b:.17g}" for b in edges]
    codes = np.full(len(column), len(edges), np.int64)
    codes[known] = np.searchsorted(edges, column[known])
    missing = int(np.count_nonzero(~known))
    if not missing:
        return codes, names, ""
    return codes, [*names, "(not a number)"], f"{missing:,} rows hold no finite number."


def _errors(part: Predictions, view: str, **how: Any) -> tuple[Estimate, ...]:
    try:
        return evaluate(part, [f"ece(view={view})"], **how).estimates
    except CalibtoolError as error:
        return (Estimate("ece", None, view=view, missing=str(error)),)


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
