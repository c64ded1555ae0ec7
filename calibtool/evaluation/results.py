"""Numbers with their intervals, as records: what a report says of each metric."""

from __future__ import annotations

from collections.abc import Iterator
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

KEPT = 15  # bins of the scores that a report keeps


@dataclass(frozen=True, eq=False)
class Results:
    """What was measured of several systems on the same rows.

    Attributes:
        systems: what was measured, by its number.
        measured: [system][spec], the numbers with their replicates.
        bias: mean score minus mean outcome of the first system, in `view`.
    """

    specs: tuple[Spec, ...]
    systems: tuple[Variant, ...]
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
        """Of the intervals; None where there are none."""
        return None if self.settings.draws is None else self.settings.level

    def estimates(self, system: int = 0) -> tuple[Estimate, ...]:
        """Every metric of a system, with its interval."""
        pairs = zip(self.specs, self.measured[system], strict=True)
        title = self.systems[system].title
        return tuple(estimate_of(s, one, self.settings, self.data, title) for s, one in pairs)

    def panels(self, system: int = 0, view: str = "") -> RowProblems:
        """The panels of a system's scores, in `view` unless another is named."""
        raise NotImplementedError

    def binned(self, system: int, edges: Array) -> tuple[Cells, Array]:
        """A system's scores in `view` in bins by upper edges, and the sum of the squared weights
        in each."""
        raise NotImplementedError

    def means(self, system: int = 0) -> tuple[float, float]:
        """Mean score and mean outcome of a system."""
        raise NotImplementedError

    def warnings(self) -> Iterator[str]:
        """What the reader should know about the data."""
        raise NotImplementedError

    def cells(self) -> Cells:
        """What a saved report keeps of the last system's scores."""
        return self.binned(len(self.systems) - 1, np.arange(1, KEPT + 1) / KEPT)[0]

    def only(self, systems: slice) -> Self:
        """Some of the systems."""
        return replace(self, systems=self.systems[systems], measured=self.measured[systems])

    def change(self, system: int = 1, since: int = 0) -> tuple[Estimate, ...]:
        """A system's metrics minus those of another, paired; `p_value` is that of no difference."""
        pairs = zip(
            self.estimates(since),
            self.estimates(system),
            self.measured[since],
            self.measured[system],
            strict=True,
        )
        return tuple(change_of(a, b, x, y, self.settings) for a, b, x, y in pairs)


def too_few_rows(rows: int, settings: Settings) -> Iterator[str]:
    """Yield why there are no intervals, where the rows are too few for those that were asked
    for."""
    if rows < FEW_ROWS and settings.resampling.ci != "none":
        yield f"no intervals: {rows} rows, at least {FEW_ROWS} are needed"


def bias_of(measured: Measurement, view: str, settings: Settings) -> Estimate:
    """Mean score minus mean outcome."""
    estimate = Estimate("bias", measured.value, view=view, better="")
    if measured.value is None or measured.replicates is None:
        return estimate
    low, high = bootstrap.plain("percentile", measured.value, measured.replicates, settings.level)
    return replace(estimate, low=low, high=high)


def estimate_of(
    spec: Spec, measured: Measurement, settings: Settings, data: DataInfo, calibrator: str = ""
) -> Estimate:
    """A metric's value and interval."""
    method = measured.method or settings.resampling.method(is_error=spec.is_error)
    estimate = Estimate(
        spec.name,
        measured.value,
        view=spec.view,
        better=spec.metric.better,
        missing=measured.missing,
        signature=_signature(spec, method, settings, data, calibrator),
    )
    if measured.value is None:
        return estimate
    estimate = replace(estimate, error=_spread(measured.replicates))
    if measured.interval is not None:
        return replace(estimate, low=measured.interval[0], high=measured.interval[1])
    if measured.inverse is not None:
        found = measured.inverse
        return replace(
            estimate,
            low=found.low,
            high=found.high,
            unbiased=found.unbiased,
            p_value=found.p_value,
        )
    drawn = measured.replicates
    if drawn is None or np.isfinite(drawn).sum() < FEW_RESAMPLES:
        return estimate
    low, high = bootstrap.plain(
        method, measured.value, drawn, settings.level, measured.acceleration
    )
    return replace(estimate, low=low, high=high)


def change_of(
    before: Estimate, after: Estimate, a: Measurement, b: Measurement, settings: Settings
) -> Estimate:
    """After minus before; its interval is of the same draws, so the noise they share cancels."""
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
    if a.replicates is None or b.replicates is None:
        return estimate
    estimate = replace(estimate, error=_spread(b.replicates - a.replicates))
    if a.inverse is None or b.inverse is None:
        drawn = b.replicates - a.replicates
        low, high = bootstrap.plain("percentile", value, drawn, settings.level)
        p = difference.p_of_replicates(drawn, settings.level)
        return replace(estimate, low=low, high=high, p_value=p)
    if np.array_equal(a.replicates, b.replicates):  # the same in every replicate
        return replace(estimate, unbiased=0.0, low=0.0, high=0.0, p_value=1.0)
    pair = (a.inverse, b.inverse, _correlation(a, b), settings.level)
    low, high = difference.difference(*pair)
    p_value = difference.p_of_difference(*pair)
    centre = b.inverse.unbiased - a.inverse.unbiased
    return replace(estimate, unbiased=centre, low=low, high=high, p_value=p_value)


def _spread(drawn: Array | None) -> float | None:
    """The standard error: the standard deviation of the replicates."""
    if drawn is None:
        return None
    known = drawn[np.isfinite(drawn)]
    return float(known.std()) if len(known) >= FEW_RESAMPLES else None


def _correlation(a: Measurement, b: Measurement) -> float:
    """Of two metrics' replicates; 0 where one of them never varies."""
    assert a.replicates is not None
    assert b.replicates is not None
    if not (np.ptp(a.replicates) and np.ptp(b.replicates)):
        return 0.0
    return min(float(np.corrcoef(a.replicates, b.replicates)[0, 1]), 1.0)


def _signature(spec: Spec, method: str, settings: Settings, data: DataInfo, calibrator: str) -> str:
    parts = [spec.signature()]
    if settings.draws is not None:
        drawn = "units" if settings.draws.grouped else "rows"
        drawn = "cells" if settings.of_cells else drawn
        if settings.draws.cluster is not None:
            drawn = f"{int(settings.draws.cluster.max()) + 1} clusters"
        parts += [
            f"ci:{method}-{settings.level * 100:g}",
            f"R:{settings.draws.replicates}",
            f"seed:{settings.draws.seed}",
            f"draws:{drawn}",
        ]
    parts.append(f"n:{data.rows}")
    if calibrator:
        parts.append(f"after:{calibrator}")
    return "|".join([*parts, f"calibtool:{__version__}"])
