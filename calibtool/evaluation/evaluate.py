"""Evaluate: resolve the request, read the rows once, measure, make intervals, and report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from calibtool.data.clusters import ADVICE
from calibtool.data.predictions import DataInfo
from calibtool.data.unit import unit_text
from calibtool.errors import InputError
from calibtool.evaluation import costs
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.collect import Collected
from calibtool.evaluation.from_rows import measure_rows
from calibtool.evaluation.notices import (
    NO_WEIGHT,
    infinite_nlls,
    nlls,
    too_few_rows,
    without_interval,
)
from calibtool.evaluation.report import Report
from calibtool.evaluation.request import Request
from calibtool.evaluation.results import Results, bias_of, digest_of
from calibtool.evaluation.row_pass import collect_rows, reduce_ood
from calibtool.evaluation.wording import read
from calibtool.intervals.shares import design_effects
from calibtool.metrics.cells import Cells, ScoreSum, locate
from calibtool.metrics.spec import Spec
from calibtool.parallel import Work
from calibtool.streaming.layout import streams
from calibtool.streaming.streamed import STREAMED_ROWS, max_rows
from calibtool.types import Array

if TYPE_CHECKING:
    from calibtool.evaluation.pairs import UnseenPairs
    from calibtool.intervals.difference import Discordant


def evaluate_variants(request: Request) -> Results:
    """Measure every variant of a request: from cells where `request.from_cells` says so, otherwise
    from rows. Of rows too many to be kept, metrics that need them see a sample.

    Raises InputError, UsageError.
    """
    if not (request.from_cells or request.is_split):
        return evaluate_rows(request)
    from calibtool.evaluation.evaluate_cells import evaluate_cells  # rows in memory need none of it

    if request.from_cells:
        return evaluate_cells(request)
    from calibtool.evaluation.split_results import SplitResults
    from calibtool.evaluation.subsample import draw_rows

    sampled = [not streams([spec]) for spec in request.specs]
    pairs = list(zip(request.specs, sampled, strict=True))
    whole = tuple(spec for spec, drawn in pairs if not drawn)
    others = tuple(spec for spec, drawn in pairs if drawn)
    work = _watched_parts(request, whole, others)
    request = replace(request, execution=replace(request.execution, progress=work))
    work.next("cells")
    of_cells = evaluate_cells(replace(request, specs=whole))
    work.next("drawing rows")
    rows = draw_rows(request.predictions, STREAMED_ROWS, request.resampling.seed)
    work.next("sample")
    of_sample = evaluate_rows(replace(request, predictions=rows, specs=others))
    return SplitResults.of(of_cells, of_sample, sampled)


def _watched_parts(request: Request, whole: Sequence[Spec], others: Sequence[Spec]) -> Work:
    """Return the progress of measuring some metrics from cells and the others from a sample."""
    rows, classes = max_rows(request.predictions), request.predictions.classes
    shared = classes, len(request.variants), request.resampling
    parts = {
        "cells": sum(costs.of_cells(whole, rows, *shared).values()),
        "drawing rows": costs.READING * rows * (classes or 1),
        "sample": sum(costs.of_rows(others, STREAMED_ROWS, *shared).values()),
    }
    return Work(request.execution.progress, parts)


@dataclass(frozen=True, eq=False)
class RowResults(Results):
    """Variants measured on the same rows by the same draws: any two are paired.

    Attributes:
        collected, left, said: what the pass kept of each variant, `skipped` and `notes`.
        no_intervals: why there are none although they were asked for, or "".
        class_names: the names of the classes, if known.
    """

    collected: tuple[Collected, ...] = ()
    left: tuple[tuple[str, str], ...] = ()
    said: tuple[str, ...] = ()
    no_intervals: str = ""
    class_names: tuple[str, ...] | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        return self.said

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        return self.left

    def means(self, variant: int = 0) -> tuple[float, float]:
        """Return the mean score and the mean outcome of a variant, in `view`."""
        rows = self.collected[variant].rows
        score, outcome = rows.view(self.view)
        return (
            ScoreSum.from_rows(score.astype(np.float64), rows.weights).mean,
            ScoreSum.from_rows(outcome, rows.weights).mean,
        )

    def problems(self, variant: int = 0, view: str = "") -> RowProblems:
        """Return the binary problems of a variant, by default in `view`."""
        return RowProblems(self.collected[variant], view or self.view)

    def binned(self, variant: int, edges: Array) -> tuple[Cells, Array]:
        """Return a variant's scores in `view` in bins by upper edges, and the sum of the squared
        weights in each bin, as many times as clusters of rows make its mean outcome vary more;
        NaN where there are too few clusters to tell."""
        rows = self.collected[variant].rows
        score, outcome = rows.view(self.view)
        bins = locate(score, edges)
        cells = Cells.binned(score, outcome, edges, rows.weights, bins)
        if self.no_intervals:
            return cells, np.full(len(edges), np.nan)
        squares = cells.n
        if rows.weights is not None:
            squares = np.bincount(bins, rows.weights**2, len(edges))
        cluster = None if self.settings.draws is None else self.settings.draws.cluster
        if cluster is not None:
            of_bins = design_effects(bins, outcome, rows.weights, cluster, len(edges))
            squares = squares * of_bins
        return cells, squares

    def digest(self, variant: int) -> str:
        """Return a digest of a variant's confidences, whether each is right, and the weights."""
        rows = self.collected[variant].rows
        weights = b"" if rows.weights is None else rows.weights
        return digest_of(rows.confidence, rows.correct, weights)

    def reach(self, number: int, variant: int, since: int) -> float | None:
        """Return how far apart the true errors of two variants may be, by their paired rows."""
        from calibtool.evaluation.pairs import reach

        draws = self.settings.draws
        before, after = self.measured[since][number], self.measured[variant][number]
        edges = before.edges, after.edges
        pair = self.collected[since], self.collected[variant]
        cluster = None if draws is None else draws.cluster
        return reach(self.specs[number], *pair, edges, cluster, self.settings.level)

    def discordant(self, number: int, variant: int, since: int) -> Discordant | None:
        """Return how many rows differ between two variants in what a metric is the share of."""
        from calibtool.evaluation.pairs import discordant

        draws = self.settings.draws
        if draws is None or draws.cluster is not None:
            return None
        before, after = self.collected[since].rows, self.collected[variant].rows
        return discordant(self.specs[number], before, after)

    def with_unseen(
        self, number: int, variant: int, since: int, changes: Array
    ) -> list[Array] | None:
        """Return the replicates of a change with one row that was not seen."""
        return self._unseen.replicates(self.specs[number], since, variant, changes)

    @cached_property
    def _unseen(self) -> UnseenPairs:
        from calibtool.evaluation.pairs import UnseenPairs

        return UnseenPairs(self.specs, self.collected, self.settings.draws)

    def only(self, variants: slice) -> Self:
        """Return the results of some of the variants."""
        return replace(super().only(variants), collected=self.collected[variants])

    def warnings(self) -> Iterator[str]:
        """Yield what the reader should know about the data."""
        if self.no_intervals:
            yield self.no_intervals
        yield from too_few_rows(len(self.collected[0].rows.confidence), self.settings)
        for collected, when in zip(self.collected, ("", " after the calibrator"), strict=False):
            for spec in nlls(self.specs, self.data.classes):
                yield from infinite_nlls(collected.rows, spec, when)
        yield from without_interval(self.specs, self.measured[0])
        yield from self._without_interval()

    def _without_interval(self) -> Iterator[str]:
        """Yield the metrics for which no interval is known to cover when rows are clustered."""
        if self.settings.draws is None or self.settings.draws.cluster is None:
            return
        estimates = zip(self.specs, self.estimates(), strict=True)
        names = [
            spec.name
            for (spec, estimate), measurement in zip(estimates, self.measured[0], strict=True)
            if estimate.value is not None and estimate.low is None and not measurement.without
        ]
        if names:
            yield (
                f"no interval for {', '.join(names)}: none is known to cover when rows are "
                "clustered"
            )


