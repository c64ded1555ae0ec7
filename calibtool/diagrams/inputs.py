"""The inputs of a diagram: one set of predictions, several with names, or groups of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias, TypedDict

from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable, Variant
from calibtool.data.slicing import PSEUDO, panels
from calibtool.errors import UsageError
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.parallel import in_steps
from calibtool.types import Array, Progress, silent

Named: TypeAlias = Readable | Mapping[str, Readable]
MOST_GROUPS = 12  # small diagrams in one picture: six rows of two at the width of a paper's column


class SharedOptions(TypedDict, total=False):
    """The options that every kind shares: how intervals are made, and the progress callback."""

    ci: str
    resamples: int
    level: float
    seed: int
    progress: Progress | None


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


def request(
    predictions: Readable,
    metrics: Sequence[str],
    variants: Sequence[Variant] = (Variant(),),
    *,
    columns: Collection[str] = (),
    bias: bool = True,
    ci: str = "inverted",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
) -> Request:
    """Return the request that a diagram's options make: `Request.of`, with flat options."""
    return Request.of(
        predictions,
        metrics,
        variants,
        columns=columns,
        bias=bias,
        resampling=Resampling(ci, resamples, level, seed),
        execution=Execution.of(progress=in_steps(progress or silent)),
    )


def with_classes(predictions: Named, diagram: str) -> Readable:
    """Return the only set of predictions; raise UsageError if it holds confidences alone."""
    rows = only(predictions)
    if rows.kind == "confidence":
        raise UsageError(
            f"{rows.source}: {diagram} needs whole rows of logits or probabilities; there are "
            "confidences only"
        )
    return rows


def require_two_classes(rows: Readable, diagram: str) -> None:
    """Check that predictions are of two classes. Raises UsageError."""
    if rows.classes != 2:
        there = (
            "there are confidences only"
            if rows.classes is None
            else f"there are {rows.classes:,} classes"
        )
        raise UsageError(
            f"{rows.source}: {diagram} needs two classes; {there}. Give the probability of the "
            "outcome as one column, and 1 or 0 as its label"
        )


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
    """Return the rows of each group by a column, the largest groups only, and notes on the others.

    `data.slicing.panels` splits the rows. Raises UsageError for a column that is not there.
    """
    is_column = name in predictions.extra
    if is_column or ("," not in name and name not in PSEUDO):
        column(predictions, name, "--by")  # raises UsageError
    parts = panels(predictions, name, MOST_GROUPS)
    largest = parts.largest(MOST_GROUPS)
    notes: tuple[str, ...] = (parts.note,) if parts.note else ()
    left = int(parts.rows.sum() - parts.rows[largest].sum())
    if left:
        count = f"{len(parts.names):,}"
        many = f"has {count} values" if is_column else f"makes {count} slices"
        shown = f"the {MOST_GROUPS} with most rows are drawn"
        notes += (f"{name} {many}: {shown}, {left:,} rows are not",)
    prefix = "" if "," in name and not is_column else f"{name} "
    by_name: dict[str, Readable] = {
        f"{prefix}{parts.names[k]}": parts.take(predictions, k) for k in largest
    }
    return by_name, notes
