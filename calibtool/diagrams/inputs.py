"""The inputs of a diagram: one set of predictions, several with names, or groups of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias, TypedDict

from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable, Recalibrator, Variant
from calibtool.errors import UsageError
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.metrics.resolve import one_score_view
from calibtool.parallel import in_steps
from calibtool.types import Array, Progress, silent

Named: TypeAlias = Readable | Mapping[str, Readable]


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


def with_calibrators(calibrators: Sequence[Recalibrator]) -> list[Variant]:
    """Return the variants to overlay: the rows unchanged, and after each calibrator. Titles that
    occur twice are numbered, so that the key tells them apart."""
    titles = [calibrator.describe() for calibrator in calibrators]
    variants = [Variant()]
    for k, (calibrator, title) in enumerate(zip(calibrators, titles, strict=True)):
        before = titles[:k].count(title)
        variants.append(Variant(calibrator, f"{title}, no. {before + 1}" if before else title))
    return variants


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


def drawn_view(view: str, *sets: Readable) -> str:
    """Return the view in which predictions are drawn: "top" or "positive".

    "auto" is positive if all are of two classes, in one column or in two: P(class 1) lies anywhere
    from 0 to 1, whereas the confidence of the likelier of two classes leaves half the plane empty.

    Raises UsageError for the positive view of other than two classes.
    """
    if view == "auto":
        return "positive" if all(rows.classes == 2 for rows in sets) else "top"
    for rows in sets:
        one_score_view(view, rows)  # raises UsageError
    return view


def view_option(view: str, rows: Readable, *others: Readable) -> str:
    """Return the option with which a metric of `rows` is measured in the view that is drawn, such
    as "view=positive"; "" if that is its default.

    Args:
        view: "auto", "top" or "positive".
        rows: predictions.
        others: those in the same diagram.
    """
    chosen = drawn_view(view, rows, *others)
    default = "positive" if rows.one_column else "top"
    return "" if view == "auto" and chosen == default else f"view={chosen}"


def class_names(predictions: Readable) -> list[str]:
    """Return the names of the classes, or their numbers as text."""
    known = getattr(predictions, "class_names", None)
    return list(known) if known else [str(k) for k in range(predictions.classes or 2)]


def shared_names(*sets: Readable) -> tuple[str, ...] | None:
    """Return the names of the classes, if all sets of predictions give them the same."""
    given = {getattr(rows, "class_names", None) for rows in sets}
    return given.pop() if len(given) == 1 else None


def numbered_name(name: str) -> str:
    """Return the name of a class in a sentence: one that is a number is told from a quantity.

    >>> numbered_name("cat"), numbered_name("55")
    ('cat', 'class 55')
    """
    return f"class {name}" if name.isdecimal() else name


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