def evaluate_rows(request: Request) -> RowResults:
    """Measure every variant of a request on the rows themselves, however many there are, and keep
    what the pass collected of them.

    Raises InputError, UsageError.
    """
    predictions = request.predictions
    cluster, no_intervals = request.clusters
    if no_intervals:
        request = request.without_intervals
    work, request = _watched(request)
    settings = request.settings(predictions.rows, cluster)
    work.next("reading")
    collected = collect_rows(request, settings)
    others = reduce_ood(request)
    rows = collected[0].rows
    if rows.weights is not None and not rows.weights.any():
        raise InputError(f"{predictions.source}: {NO_WEIGHT}")
    view = request.view if request.bias else None
    measured, bias = measure_rows(request.specs, collected, settings, view, others, work)
    return RowResults(
        request.specs,
        request.variants,
        tuple(tuple(row) for row in measured),
        settings,
        DataInfo(
            predictions.source,
            len(rows.confidence),
            predictions.classes,
            predictions.kind,
            rows.weights is not None,
            getattr(predictions, "filter", ""),
            unit_text(predictions),
        ),
        request.view,
        bias,
        tuple(collected),
        getattr(predictions, "skipped", ()),
        _followed(getattr(predictions, "notes", ()), request.cluster),
        no_intervals,
        getattr(predictions, "class_names", None),
    )


def _watched(request: Request) -> tuple[Work, Request]:
    """Return the progress of measuring from rows, and the request that tells its steps to it."""
    rows, classes = request.predictions.rows, request.predictions.classes
    parts = costs.of_rows(request.specs, rows, classes, len(request.variants), request.resampling)
    work = Work(request.execution.progress, parts)
    return work, replace(request, execution=replace(request.execution, progress=work))


def _followed(notes: Iterable[str], cluster: str | None) -> tuple[str, ...]:
    """Return what was read without the advice on clusters that was followed.

    >>> _followed(["2 ids with several rows: pass --cluster id"], "id")
    ('2 ids with several rows',)
    """
    return tuple(note.removesuffix(ADVICE.format(cluster)) for note in notes)


# ------------------------------------------------------------------ the report


def report_of(results: Results) -> Report:
    """Return the report of one variant, or of two: before, after and the change."""
    score, outcome = results.means()
    report = Report(
        results.data,
        results.estimates(),
        level=results.level,
        bias=bias_of(results.bias, results.view, results.settings),
        said=score,
        was=outcome,
        warnings=results.report_warnings(),
        cells=results.cells(),
        digest=results.digest(len(results.variants) - 1),
        class_names=results.class_names,
        view=results.view,
        skipped=results.skipped,
        notes=results.report_notes(),
    )
    if len(results.variants) > 1:
        report = replace(
            report,
            after=results.estimates(1),
            change=results.change(),
            calibrator=results.variants[1].title,
        )
    return replace(report, reading=read(report))
