"""Results: the measurements of variants, and the estimates and differences they give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Variant
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.measurement import Measurement, Settings
from calibtool.evaluation.resampling import FEW_RESAMPLES, FEW_ROWS
from calibtool.intervals import bootstrap, difference
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.cells import Cells
from calibtool.metrics.spec import Spec
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
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """Files that could not be read and were left out, with the reason."""
        return ()

    @property
    def level(self) -> float | None:
        """Confidence level of the intervals; None where there are none."""
        return None if self.settings.draws is None else self.settings.level

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
        weights in each bin."""
        raise NotImplementedError

    def means(self, variant: int = 0) -> tuple[float, float]:
        """Return the mean score and the mean outcome of a variant, in `view`."""
        raise NotImplementedError

    def warnings(self) -> Iterator[str]:
        """Yield what the reader should know about the data."""
        raise NotImplementedError

    def cells(self) -> Cells:
        """Return the bins of the last variant's scores that a saved report keeps."""
        return self.binned(len(self.variants) - 1, np.arange(1, KEPT + 1) / KEPT)[0]

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
        return tuple(change_of(a, b, x, y, self.settings) for a, b, x, y in pairs)


def without_interval(specs: Sequence[Spec], measured: Sequence[Measurement]) -> Iterator[str]:
    """Yield the metrics that have no interval, by the reason why."""
    reasons: dict[str, list[str]] = {}
    for spec, measurement in zip(specs, measured, strict=True):
        if measurement.without:
            reasons.setdefault(measurement.without, []).append(spec.name)
    for reason, names in reasons.items():
        yield f"no interval for {', '.join(names)}: {reason}"


def too_few_rows(rows: int, settings: Settings) -> Iterator[str]:
    """Yield why there are no intervals, where the rows are too few for those that were asked
    for."""
    if rows < FEW_ROWS and settings.resampling.ci != "none":
        yield f"no intervals: {rows} rows, at least {FEW_ROWS} are needed"


def bias_of(measurement: Measurement, view: str, settings: Settings) -> Estimate:
    """Return mean score minus mean outcome, with its own interval or a percentile interval: its
    replicates centre on the value, so that nothing has to be corrected."""
    value, replicates = measurement.value, measurement.replicates
    estimate = Estimate("bias", value, view=view, better="")
    if value is not None and measurement.interval is not None:
        return _with_interval(estimate, value, *measurement.interval)
    if value is None or replicates is None:
        return estimate
    low, high = bootstrap.plain("percentile", value, replicates, settings.level)
    return _with_interval(estimate, value, low, high)


def estimate_of(
    spec: Spec, measurement: Measurement, settings: Settings, data: DataInfo, calibrator: str = ""
) -> Estimate:
    """Return a metric's value and interval.

    Which interval: the metric's own, if it makes one; else that of the candidate truths; else one
    of the replicates.
    """
    method = measurement.method or settings.resampling.method(is_error=spec.is_error)
    estimate = Estimate(
        spec.name,
        measurement.value,
        view=spec.view,
        better=spec.metric.better,
        missing=measurement.missing,
        signature=_signature(spec, method, settings, data, calibrator),
    )
    if measurement.value is None:
        return estimate
    error = measurement.error
    if measurement.without:
        return estimate
    estimate = replace(
        estimate, error=_standard_error(measurement.replicates) if error is None else error
    )
    if measurement.inverse is not None:
        return replace(estimate, **measurement.inverse._asdict())
    corrected = measurement.value if measurement.corrected is None else measurement.corrected
    if measurement.interval is not None:
        return _with_interval(estimate, corrected, *measurement.interval)
    replicates = measurement.replicates
    # a metric may be undefined in some replicates, such as one in which a class has no rows
    if replicates is None or np.isfinite(replicates).sum() < FEW_RESAMPLES:
        return estimate
    low, high = bootstrap.plain(
        method, measurement.value, replicates, settings.level, measurement.acceleration
    )
    return _with_interval(estimate, corrected, low, high)


def _with_interval(estimate: Estimate, corrected: float, low: float, high: float) -> Estimate:
    """Return an estimate with an interval, which is stretched to the estimate of the true value
    where it does not reach it."""
    low, high = min(low, corrected), max(high, corrected)
    return replace(estimate, low=low, high=high, corrected=corrected)


def change_of(
    before: Estimate, after: Estimate, a: Measurement, b: Measurement, settings: Settings
) -> Estimate:
    """Return after minus before. Both were measured by the same draws, so the noise that they share
    cancels.

    Without inverted intervals the differences of the replicates give interval and p-value. With
    them, replicates of calibration errors are biased upward, so the two inverted intervals are
    combined instead, with the correlation of the replicates (`intervals.difference`).
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
        low, high = bootstrap.plain("percentile", value, changes, settings.level)
        p_value = difference.p_of_replicates(changes, settings.level)
        return replace(_with_interval(estimate, corrected, low, high), p_value=p_value)
    # equal in every replicate: the difference is 0 for certain, and their correlation 1
    if np.array_equal(a.replicates, b.replicates):
        return replace(estimate, corrected=0.0, low=0.0, high=0.0, p_value=1.0)
    pair = (a.inverse, b.inverse, _correlation(a, b), settings.level)
    low, high = difference.difference(*pair)
    p_value = difference.p_of_difference(*pair)
    return replace(_with_interval(estimate, corrected, low, high), p_value=p_value)


def _standard_error(replicates: Array | None) -> float | None:
    """Return the standard deviation of the replicates in which the metric is defined."""
    if replicates is None:
        return None
    finite = replicates[np.isfinite(replicates)]
    return float(finite.std()) if len(finite) >= FEW_RESAMPLES else None


def _correlation(a: Measurement, b: Measurement) -> float:
    """Return the correlation of two metrics' replicates; 0 where one of them never varies."""
    assert a.replicates is not None
    assert b.replicates is not None
    if not (np.ptp(a.replicates) and np.ptp(b.replicates)):
        return 0.0
    return min(float(np.corrcoef(a.replicates, b.replicates)[0, 1]), 1.0)


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
