"""Results: the measurements of variants, and the estimates and differences they give."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np

from calibtool.data.files.reader import left_out
from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Variant
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.measurement import Measurement, Settings
from calibtool.evaluation.notices import left_out_classes, other_names
from calibtool.evaluation.resampling import FEW_RESAMPLES
from calibtool.intervals import bootstrap, difference, unseen
from calibtool.intervals.difference import Discordant
from calibtool.intervals.draws import Draws
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.cells import Cells
from calibtool.metrics.spec import Spec, parse
from calibtool.types import Array
from calibtool.version import __version__

KEPT = 15  # bins of the scores that a report keeps: the usual number (Guo et al. 2017)


@dataclass(frozen=True, eq=False)
class Results:
    """Variants measured on the same rows.

    Attributes:
        specs: the metrics.
        variants: the variants, in the order in which they are numbered.
        measured: [variant][spec], the numbers with their replicates.
        settings: how they were measured.
        data: what was read.
        view: the view of the bias, the means and the kept bins.
        bias: mean score minus mean outcome of the first variant, in `view`.
    """

    specs: tuple[Spec, ...]
    variants: tuple[Variant, ...]
    measured: tuple[tuple[Measurement, ...], ...]
    settings: Settings
    data: DataInfo
    view: str
    bias: Measurement

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes, if known."""
        return None

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """Files that could not be read and were left out, with the reason."""
        return ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was read, and on what was left out of it."""
        return ()

    @property
    def level(self) -> float | None:
        """Confidence level of the intervals; None where there are none."""
        return None if self.settings.draws is None else self.settings.level

    @property
    def band_draws(self) -> Draws | None:
        """The draws of the bands of curves; None where there are none."""
        return self.settings.draws

    def estimates(self, variant: int = 0) -> tuple[Estimate, ...]:
        """Return every metric of a variant, with its interval."""
        title = self.variants[variant].title
        return tuple(
            estimate_of(spec, measurement, self.settings, self.data, title)
            for spec, measurement in zip(self.specs, self.measured[variant], strict=True)
        )

    def problems(self, variant: int = 0, view: str = "") -> RowProblems:
        """Return the binary problems of a variant, by default in `view`."""
        raise NotImplementedError

    def binned(self, variant: int, edges: Array) -> tuple[Cells, Array]:
        """Return a variant's scores in `view` in bins by upper edges, and the sum of the squared
        weights in each bin; NaN where rows are correlated by an unknown amount."""
        raise NotImplementedError

    def means(self, variant: int = 0) -> tuple[float, float]:
        """Return the mean score and the mean outcome of a variant, in `view`."""
        raise NotImplementedError

    def warnings(self) -> Iterator[str]:
        """Yield what the reader should know about the data."""
        raise NotImplementedError

    def report_warnings(self) -> tuple[str, ...]:
        """Return what the numbers suffer from: files that were left out, and `warnings`."""
        return (*left_out(self.skipped), *self.warnings())

    def report_notes(self) -> tuple[str, ...]:
        """Return what the reader should know about the names of the metrics and the rows."""
        return (
            *other_names(self.specs),
            *left_out_classes(self.specs, self.class_names),
            *self.notes,
        )

    def cells(self) -> Cells:
        """Return the bins of the last variant's scores that a saved report keeps."""
        return self.binned(len(self.variants) - 1, np.arange(1, KEPT + 1) / KEPT)[0]

    def digest(self, variant: int) -> str:
        """Return a digest of a variant's scores and outcomes, by which a saved report is known to
        be of the same predictions."""
        cells = self.binned(variant, np.arange(1, KEPT + 1) / KEPT)[0]
        return digest_of(self.view.encode(), cells.n, cells.p, cells.y)

    def only(self, variants: slice) -> Self:
        """Return the results of some of the variants."""
        return replace(self, variants=self.variants[variants], measured=self.measured[variants])

    def change(self, variant: int = 1, since: int = 0) -> tuple[Estimate, ...]:
        """Return a variant's metrics minus those of another, paired; `p_value` tests that they are
        equal."""
        pairs = zip(
            self.estimates(since),
            self.estimates(variant),
            self.measured[since],
            self.measured[variant],
            strict=True,
        )
        return tuple(
            change_of(
                a,
                b,
                x,
                y,
                self.settings,
                partial(self.reach, number, variant, since),
                partial(self.discordant, number, variant, since),
                partial(self.with_unseen, number, variant, since),
            )
            for number, (a, b, x, y) in enumerate(pairs)
        )

    def reach(self, number: int, variant: int, since: int) -> float | None:
        """Return how far apart the true errors of two variants may be, at the level, by what their
        paired rows show; None where nothing is known but the two intervals.

        Args:
            number: of the metric, a calibration error with inverted intervals.
            variant, since: the numbers of the two variants.
        """
        return None

    def with_unseen(
        self, number: int, variant: int, since: int, changes: Array
    ) -> list[Array] | None:
        """Return the replicates of a change with one row that was not seen, (R,) for each kind of
        row; None where it has no such row."""
        return None

    def discordant(self, number: int, variant: int, since: int) -> Discordant | None:
        """Return how many rows differ between two variants in what a metric is the share of; None
        for other metrics, where rows do not count alike, and where no row can differ.

        The arguments are those of `reach`.
        """
        return None


