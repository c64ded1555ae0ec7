"""The inputs of a diagram: one set of predictions, several with names, or groups of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, TypedDict

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable
from calibtool.data.slicing import PSEUDO, partition
from calibtool.errors import UsageError
from calibtool.types import Array, Progress

Named: TypeAlias = Readable | Mapping[str, Readable]


class How(TypedDict, total=False):
    """How intervals are made: the options that every kind shares."""

    ci: str
    resamples: int
    level: float
    seed: int
    progress: Progress | None


MOST_GROUPS = 12  # small diagrams side by side


def named(predictions: Named) -> dict[str, Readable]:
    """Return sets of predictions by name."""
    if isinstance(predictions, Mapping):
        if not predictions:
            raise UsageError("there are no predictions to draw")
        return dict(predictions)
    return {predictions.source: predictions}


def only(predictions: Named) -> Readable:
    """Return the only set of predictions."""
    (rows,) = named(predictions).values()
    return rows


def with_classes(predictions: Named, diagram: str) -> Readable:
    """Return the only set of predictions; raise UsageError if it holds confidences alone."""
    rows = only(predictions)
    if rows.kind == "confidence":
        raise UsageError(
            f"{rows.source}: {diagram} needs whole rows of logits or probabilities; there are "
            "confidences only"
        )
    return rows


def whole(predictions: Readable) -> Predictions:
    """All rows in memory."""
    return next(iter(predictions.blocks(max(predictions.rows, 1))))


def class_names(predictions: Readable) -> list[str]:
    """Return the names of the classes, or their numbers as text."""
    known = getattr(predictions, "class_names", None)
    return list(known) if known else [str(k) for k in range(predictions.classes or 2)]


def column(predictions: Predictions, name: str, option: str) -> Array:
    """Return a column that was carried along, (N,): one value per row.

    Raises UsageError if there is none, or if it has several values per row.
    """
    if name not in predictions.extra:
        known = ", ".join(predictions.extra)
        hint = f"there are {known}" if known else f"load(..., extra=[{name!r}]) carries it along"
        raise UsageError(f"{predictions.source}: {option}: there is no column {name!r}; {hint}")
    values = predictions.extra[name]
    if values.ndim != 1:
        raise UsageError(f"{predictions.source}: {option}: {name!r} has several values per row")
    return values


def groups(predictions: Predictions, name: str) -> tuple[dict[str, Readable], tuple[str, ...]]:
    """The rows of each value of a column, or of quarters of its values where they are many numbers;
    of a pseudo-column or a combination of columns, those of each slice. And what was left out, in
    words."""
    if name not in predictions.extra and ("," in name or name in PSEUDO):
        return _slices(predictions, name)
    values = column(predictions, name, "--by")
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) > MOST_GROUPS and values.dtype.kind in "iuf":
        return _quarters(predictions, values, name), ()
    order = np.arange(len(distinct))
    notes: tuple[str, ...] = ()
    if len(distinct) > MOST_GROUPS:
        order = np.sort(np.argsort(-counts, kind="stable")[:MOST_GROUPS])
        left = int(counts.sum() - counts[order].sum())
        said = f"{name} has {len(distinct):,} values: the {MOST_GROUPS} with most rows are drawn"
        notes = (f"{said}, {left:,} rows are not",)
    found: dict[str, Readable] = {
        f"{name} {distinct[k]}": predictions.take(np.flatnonzero(inverse == k)) for k in order
    }
    return found, notes


def _slices(predictions: Predictions, by: str) -> tuple[dict[str, Readable], tuple[str, ...]]:
    """The largest slices, in their order."""
    parts = partition(predictions, by)
    kept = np.sort(np.argsort(-parts.rows, kind="stable")[:MOST_GROUPS])
    notes: tuple[str, ...] = (parts.note,) if parts.note else ()
    left = int(parts.rows.sum() - parts.rows[kept].sum())
    if left:
        said = f"{by} makes {len(parts.names):,} slices: the {MOST_GROUPS} with most rows are drawn"
        notes += (f"{said}, {left:,} rows are not",)
    prefix = "" if "," in by else f"{by} "
    found: dict[str, Readable] = {
        f"{prefix}{parts.names[k]}": predictions.take(parts.index(int(k)))
        for k in kept
        if parts.rows[k]
    }
    return found, notes


def _quarters(predictions: Predictions, values: Array, name: str) -> dict[str, Readable]:
    if not np.isfinite(values).all():
        raise UsageError(f"{predictions.source}: --by {name}: some values are not finite")
    cuts = np.unique(np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf"))
    where = np.searchsorted(cuts, values)
    ends = [values.min(), *cuts, values.max()]
    out: dict[str, Readable] = {}
    for k in range(len(cuts) + 1):
        at = np.flatnonzero(where == k)
        if len(at):
            out[f"{name} {ends[k]:.3g} to {ends[k + 1]:.3g}"] = predictions.take(at)
    return out
