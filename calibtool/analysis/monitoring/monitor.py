"""Monitor: has calibration changed? Asked after every period, for as long as one likes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from calibtool.analysis.monitoring import evidence
from calibtool.analysis.monitoring.change_point import change_of, parts_of
from calibtool.analysis.monitoring.period import NULLS, Monitoring, Period, PeriodResult
from calibtool.analysis.monitoring.read import WEIGHTED, Periods, in_memory
from calibtool.analysis.monitoring.wording import reading
from calibtool.data.predictions import Predictions
from calibtool.errors import InputError, UsageError
from calibtool.evaluation.from_cells import bias_and_error
from calibtool.evaluation.resampling import FEW_ROWS, settings_of
from calibtool.intervals import inversion
from calibtool.intervals.draws import Draws
from calibtool.intervals.estimate import Estimate
from calibtool.metrics import norms
from calibtool.metrics.profiles import profile
from calibtool.streaming.summary import Summary
from calibtool.types import Array, silent


def monitor(
    periods: Mapping[str, Predictions | Summary],
    *,
    against: str = "first",
    alpha: float = 0.05,
    view: str = "auto",
    bins: int = 15,
    ci: str = "inverted",
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Monitoring:
    """Calibration over time, with a test that is valid although one looks after every period.

    The e-value is the evidence, so far, against "the calibration curve stays what it is" (with
    `against="calibrated"`, against "the scores are calibrated"). If that is true, the probability
    that it ever reaches 1 / alpha is alpha at most, in however many periods (Ville 1939; universal
    inference: Wasserman, Ramdas & Balakrishnan 2020). How the scores are distributed in each period
    does not matter. Rows have to be independent given their scores.

    Args:
        periods: predictions, or states made of them, by the name of each period, in order of time.
        against: "first" or "calibrated".
        alpha: the probability of a false alarm, ever; in (0, 1).
        view: "top", "positive" (two classes), or "auto": positive for one column, top otherwise.
        bins: of the ECE, of equal width.
        ci: "inverted" or "none": intervals of each period's own ECE and bias. They are no part of
            the test.
        resamples, level, seed: of those intervals.
        progress: called now and then with what is being done and the share that is done.

    Raises InputError for weighted rows and periods that differ in kind, UsageError for options.

    >>> sure = Predictions.from_probs([0.9] * 100, [1] * 90 + [0] * 10)
    >>> less = Predictions.from_probs([0.9] * 100, [1] * 60 + [0] * 40)
    >>> found = monitor({"monday": sure, "tuesday": sure, "wednesday": less}, ci="none")
    >>> [found.alarmed, round(found.periods[2].was, 6)]
    [2, 0.6]
    """
    given = in_memory(periods, view, bins)
    how = {"resamples": resamples, "level": level, "seed": seed, "progress": progress}
    return monitor_periods(given, against=against, alpha=alpha, bins=bins, ci=ci, **how)  # type: ignore[arg-type]


def monitor_periods(
    given: Periods,
    *,
    against: str = "first",
    alpha: float = 0.05,
    bins: int = 15,
    ci: str = "inverted",
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Monitoring:
    """`monitor` of periods that have been read."""
    _require(against, alpha, ci, resamples, level, seed)
    periods = list(given.periods)
    _require_alike(given.source, periods)
    tick = progress or silent
    at = periods[0].cells.at
    n, y = (np.stack([getattr(p.cells, name) for p in periods]) for name in "ny")
    test = evidence.of_change if against == "first" else evidence.of_miscalibration
    found = test(at, n, y)
    edges = np.arange(1, bins + 1) / bins
    _require_edges(given.source, at, edges)
    reached = np.maximum.accumulate(found.log_e) >= -math.log(alpha)
    watched = []
    for k, period in enumerate(periods):
        bias = _bias(period, level if ci != "none" else None)
        how = None if ci == "none" else (resamples, level, seed)
        watched.append(
            PeriodResult(
                period.name,
                int(period.cells.total),
                float(period.cells.p.sum() / period.cells.total),
                float(period.cells.y.sum() / period.cells.total),
                bias,
                _ece(period, edges, how),
                float(found.log_e[k] / math.log(10)),
                bool(reached[k]),
            )
        )
        tick("measuring periods", (k + 1) / len(periods))
    alarmed = int(np.argmax(reached)) if reached.any() else None
    changed = None if alarmed is None else change_of(found.when)
    whole = Monitoring(
        source=given.source,
        every=given.every,
        kind=periods[0].kind,
        view=periods[0].view,
        against=against,
        alpha=alpha,
        level=None if ci == "none" else level,
        periods=tuple(watched),
        alarmed=alarmed,
        changed=changed,
        parts=() if changed is None else parts_of(periods, changed[0], against),
        notes=given.notes,
    )
    return replace(whole, reading=reading(whole))


def _bias(period: Period, level: float | None) -> Estimate:
    """Mean score minus mean outcome, with its normal interval."""
    value, error = bias_and_error(period.cells)
    found = Estimate("bias", value, view=period.view, better="")
    if level is None or period.cells.total < FEW_ROWS:
        return found
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    return replace(found, low=value - reach, high=value + reach, error=error)


def _ece(period: Period, edges: Array, how: tuple[int, float, int] | None) -> Estimate:
    """The ECE, with the interval that `evaluate` gives; replicates are drawn from the bins' counts
    (a row's score is its bin's mean)."""
    seen = profile(period.cells.pool(edges))
    value = float(norms.l1(seen))
    name = "ece" if len(edges) == 15 else f"ece(bins={len(edges)})"
    found = Estimate(name, value, view=period.view)
    rows = float(period.cells.total)
    if how is None or rows < FEW_ROWS:
        return found
    resamples, level, seed = how
    hit = (seen.gap + seen.mass * seen.score).clip(0)
    share = np.concatenate([hit, (seen.mass - hit).clip(0)])
    random = np.random.default_rng(seed)
    drawn = random.multinomial(int(rows), share / share.sum(), resamples) / rows
    hits, mass = drawn[:, : len(edges)], drawn[:, : len(edges)] + drawn[:, len(edges) :]
    score = np.asarray(seen.score)
    ends = inversion.invert(
        *(seen.gap, seen.mass, score, hits - mass * score, mass),
        lambda gap, mass: np.abs(gap).sum(-1),
        rows=rows,
        level=level,
        seed=seed,
    )
    return replace(
        found, low=ends.low, high=ends.high, unbiased=ends.unbiased, p_value=ends.p_value
    )


def _require(against: str, alpha: float, ci: str, resamples: int, level: float, seed: int) -> None:
    if against not in NULLS:
        raise UsageError(f"--against {against!r}: there are {', '.join(NULLS)}")
    if not 0 < alpha < 1:
        raise UsageError(f"--alpha must lie between 0 and 1, not {alpha:g}")
    if ci not in ("inverted", "none"):
        raise UsageError(f"--ci {ci!r}: there are inverted, none")
    settings_of(ci, Draws(resamples, seed, FEW_ROWS), level, 1, silent)


def _require_alike(source: str, periods: list[Period]) -> None:
    """Whether there are periods, of the same cells and of rows that count once."""
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
                f"{where}: its cells end elsewhere than those of {first.name}; make all of them "
                "with the same options"
            )
        if not period.cells.total > 0:
            raise InputError(f"{where}: has no rows")
        if (period.cells.n % 1).any() or (period.cells.y % 1).any():
            raise InputError(f"{where}: {WEIGHTED}")


def _require_edges(source: str, at: Array, edges: Array) -> None:
    near = np.abs(at[np.minimum(np.searchsorted(at, edges - 1e-9), len(at) - 1)] - edges)
    if (near > 1e-9).any():
        raise UsageError(
            f"{source}: its cells do not end where {len(edges)} bins do; --bins 10, 15, 20, 25, "
            "30, 50 and 100 are always there"
        )