def digest_of(*parts: Array | bytes) -> str:
    """Return a digest of arrays, "1:" and 32 hexadecimal digits; 1 is the version of what is
    hashed."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes())
    return f"1:{whole.hexdigest()[:32]}"


def bias_of(measurement: Measurement, view: str, settings: Settings) -> Estimate:
    """Return mean score minus mean outcome, with its own interval or a percentile interval: its
    replicates centre on the value, so that nothing has to be corrected."""
    value, replicates = measurement.value, measurement.replicates
    spec = parse("bias")
    estimate = _bare(spec, value, view)
    if value is not None and measurement.interval is not None:
        return _with_interval(estimate, value, *measurement.interval, spec)
    if value is None or replicates is None:
        return estimate
    low, high = bootstrap.plain("percentile", value, replicates, settings.level)
    return _with_interval(estimate, value, low, high, spec)


def estimate_of(
    spec: Spec, measurement: Measurement, settings: Settings, data: DataInfo, calibrator: str = ""
) -> Estimate:
    """Return a metric's value and interval.

    Which interval: the metric's own, if it makes one; else that of the candidate truths; else one
    of the replicates.
    """
    method = measurement.method or settings.resampling.method(is_error=spec.is_error)
    value = measurement.value
    estimate = replace(
        _bare(spec, value, spec.view),
        missing=measurement.missing,
        p_value=measurement.p_value,
        signature=_signature(spec, method, settings, data, calibrator),
    )
    if value is None:
        return estimate
    error = measurement.error
    if measurement.without:
        return estimate
    estimate = replace(
        estimate, error=_standard_error(measurement.replicates) if error is None else error
    )
    if measurement.inverse is not None:
        low, high, corrected, p_value = measurement.inverse[:4]
        estimate = replace(estimate, p_value=p_value)
        return _with_interval(estimate, corrected, low, high, spec)
    corrected = value if measurement.corrected is None else measurement.corrected
    if measurement.interval is not None:
        return _with_interval(estimate, corrected, *measurement.interval, spec)
    replicates = measurement.replicates
    # a metric may be undefined in some replicates, such as one in which a class has no rows
    if replicates is None or np.isfinite(replicates).sum() < FEW_RESAMPLES:
        return estimate
    low, high = bootstrap.plain(method, value, replicates, settings.level, measurement.acceleration)
    return _with_interval(estimate, corrected, low, high, spec)


def _bare(spec: Spec, value: float | None, view: str) -> Estimate:
    """Return a value without an interval, with what is known of its metric."""
    least, most = spec.limits
    return Estimate(
        spec.name,
        None if value is None else spec.clip(value),
        view=view,
        better=spec.metric.better,
        ideal=spec.metric.ideal,
        least=least,
        most=most,
    )


def _with_interval(
    estimate: Estimate, corrected: float, low: float, high: float, spec: Spec | None = None
) -> Estimate:
    """Return an estimate with an interval, which is stretched to the estimate of the true value
    where it does not reach it, and cut where the range of the metric ends."""
    low, high = min(low, corrected), max(high, corrected)
    if spec is not None:
        low, corrected, high = spec.clip(low), spec.clip(corrected), spec.clip(high)
    return replace(estimate, low=low, high=high, corrected=corrected)


def change_of(
    before: Estimate,
    after: Estimate,
    a: Measurement,
    b: Measurement,
    settings: Settings,
    reach: Callable[[], float | None] = lambda: None,
    discordant: Callable[[], Discordant | None] = lambda: None,
    with_unseen: Callable[[Array], list[Array] | None] = lambda changes: None,
) -> Estimate:
    """Return after minus before. Both were measured by the same draws, so the noise that they share
    cancels.

    Without inverted intervals the differences of the replicates give interval and p-value, with an
    unseen row (`with_unseen`), or the rows that `discordant` counts. With them, replicates of
    calibration errors are biased upward, so the two inverted intervals are combined instead, with
    the correlation of the replicates (`intervals.difference`), and cut where `reach` says. These
    are methods of `Results`.
    """
    estimate = Estimate(
        before.name,
        None,
        view=before.view,
        better=before.better,
        signature=f"{after.signature}|minus:before",
    )
    if before.value is None or after.value is None:
        return replace(estimate, missing=before.missing or after.missing)
    if np.isinf(before.value) and np.isinf(after.value):
        return replace(estimate, missing="both values are infinite")
    value = after.value - before.value
    estimate = replace(estimate, value=value)
    if before.corrected is None or after.corrected is None:
        return estimate
    corrected = after.corrected - before.corrected
    if a.replicates is None or b.replicates is None:
        return estimate
    estimate = replace(estimate, error=_standard_error(b.replicates - a.replicates))
    if a.inverse is None or b.inverse is None:
        changes = b.replicates - a.replicates
        counted = discordant() if settings.inverted else None
        if counted is not None:
            low, high = difference.of_shares(counted, settings.level)
            p_value = difference.p_of_shares(counted, settings.level)
            return replace(_with_interval(estimate, corrected, low, high), p_value=p_value)
        kinds = with_unseen(changes) if settings.inverted else None
        ends = None if kinds is None else unseen.ends(kinds, settings.level)
        if kinds is not None and ends is not None:
            estimate = replace(estimate, error=ends.error)
            p_value = difference.p_of_kinds(kinds, settings.level)
            return replace(_with_interval(estimate, corrected, *ends[:2]), p_value=p_value)
        low, high = bootstrap.plain("percentile", value, changes, settings.level)
        p_value = difference.p_of_replicates(changes, settings.level)
        return replace(_with_interval(estimate, corrected, low, high), p_value=p_value)
    most = reach()
    if most is None and np.ptp(a.replicates) and np.array_equal(a.replicates, b.replicates):
        most = 0.0  # the same cells: nothing that was measured differs
    if most == 0:
        return replace(estimate, corrected=0.0, low=0.0, high=0.0, p_value=1.0)
    correlation = _correlation(a, b)
    pair = (a.inverse, b.inverse, correlation, settings.level)
    jitter = 0.0 if a.edges and b.edges else _jitter(a, b, correlation)
    low, high = difference.difference(*pair, math.inf if most is None else most, jitter)
    p_value = difference.p_of_difference(*pair, jitter)
    return replace(_with_interval(estimate, corrected, low, high), p_value=p_value)


def _jitter(a: Measurement, b: Measurement, correlation: float) -> float:
    """Return how far the difference of two errors may be off because the data sets of their
    candidates are not the same: two standard errors of the difference of two medians.

    The median of R normal values has a standard error of 1.25 standard deviations / sqrt(R). Bins
    share the noise of their candidates, which cancels. Other errors share the uniform variables of
    `RowProblems.redrawn`, cell by cell, as far as the cells are the same.
    """
    assert a.inverse is not None
    assert b.inverse is not None
    assert a.replicates is not None
    # an interval is about four standard deviations wide
    spread = max(one.high - one.low for one in (a.inverse, b.inverse)) / 4
    # cells change a little sooner than scores do: at T = 1.0001, 0.996 of the candidates' variance
    # is shared, of which 0.99 are taken for sure
    apart = max(1 - correlation**2, 0.01) ** 0.5 if correlation > 0 else 1.0
    return 2 * 2**0.5 * 1.25 * apart * spread / len(a.replicates) ** 0.5


def _standard_error(replicates: Array | None) -> float | None:
    """Return the standard deviation of the replicates in which the metric is defined."""
    if replicates is None:
        return None
    finite = replicates[np.isfinite(replicates)]
    return float(finite.std()) if len(finite) >= FEW_RESAMPLES else None


def _correlation(a: Measurement, b: Measurement) -> float:
    """Return the correlation of two metrics' replicates; 0 where one of them never varies, and for
    a negative one within two standard errors, 2 / sqrt(R), of 0; beyond, it counts less by them."""
    assert a.replicates is not None
    assert b.replicates is not None
    if not (np.ptp(a.replicates) and np.ptp(b.replicates)):
        return 0.0
    correlation = min(float(np.corrcoef(a.replicates, b.replicates)[0, 1]), 1.0)
    return correlation if correlation > 0 else min(correlation + 2 * len(a.replicates) ** -0.5, 0.0)


def _signature(spec: Spec, method: str, settings: Settings, data: DataInfo, calibrator: str) -> str:
    """Return everything that the numbers depend on: the metric with its options, the interval, the
    draws, the rows, the calibrator and the version."""
    parts = [spec.signature()]
    if settings.draws is not None:
        unit = "units" if settings.draws.grouped else "rows"
        unit = "cells" if settings.of_cells else unit
        if settings.draws.cluster is not None:
            unit = f"{int(settings.draws.cluster.max()) + 1} clusters"
        parts += [
            f"ci:{method}-{settings.level * 100:g}",
            f"R:{settings.draws.replicates}",
            f"seed:{settings.draws.seed}",
            f"draws:{unit}",
        ]
    parts.append(f"n:{data.rows}")
    if calibrator:
        parts.append(f"after:{calibrator}")
    return "|".join([*parts, f"calibtool:{__version__}"])
