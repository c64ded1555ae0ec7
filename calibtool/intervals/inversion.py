"""Confidence intervals from bootstrap replicates: plain ones, and the inverted bootstrap.

The plug-in calibration error is biased upward, so its bootstrap quantiles miss the truth. The
inverted bootstrap asks instead of every candidate profile whether it would produce the observed
error. The candidates lie on two curves that both start at the observed profile: one sheds its
least significant coordinates first (the error is *concentrated*), one shaves its most significant
ones (the error is *spread* out). Noise inflates a concentrated error most and a spread one least:
the low end of the interval assumes the first, the high end the second, and the bias-corrected
estimate lies half-way between their medians.

The noise is the bootstrap's, with the variance that outcomes have if the candidate is true: a
coordinate of n rows, mean score c and candidate gap d varies by q(1 - q)/n, q = c + d. Where the
bootstrap spreads wider it is scaled down; where it falls short (a bin of one row never varies)
normal draws make up the rest. The low end is raised to what is left of the gaps when the largest
noise of any coordinate is taken from each (a simultaneous band over the coordinates whose noise
is normal), where that is higher.
benchmarks/coverage.py measures what all this covers.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeAlias

import numpy as np

from calibtool.types import Array

SHARE = 0.1  # of the error rate of the low end that the largest coordinate may use up
ENOUGH = 400  # replicates that show so rare a quantile
STEADY = 30  # variance of the outcomes of a coordinate, in rows, from which its noise is normal
STEADY_SPREAD = 5  # the same from which a design effect is read
_AT_ONCE = 1 << 19  # values of replicates worked on at a time
Norm: TypeAlias = Callable[[Array, Array], Array]
Curve: TypeAlias = Callable[[Array, float], Array]


class Inverted(NamedTuple):
    """What inverting the bootstrap finds."""

    low: float
    high: float
    unbiased: float  # the estimate corrected for the median bias
    p_value: float  # of perfect calibration


def along(observed: float, truth: Array, drawn: Array, level: float) -> Inverted:
    """Interval of an error from candidate truths on a line, from none to more than was seen.

    A candidate is in the interval if the observed error lies between the quantiles of what is
    measured when it is true. Between candidates, quantiles and truths are taken to be straight.

    Args:
        observed: the error as it was measured.
        truth: (S,) each candidate's own error; the first is perfect calibration.
        drawn: (S, R) what is measured in R data sets drawn under each.
        level: of the interval.

    >>> drawn = np.arange(5.0)[:, None] + np.linspace(-1, 1, 101)
    >>> [round(x, 2) for x in along(2.5, np.arange(5.0), drawn, 0.5)]
    [2.0, 3.0, 2.5, 0.01]
    """
    tail = (1 - level) / 2
    truth = np.where(truth < 1e-12, 0, truth)
    quantiles = np.quantile(drawn, [1 - tail, tail, 0.5], axis=1)
    places = np.arange(len(truth), dtype=np.float64)
    ends = []
    for quantile in np.maximum.accumulate(quantiles, axis=1):
        steps = quantile + 1e-15 * places  # so that it rises
        ends.append(float(np.interp(np.interp(observed, steps, places), places, truth)))
    low, high, middle = ends
    null = drawn[0]
    p_value = (1 + int(np.count_nonzero(null >= observed))) / (1 + len(null))
    high = max(low, high)
    return Inverted(low, high, min(max(middle, low), high), p_value)


def enough(observed: float, drawn: Array, level: float) -> bool:
    """Whether the last candidate of `along` already lies beyond the interval."""
    return bool(np.quantile(drawn, (1 - level) / 2) > observed)


def concentrated(z: Array, u: float) -> Array:
    """`z` without what lies below `u` of its peak (0: all of it, 1: nothing); the peak keeps its
    height (the garrote of Breiman 1995)."""
    cut = u * np.abs(z).max()
    return np.asarray(z * np.maximum(1 - (cut / np.where(z == 0, 1, z)) ** 2, 0))


def spread(z: Array, u: float) -> Array:
    """`z` with its peaks cut at 1 - u of the highest (0: all of it, 1: nothing)."""
    peak = (1 - u) * np.abs(z).max()
    return np.clip(z, -peak, peak)


def invert(
    gap: Array,
    mass: Array,
    score: Array,
    drawn_gap: Array,
    drawn_mass: Array,
    norm: Norm,
    *,
    rows: float,
    level: float,
    seed: int,
    threads: int = 1,
    truth: Norm | None = None,
    side: int = 0,
) -> Inverted:
    """Interval, median-unbiased estimate and p-value of a calibration error, norm(gap, mass).

    Args:
        gap, mass: signed gap and mass of each coordinate, as shares of the weight of all rows.
        score: mean score of each coordinate, in [0, 1].
        drawn_gap, drawn_mass: their replicates, on a leading axis.
        norm: the error of a profile; reduces all axes but the leading one.
        rows: effective number of rows.
        level: of the interval.
        seed: of the normal draws that make up missing noise.
        threads: work on as many pieces at a time; changes no digit.
        truth: what `norm` estimates, of gaps without noise, where that is not `norm` itself.
        side: 1 or -1 where the error is of gaps of that sign alone: the others are taken as seen.
    """
    seen = _Seen(gap, mass, score, rows)
    # a bin seen is a bin: no replicate empties it
    drawn_mass = np.where(mass > 0, np.maximum(drawn_mass, 1e-9), 0).astype(drawn_gap.dtype)
    noise = _noise(seen.delta, seen.safe, seen.unit, drawn_gap, drawn_mass, seed)
    error = float(norm(gap, mass))
    tail = (1 - level) / 2
    with ThreadPoolExecutor(threads) as pool:
        line = _Candidates(seen, noise, drawn_mass, norm, truth or norm, side, pool)
        low = line.solve(concentrated, 1 - tail, error)
        high = line.solve(spread, tail, error)
        middle = (line.solve(concentrated, 0.5, error) + line.solve(spread, 0.5, error)) / 2
        null = line.errors(spread, 1.0)
    p_value = (1 + int(np.count_nonzero(null >= error))) / (1 + len(null))
    steady = rows * mass * score * (1 - score) >= STEADY
    if side:
        steady &= np.sign(seen.z) == side
    if len(noise) >= ENOUGH and steady.any():
        left, p_sure = _sure(seen.z, noise, steady, tail * SHARE)
        low = max(low, float(line.truth(seen.unit * left * mass, mass)))
        p_value = min(p_value, p_sure / SHARE)
    high = max(low, high)
    return Inverted(low, high, min(max(middle, low), high), p_value)


def design_effect(
    gap: Array, mass: Array, score: Array, drawn_gap: Array, drawn_mass: Array, rows: float
) -> float:
    """How many times as much the gaps vary as those of independent rows would (Kish 1965), at least
    once: the replicates' variance over that of the outcomes, of coordinates with rows enough to
    show it.

    The arguments are those of `invert`, with as many rows as there are.
    """
    steady = rows * mass * score * (1 - score) >= STEADY_SPREAD
    if not steady.any():
        steady = mass > 0
    seen = _Seen(gap, mass, score, rows)
    drift = drawn_gap - drawn_mass * seen.delta.astype(drawn_gap.dtype)
    drawn = drift.var(axis=0, dtype=np.float64)[steady].sum()
    alone = ((seen.unit * mass) ** 2)[steady].sum()
    return max(1.0, float(drawn / alone)) if alone > 0 else 1.0


class _Seen:
    """The observed profile, in units of what its outcomes vary by."""

    def __init__(self, gap: Array, mass: Array, score: Array, rows: float) -> None:
        self.mass, self.score, self.rows = mass, score, rows
        self.used = mass > 0
        self.safe = np.where(self.used, mass, 1)
        self.delta = gap / self.safe
        self.unit = np.maximum(self.spread(self.delta), 1e-12)
        self.z = self.delta / self.unit

    def spread(self, delta: Array) -> Array:
        """Standard deviation of each mean outcome; one more row at its score keeps it off 0."""
        count = self.rows * self.mass
        q = np.clip(self.score + delta * count / (count + 1), 0, 1)
        return np.asarray(np.sqrt(q * (1 - q) / np.where(self.used, count, 1)) * self.used)


class _Candidates:
    """Candidate profiles on the two curves, and what would be measured if one were true."""

    def __init__(
        self,
        seen: _Seen,
        noise: Array,
        drawn_mass: Array,
        norm: Norm,
        truth: Norm,
        side: int,
        pool: ThreadPoolExecutor,
    ) -> None:
        self.seen, self.noise, self.drawn_mass = seen, noise, drawn_mass
        self.norm, self.truth, self.side, self.pool = norm, truth, side, pool
        self.step = max(float(np.abs(seen.z).max()), 1.0)
        self.known: dict[tuple[str, float], Array] = {}
        size = max(1, _AT_ONCE // max(seen.z.size, 1))
        self.pieces = [slice(low, low + size) for low in range(0, len(noise), size)]

    def gaps(self, curve: Curve, u: float) -> Array:
        """Gaps at `u` of a curve; below 0, beyond the observed ones, every gap grows, as far as a
        mean outcome can go."""
        z = self.seen.z
        grown = curve(z, u) if u >= 0 else z - u * self.step * np.sign(z)
        if self.side:
            grown = np.where(np.sign(z) == self.side, grown, z)
        return np.clip(self.seen.unit * grown, -self.seen.score, 1 - self.seen.score)

    def errors(self, curve: Curve, u: float) -> Array:
        """What the error would be measured as, replicate by replicate."""
        key = ("both" if u in (0.0, 1.0) else curve.__name__, u)
        if key not in self.known:
            true = self.gaps(curve, u)
            scale = self.seen.spread(true).astype(self.noise.dtype)
            shift = true.astype(self.noise.dtype)

            def piece(at: slice) -> Array:
                drawn = self.noise[at] * scale
                drawn += shift
                drawn *= self.drawn_mass[at]
                return self.norm(drawn, self.drawn_mass[at])

            self.known[key] = np.concatenate(list(self.pool.map(piece, self.pieces)))
        return self.known[key]

    def solve(self, curve: Curve, share: float, error: float) -> float:
        """The error on a curve that puts `share` of the replicates below the observed one; of those
        that put them on it (an error of 0 that was below before noise was taken off), the largest
        for the high end, else the least."""
        least = error + (1e-9 if share < 0.5 else 0.0)

        def excess(u: float) -> float:
            return float(np.quantile(self.errors(curve, u), share)) - least

        u = _root(excess, [at for name, at in self.known if name in (curve.__name__, "both")])
        return (
            0.0
            if u == 1.0
            else float(self.truth(self.gaps(curve, u) * self.seen.mass, self.seen.mass))
        )


def _sure(z: Array, noise: Array, steady: Array, tail: float) -> tuple[Array, float]:
    """What is left of each steady standardised gap after the largest noise of any, and the p-value
    of the largest gap: a maximum over bins of one row and of thousands says nothing by itself, but
    the bins of thousands do."""
    peaks = np.abs(noise[:, steady]).max(axis=1)
    most = float(np.quantile(peaks, 1 - tail))
    largest = float(np.abs(z[steady]).max())
    p_value = (1 + int(np.count_nonzero(peaks >= largest))) / (1 + len(peaks))
    left = np.where(steady, np.sign(z) * np.maximum(np.abs(z) - most, 0), 0)
    return left, p_value


def _noise(
    delta: Array, mass: Array, unit: Array, drawn_gap: Array, drawn_mass: Array, seed: int
) -> Array:
    """Standard noise of each mean outcome: bootstrap residuals, scaled down or made up to their
    model spread, over that spread."""
    noise = drawn_mass * -delta.astype(drawn_gap.dtype)
    noise += drawn_gap
    noise /= mass.astype(noise.dtype)
    squares = np.einsum("r...,r...->...", noise, noise).astype(np.float64) / len(noise)
    bootstrap = np.sqrt(np.maximum(squares - noise.mean(axis=0, dtype=np.float64) ** 2, 0))
    noise *= (1 / np.maximum(bootstrap, unit)).astype(noise.dtype)
    fill = np.sqrt(np.maximum(1 - (bootstrap / unit) ** 2, 0)).astype(noise.dtype)
    short = (fill > 0) & (drawn_mass.max(axis=0) > 0)
    normal = np.random.Generator(np.random.SFC64([seed, 2]))
    draws = normal.standard_normal((len(noise), int(short.sum())), dtype=np.float32)
    noise[..., short] += fill[short] * draws
    return noise


def _root(f: Callable[[float], float], known: list[float], tolerance: float = 1e-5) -> float:
    """Where a decreasing function crosses 0, in (-16, 1]; 1 if it never falls below 0 before.

    Regula falsi with the Illinois rule (Dowell & Jarratt 1971), from the nearest of the points at
    which the function is known already.
    """
    high, at_high = 1.0, f(1.0)
    if at_high >= 0:
        return 1.0
    low, at_low = 0.0, f(0.0)
    for u in known:
        value = f(u)
        if value >= 0 and (u > low or at_low < 0):
            low, at_low = u, value
        elif value < 0 and u < high:
            high, at_high = u, value
    while at_low < 0:
        if low <= -16:
            return low
        high, at_high = min((high, at_high), (low, at_low))
        low = 2 * low - 0.05
        at_low = f(low)
    side = 0
    while high - low > tolerance * max(1.0, abs(low)):
        # on a flat stretch at 0 the rule would creep
        u = (low * at_high - high * at_low) / (at_high - at_low) if at_low else (low + high) / 2
        u = min(max(u, low + tolerance / 4), high - tolerance / 4)
        value = f(u)
        if value >= 0:
            low, at_low = u, value
            at_high *= 0.5 if side == 1 else 1
            side = 1
        else:
            high, at_high = u, value
            at_low *= 0.5 if side == -1 else 1
            side = -1
    return low
