"""The pass over the rows: what the metrics need of each, of each variant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from calibtool.data.blocks import Wanted, unit
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable
from calibtool.data.rows import Rows, reduce_rows
from calibtool.errors import CalibtoolError, InputError
from calibtool.evaluation.collect import Collected, collect
from calibtool.evaluation.measurement import Settings
from calibtool.evaluation.request import Request
from calibtool.evaluation.unseen_rows import sampled
from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import CountMetric, MatrixMetric, Score, TwoFileMetric
from calibtool.metrics.spec import Spec
from calibtool.parallel import within_room
from calibtool.types import Array, Progress


def _paired_columns(specs: Sequence[Spec]) -> set[str]:
    """Return what the difference of two variants on the same rows needs of each row."""
    from calibtool.evaluation.pairs import SHARES

    return {"predicted"} if any(spec.metric.name in SHARES for spec in specs) else set()


def collect_rows(request: Request, settings: Settings) -> list[Collected]:
    """Read the predictions once, and return what the metrics need of each variant."""
    predictions = request.predictions
    wanted = _wanted(request.specs, predictions)
    if predictions.classes is not None:
        wanted = replace(wanted, columns=wanted.columns | request.columns)
        if request.paired:
            wanted = replace(wanted, columns=wanted.columns | _paired_columns(request.specs))
    # replicates are summed during the pass only for the one-vs-rest bins, the one thing that
    # cannot be kept per row: N x K scores
    draws = settings.draws if wanted.lowest is not None else None
    rows, threads = unit(predictions.classes), settings.threads
    if draws is not None:  # float32 probabilities of each block are kept until they are summed
        size = 4 * rows * (predictions.classes or 0) * len(request.applied)
        threads = within_room(threads, size)
    blocks = _labelled_blocks(predictions, rows, settings.progress)
    collected = collect(
        blocks,
        request.applied,
        wanted=wanted,
        draws=draws,
        threads=threads,
        sampled=_sampled(request, settings),
    )
    if any(isinstance(s.metric, Score) and "refined" in s.metric.needs for s in request.specs):
        return _refined(request, collected)
    return collected


def _sampled(request: Request, settings: Settings) -> Array | None:
    """Return the positions of the rows that the unseen row may be like; None where no metric asks
    for one."""
    asking = any(s.is_mean or isinstance(s.metric, Score | CountMetric) for s in request.specs)
    if settings.draws is None or not settings.inverted or not asking:
        return None
    return sampled(settings.draws.rows, request.predictions.classes, settings.draws.seed)


def _wanted(specs: Sequence[Spec], predictions: Readable) -> Wanted:
    """Return what the pass has to keep for these metrics."""
    if predictions.classes is None:
        return Wanted()
    columns: set[str] = set()
    probs = False
    lowest = []
    for spec in specs:
        metric = spec.metric
        if isinstance(metric, Score):
            columns |= set(metric.needs)
        elif isinstance(metric, TwoFileMetric):
            columns |= {"entropy"} if spec.options["by"] == "entropy" else set()
        elif isinstance(metric, CountMetric) or spec.view == "label":
            columns |= {"labels", "predicted"}
        elif isinstance(metric, MatrixMetric):
            columns, probs = columns | {"labels"}, True
        elif spec.view == "class" and spec.one_edge_for_all:
            lowest.append(float(spec.edges(Cells.empty())[0]))
        elif spec.view == "class":
            columns, probs = columns | {"labels"}, True
    return Wanted(min(lowest, default=None), frozenset(columns), probs)


def _labelled_blocks(predictions: Readable, size: int, progress: Progress) -> Iterator[Predictions]:
    """Yield blocks of `size` rows, and report how many have been read.

    Raises InputError for predictions without labels.
    """
    done = 0
    for block in predictions.blocks(size):
        if block.kind != "confidence" and block.labels is None:
            raise InputError(f"{predictions.source}: there are no labels to measure against")
        yield block
        done += block.rows
        progress("reading", done / max(predictions.rows, 1))


def _refined(request: Request, collected: Sequence[Collected]) -> list[Collected]:
    """Add each row's log-probability after temperature scaling fitted on the other folds.

    It stays None where no temperature can be fitted; metrics that need it are then not available.
    """
    if request.predictions.kind == "confidence":
        return list(collected)
    from calibtool.calibrators.crossfit import cross_fit  # few metrics need a calibrator
    from calibtool.calibrators.fit import fit

    predictions = request.predictions.load()
    refined = []
    for apply, variant in zip(request.applied, collected, strict=True):
        try:
            numbered, refit = cross_fit(
                partial(fit, "temperature"), apply(predictions), "temperature"
            )
            log_prob = reduce_rows(refit(numbered)).log_prob
        except CalibtoolError:
            log_prob = None
        refined.append(replace(variant, rows=replace(variant.rows, refined=log_prob)))
    return refined


def reduce_ood(request: Request) -> list[Rows | None]:
    """Return the rows of the second file after each variant; None without a second file."""
    ood, predictions = request.ood, request.predictions
    if ood is None:
        return [None for _ in request.variants]
    if ood.classes != predictions.classes:
        raise InputError(
            f"{ood.source} has {ood.classes or 'no'} classes, {predictions.source} has "
            f"{predictions.classes or 'no'}; --ood needs rows of the same model"
        )
    columns = _wanted(request.specs, predictions).columns & {"entropy"}
    parts: list[list[Rows]] = [[] for _ in request.variants]
    for block in ood.blocks(unit(ood.classes)):
        labelled = block
        if block.kind != "confidence" and block.labels is None:
            # labels say nothing about rows from elsewhere, but reducing rows needs some
            labelled = replace(block, labels=np.zeros(block.rows, np.int64))
        for part, apply in zip(parts, request.applied, strict=True):
            part.append(reduce_rows(apply(labelled), want=columns))
    return [Rows.concatenate(part) for part in parts]
