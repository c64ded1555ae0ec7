"""What is measured of each period by itself: means, bias and ECE, with their intervals.

A period has a few bins, and a year hundreds of periods: they are measured together, a block of
them at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from calibtool.analysis.monitoring.period import Period, PeriodResult
from calibtool.evaluation.cell_bias import biases_and_errors
from calibtool.evaluation.resampling import FEW_ROWS, Resampling
from calibtool.evaluation.unseen_cells import MANY
from calibtool.intervals import unseen
from calibtool.intervals.estimate import Estimate
from calibtool.intervals.inversion import Inverted, pieces
from calibtool.intervals.stack import invert_each
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics import norms
from calibtool.metrics.cells import Cells
from calibtool.metrics.profiles import Profile, profile
from calibtool.types import Array


def in_blocks(periods: Sequence[Period], bins: int, resampling: Resampling) -> list[list[Period]]:
    """Return the periods in blocks, of which the replicates of both outcomes fit in the cache."""
    return [list(periods[at]) for at in pieces(len(periods), 2 * resampling.resamples * bins)]


def measured(periods: Sequence[Period], edges: Array, resampling: Resampling) -> list[PeriodResult]:
    """Return the measurements of periods with the same cells, without any evidence.

    Args:
        periods: S of them.
        edges: (B,) upper ends of the bins of the ECE, at which cells end.
        resampling: makes the intervals.
    """
    n, p, y = (np.stack([getattr(period.cells, name) for period in periods]) for name in "npy")
    cells = Cells(periods[0].cells.at, n, p, y)
    rows, score, ones = (x.sum(axis=-1).tolist() for x in (n, p, y))
    biases = biases_and_errors(cells)
    eces = _eces(profile(cells.pool(edges)), np.array(rows), periods[0].view, resampling)
    return [
        PeriodResult(
            period.name,
            int(rows[k]),
            score[k] / rows[k],
            ones[k] / rows[k],
            _bias(*biases[k], rows[k], ones[k], period.view, resampling),
            eces[k],
            log10_e=0.0,
            alarm=False,
        )
        for k, period in enumerate(periods)
    ]


def _bias(
    value: float, error: float, rows: float, ones: float, view: str, resampling: Resampling
) -> Estimate:
    """Return the mean score minus the mean outcome, with its normal interval.

    Where an outcome is rare, residuals say little of the outcomes that were not seen: there the
    interval also contains what the binomial interval of their share leaves possible.
    """
    estimate = Estimate("bias", value, view=view, better="nearer", ideal=0, least=-1, most=1)
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


def _eces(seen: Profile, rows: Array, view: str, resampling: Resampling) -> list[Estimate]:
    """Return the ECE of each profile, with the interval by the method of `evaluate`.

    A period keeps no rows, so replicates are drawn from the counts of the bins: every row has the
    mean score of its bin.

    Args:
        seen: of the periods, (S, B).
        rows: (S,) their numbers of rows.
        view: of the scores.
        resampling: makes the intervals.
    """
    values, bins = norms.l1(seen).tolist(), seen.gap.shape[1]
    name = "ece" if bins == 15 else f"ece(bins={bins})"  # 15 is the default of `ece`
    estimates = [Estimate(name, value, view=view) for value in values]
    some = np.flatnonzero(rows >= FEW_ROWS)
    if resampling.ci == "none" or not len(some):
        return estimates
    for k, found in zip(some.tolist(), _inverted(seen, rows, some, resampling), strict=True):
        low, high, corrected, p_value = found[:4]
        estimates[k] = replace(
            estimates[k], low=low, high=high, corrected=corrected, p_value=p_value
        )
    return estimates


def _inverted(seen: Profile, rows: Array, some: Array, resampling: Resampling) -> list[Inverted]:
    """Return the inverted bootstrap of the ECE of some of the profiles."""
    gap, mass = seen.gap[some], seen.mass[some]
    score = np.clip(seen.score, 0, 1)[some]  # sums of files may be off by a rounding error
    rows = rows[some, None]
    # shares of rows with a positive and with a negative outcome in each bin; clipped, as rounding
    # may leave them just below 0
    hit = (gap + mass * score).clip(0)
    share = np.concatenate([hit, (mass - hit).clip(0)], axis=1)
    share /= share.sum(axis=1, keepdims=True)
    drawn = np.empty((resampling.resamples, len(some), share.shape[1]))
    for k, count in enumerate(rows[:, 0].tolist()):
        rng = generator(Stream.PERIOD, resampling.seed)
        drawn[:, k] = rng.multinomial(int(count), share[k], resampling.resamples)
    drawn /= rows
    hits, misses = np.split(drawn, 2, axis=2)
    drawn_mass = hits + misses
    return invert_each(
        *(gap, mass, score, hits - drawn_mass * score, drawn_mass),
        lambda gap, mass: np.abs(gap).sum(-1),
        count=rows * mass,
        level=resampling.level,
        seed=resampling.seed,
    )
