"""Measure periods that have been read, with a test that can be checked after every period."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from calibtool.analysis.monitoring import evidence
from calibtool.analysis.monitoring.change_point import change_of, parts_of
from calibtool.analysis.monitoring.period import NULLS, Monitoring, Period, PeriodResult
from calibtool.analysis.monitoring.read import WEIGHTED, Periods
from calibtool.analysis.monitoring.wording import reading
from calibtool.errors import InputError, UsageError
from calibtool.evaluation.from_cells import bias_and_error
from calibtool.evaluation.resampling import FEW_ROWS, Resampling
from calibtool.evaluation.unseen_cells import MANY
from calibtool.intervals import inversion, unseen
from calibtool.intervals.estimate import Estimate
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics import norms
from calibtool.metrics.profiles import profile
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
    results = []
    for k, period in enumerate(periods):
        results.append(
            PeriodResult(
                period.name,
                int(period.cells.total),
                float(period.cells.p.sum() / period.cells.total),
                float(period.cells.y.sum() / period.cells.total),
                _bias(period, resampling),
                _ece(period, edges, resampling),
                float(process.log_e[k] / math.log(10)),
                bool(reached[k]),
            )
        )
        tick("measuring periods", (k + 1) / len(periods))
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
    n, p, y = (np.stack([getattr(period.cells, name) for period in periods]) for name in "npy")
    at = periods[0].cells.at
    if against == "first":
        return evidence.of_change(at, n, y)
    return evidence.of_miscalibration(at, n, p, y)


def _bias(period: Period, resampling: Resampling) -> Estimate:
    """Return the mean score minus the mean outcome, with its normal interval.

    Where an outcome is rare, residuals say little of the outcomes that were not seen: there the
    interval also contains what the binomial interval of their share leaves possible.
    """
    cells = period.cells
    value, error = bias_and_error(cells)
    estimate = Estimate("bias", value, view=period.view, better="nearer", ideal=0, least=-1, most=1)
    rows, ones = float(cells.total), float(cells.y.sum())
    if resampling.ci == "none" or rows < FEW_ROWS:
        return estimate
    reach = NormalDist().inv_cdf((1 + resampling.level) / 2) * error
    low, high = value - reach, value + reach
    if min(ones, rows - ones) < MANY:
        share = unseen.of_share(ones / rows, rows, resampling.level)
        score = value + ones / rows
        low, high = min(low, score - share.high), max(high, score - share.low)
        error = max(error, share.error)
    low, high = max(low, -1.0), min(high, 1.0)
    return replace(estimate, low=low, high=high, corrected=value, error=error)


def _ece(period: Period, edges: Array, resampling: Resampling) -> Estimate:
    """Return the ECE of a period, with the interval by the method of `evaluate`.

    A period keeps no rows, so replicates are drawn from the counts of the bins: every row has the
    mean score of its bin.
    """
    observed = profile(period.cells.pool(edges))
    value = float(norms.l1(observed))
    name = "ece" if len(edges) == 15 else f"ece(bins={len(edges)})"  # 15 is the default of `ece`
    estimate = Estimate(name, value, view=period.view)
    rows = float(period.cells.total)
    if resampling.ci == "none" or rows < FEW_ROWS:
        return estimate
    # shares of rows with a positive and with a negative outcome in each bin; clipped, as rounding
    # may leave them just below 0
    hit = (observed.gap + observed.mass * observed.score).clip(0)
    share = np.concatenate([hit, (observed.mass - hit).clip(0)])
    rng = generator(Stream.PERIOD, resampling.seed)
    drawn = rng.multinomial(int(rows), share / share.sum(), resampling.resamples) / rows
    hits, mass = drawn[:, : len(edges)], drawn[:, : len(edges)] + drawn[:, len(edges) :]
    score = np.asarray(observed.score)
    inverse = inversion.invert(
        *(observed.gap, observed.mass, score, hits - mass * score, mass),
        lambda gap, mass: np.abs(gap).sum(-1),
        rows=rows,
        level=resampling.level,
        seed=resampling.seed,
    )
    low, high, corrected, p_value = inverse[:4]
    return replace(estimate, low=low, high=high, corrected=corrected, p_value=p_value)


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
        if (period.cells.n % 1).any() or (period.cells.y % 1).any():
            raise InputError(f"{where}: {WEIGHTED}")


def _require_edges(source: str, at: Array, edges: Array) -> None:
    """Check that every bin of the ECE ends where a cell ends, up to rounding."""
    near = np.abs(at[np.minimum(np.searchsorted(at, edges - 1e-9), len(at) - 1)] - edges)
    if (near > 1e-9).any():
        raise UsageError(
            f"{source}: its cells do not end where {len(edges)} bins do; --bins 10, 15, 20, 25, "
            "30, 50 and 100 are always there"
        )
