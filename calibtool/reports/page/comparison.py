"""The comparison of a page: paired differences between files that hold the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from calibtool.data.files.source import Source
from calibtool.data.matching import match
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Variant
from calibtool.errors import InputError
from calibtool.evaluation.evaluate import evaluate_rows
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.metrics.spec import Spec
from calibtool.reports.page.model import Comparison
from calibtool.types import Progress


def compare(
    files: Sequence[Source | Predictions],
    names: Sequence[str],
    metrics: str | Sequence[str | Spec],
    resampling: Resampling,
    progress: Progress,
    cluster: str | None = None,
) -> Comparison:
    """Return every file's metrics minus those of the first, with the same draws of the same rows.

    Rows are matched as `calibtool compare` matches them. Files that cannot be matched are not an
    error here: the page still shows each of them, and says why there are no differences.
    """
    first, *rest = files
    if cluster is not None and isinstance(first, Source):
        first = first.also([cluster])
    try:
        matched = match([first, *rest])
    except InputError as error:
        return Comparison((), f"No paired differences: {error}.")
    others = [
        replace(variant, title=name)
        for name, variant in zip(names[1:], matched.systems[1:], strict=True)
    ]
    request = Request.of(
        # the first file's rows are what is read: its variant changes nothing
        matched.first,
        metrics,
        [Variant(), *others],
        cluster=cluster,
        resampling=resampling,
        execution=Execution.of(progress=progress),
    )
    results = evaluate_rows(request)
    changes = [(name, results.change(k)) for k, name in enumerate(names[1:], start=1)]
    return Comparison(tuple(changes), "")
