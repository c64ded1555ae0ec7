"""Measure periods that have been read, with a test that can be checked after every period."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from calibtool.analysis.monitoring import evidence
from calibtool.analysis.monitoring.change_point import change_of, parts_of
from calibtool.analysis.monitoring.measure import in_blocks, measured
from calibtool.analysis.monitoring.period import NULLS, Monitoring, Period, PeriodResult
from calibtool.analysis.monitoring.read import WEIGHTED, Periods
from calibtool.analysis.monitoring.wording import reading
from calibtool.errors import InputError, UsageError
from calibtool.evaluation.resampling import Resampling
from calibtool.parallel import cores, ordered
from calibtool.types import Array, Progress, silent

# Intervals that a period can have: it keeps cells, and the other methods need its rows.
METHODS = ("inverted", "none")


def monitor_periods(
    series: Periods,
    *,
    against: str,
    alpha: float,
    bins: int = 15,
    resampling: Resampling,
    progress: Progress | None = None,
) -> Monitoring:
    """Do what `run.monitor` does, for periods that have been read.

    The arguments are those of `run.monitor`; `resampling` makes the intervals of each period.
    """
    _require(against, alpha)
    require_method(resampling.ci)
    periods = list(series.periods)
    _require_alike(series.source, periods)
    tick = progress or silent
    at = periods[0].cells.at
    process = _evidence(periods, against)
    edges = np.arange(1, bins + 1) / bins
    _require_edges(series.source, at, edges)
    # an alarm stays: the guarantee is that the largest e-value rarely reaches 1 / alpha
    reached = np.maximum.accumulate(process.log_e) >= -math.log(alpha)
    log10_e = (process.log_e / math.log(10)).tolist()
    blocks = in_blocks(periods, bins, resampling)
    results: list[PeriodResult] = []
    for block in ordered(lambda some: measured(some, edges, resampling), blocks, cores()):
        for period in block:
            k = len(results)
            results.append(replace(period, log10_e=log10_e[k], alarm=bool(reached[k])))
        tick("measuring periods", len(results) / len(periods))
    alarmed = int(np.argmax(reached)) if reached.any() else None
    changed = None if alarmed is None else change_of(process.when)
    monitoring = Monitoring(
        source=series.source,
        every=series.every,
        kind=periods[0].kind,
        view=periods[0].view,
        against=against,
        alpha=alpha,
        level=None if resampling.ci == "none" else resampling.level,
        periods=tuple(results),
        alarmed=alarmed,
        changed=changed,
        parts=() if changed is None else parts_of(periods, changed[0], against),
        notes=series.notes,
    )
    return replace(monitoring, reading=reading(monitoring))


def _evidence(periods: Sequence[Period], against: str) -> evidence.Evidence:
    """Return the evidence against a null hypothesis of `NULLS`."""
    at = periods[0].cells.at

    def stacked(name: str) -> Array:
        return np.stack([getattr(period.cells, name) for period in periods])

    if against == "first":
        return evidence.of_change(at, stacked("n"), stacked("y"))
    return evidence.of_miscalibration(at, stacked("n"), stacked("p"), stacked("y"))


def _require(against: str, alpha: float) -> None:
    """Check the options of the test. Raises UsageError."""
    if against not in NULLS:
        raise UsageError(f"--against must be one of {', '.join(NULLS)} (got {against!r})")
    if not 0 < alpha < 1:
        raise UsageError(f"--alpha must lie between 0 and 1, not {alpha:g}")


def require_method(ci: str) -> None:
    """Check that periods can have intervals by this method. Raises UsageError."""
    if ci not in METHODS:
        raise UsageError(f"--ci must be one of {', '.join(METHODS)} (got {ci!r})")


def _require_alike(source: str, periods: list[Period]) -> None:
    """Check that there are periods, with the same cells and unweighted rows."""
    if not periods:
        raise InputError(f"{source}: there are no periods; nothing can be monitored")
    first = periods[0]
    for period in periods:
        where = f"{source}: period {period.name}"
        if period.view != first.view or period.kind != first.kind:
            raise InputError(
                f"{where}: {period.kind} in view {period.view}, but {first.name} holds "
                f"{first.kind} in view {first.view}; periods must be of one kind"
            )
        if not np.array_equal(period.cells.at, first.cells.at):
            raise InputError(
                f"{where}: its cells have other ends than those of {first.name}; make all of them "
                "with the same options"
            )
        if not period.cells.total > 0:
            raise InputError(f"{where}: has no rows")
        if any((x != np.rint(x)).any() for x in (period.cells.n, period.cells.y)):
            raise InputError(f"{where}: {WEIGHTED}")


def _require_edges(source: str, at: Array, edges: Array) -> None:
    """Check that every bin of the ECE ends where a cell ends, up to rounding."""
    near = np.abs(at[np.minimum(np.searchsorted(at, edges - 1e-9), len(at) - 1)] - edges)
    if (near > 1e-9).any():
        raise UsageError(
            f"{source}: its cells do not end where {len(edges)} bins do; --bins 10, 15, 20, 25, "
            "30, 50 and 100 are always there"
        )
