"""The map step: predictions of any number of rows to a state, `ct.cells`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from calibtool.data.readable import Readable
from calibtool.metrics.spec import Spec, parse_list, resolve_view
from calibtool.streaming.engines.dask_frame import as_source
from calibtool.streaming.layout import full_layout
from calibtool.streaming.passes import summarize
from calibtool.streaming.summary import DataShape, Summary
from calibtool.types import Progress


def cells(
    predictions: Readable,
    metrics: str | Iterable[str | Spec] = "default",
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """What is kept of rows, in one pass: a state, which `+` adds to others and `evaluate` takes.

    Args:
        predictions: `Predictions`, a source to be read in parts, or a Dask data frame whose
            columns tell their part by name (`ct.from_dask` for others).
        metrics: what has to come out exactly besides the equal-width errors of 10, 15, 20, 25, 30,
            50 and 100 bins.
        threads: None for as many as there are cores. It changes no digit.
        progress: called now and then with what is being done and the share that is done.

    Raises InputError.

    >>> import calibtool as ct
    >>> one = cells(ct.Predictions.from_probs([0.9, 0.2], [1, 0]))
    >>> two = one + cells(ct.Predictions.from_probs([0.6], [0]))
    >>> two.rows, float(two.cells("positive").p.sum().round(6))
    (3, 1.7)
    """
    predictions = as_source(predictions)
    shape = DataShape(
        predictions.kind,
        predictions.classes,
        predictions.one_column,
        getattr(predictions, "class_names", None),
    )
    specs = [resolve_view(spec, predictions) for spec in parse_list(metrics)]
    keep = full_layout(shape, specs)
    how: dict[str, Any] = {"threads": threads, "progress": progress}
    return summarize(predictions, keep, **how)[0]
