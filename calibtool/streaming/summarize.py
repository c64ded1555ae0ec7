"""`ct.cells`: predictions of any number of rows to a summary."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from calibtool.metrics.resolve import resolve
from calibtool.metrics.spec import Spec, parse_list
from calibtool.streaming.layout import full_layout
from calibtool.streaming.passes import summarize
from calibtool.streaming.read import read
from calibtool.streaming.summary import DataShape, Summary
from calibtool.types import Progress


def cells(
    predictions: Any,
    metrics: str | Iterable[str | Spec] = "default",
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    **keys: Any,
) -> Summary:
    """Summarize rows in one pass; `+` adds summaries, and `evaluate` takes them.

    Args:
        predictions: all that `ct.read` takes; a file and a Dask data frame are read in parts.
        metrics: metrics that have to be exact, besides the equal-width errors of 10, 15, 20, 25,
            30, 50 and 100 bins.
        threads: the number of threads; None for one per core. It changes no digit.
        progress: called now and then with a stage and the share of it that is done.
        keys: which column has which role, as for `ct.load`.

    Raises InputError.

    >>> import calibtool as ct
    >>> day1 = cells(ct.Predictions.from_probs([0.9, 0.2], [1, 0]))
    >>> days = day1 + cells(ct.Predictions.from_probs([0.6], [0]))
    >>> days.rows, float(days.cells("positive").p.sum().round(6))
    (3, 1.7)
    """
    predictions = read(predictions, **keys)
    shape = DataShape(
        predictions.kind,
        predictions.classes,
        predictions.one_column,
        getattr(predictions, "class_names", None),
    )
    specs = resolve(parse_list(metrics), predictions)
    layout = full_layout(shape, specs)
    return summarize(predictions, layout, threads=threads, progress=progress)[0]
