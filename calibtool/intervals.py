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

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import NormalDist
from typing import NamedTuple, TypeAlias

import numpy as np

from calibtool.checks import Array

METHODS = ("inverted", "percentile", "basic", "none")
SHARE = 0.1  # of the error rate of the low end that the largest coordinate may use up
ENOUGH = 400  # replicates that show so rare a quantile
STEADY = 30  # variance of the outcomes of a coordinate, in rows, from which its noise is normal
_AT_ONCE = 1 << 19  # values of replicates worked on at a time

Norm: TypeAlias = Callable[[Array, Array], Array]
Curve: TypeAlias = Callable[[Array, float], Array]


def plain(method: str, value: float, replicates: Array, level: float) -> tuple[float, float]:
    """Percentile or basic interval of a metric whose replicates centre on its value.

    >>> plain("percentile", 0.0, np.arange(101.0), 0.5)
    (25.0, 75.0)
    >>> plain("basic", 40.0, np.arange(101.0), 0.5)
    (5.0, 55.0)
    """
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return (2 * value - high, 2 * value - low) if method == "basic" else (low, high)


class Inverted(NamedTuple):
    """What inverting the bootstrap finds."""

    low: float
    high: float
    unbiased: float  # the estimate corrected for the median bias
    p_value: float  # of perfect calibration


def difference(
    before: Inverted, after: Inverted, correlation: float, level: float
) -> tuple[float, float]:
    """Interval of after - before from their own intervals and the correlation of their replicates.

    MOVER (Zou & Donner 2008) on confidence curves: each error is a curve over standard normal
    deviates z, drawn through its low end, its estimate and its high end, and flat once it has
    reached 0. The interval is what the difference attains on the ellipse of pairs (z, z') within
    the level. Half the replicates' correlation is used: under the candidates at the ends, whose
    gaps are smaller, errors go along with one another about half as much (benchmarks/coverage.py).

    >>> one, two = Inverted(0.1, 0.3, 0.2, 0.0), Inverted(0.4, 0.6, 0.5, 0.0)
    >>> [round(end, 3) for end in difference(one, two, 0.0, 0.95)]
    [0.159, 0.441]
    """
    reach = NormalDist().inv_cdf((1 + level) / 2)
    rho = correlation / 2
    angle = np.linspace(0, 2 * np.pi, 721)
    x = reach * np.cos(angle)
    y = reach * (rho * np.cos(angle) + math.sqrt(1 - rho * rho) * np.sin(angle))
    change = _curve(after, x, reach) - _curve(before, y, reach)
    return float(change.min()), float(change.max())


def _curve(error: Inverted, z: Array, reach: float) -> Array:
    """The confidence bound at each deviate, linear between those that are known."""
    flat = min(reach, NormalDist().inv_cdf(min(max(1 - error.p_value, 1e-9), 1 - 1e-9)))
    if flat > 0:
        knots = [-reach, -flat, 0.0, reach]
        return np.interp(z, knots, [error.low, error.low, error.unbiased, error.high])
    return np.interp(z, [-reach, 0.0, reach], [error.low, error.unbiased, error.high])


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
    """
    used = mass > 0
    safe = np.where(used, mass, 1)
    delta = gap / safe
    error = float(norm(gap, mass))
    # a bin seen is a bin: no replicate empties it
    drawn_mass = np.where(used, np.maximum(drawn_mass, 1e-9), 0).astype(drawn_gap.dtype)

    def model_spread(delta: Array) -> Array:
        """Standard deviation of each mean outcome; one more row at its score keeps it off 0."""
        count = rows * mass
        q = np.clip(score + delta * count / (count + 1), 0, 1)
        return np.asarray(np.sqrt(q * (1 - q) / np.where(used, count, 1)) * used)

    unit = np.maximum(model_spread(delta), 1e-12)
    noise = _noise(delta, safe, unit, drawn_gap, drawn_mass, seed)
    z = delta / unit
    step = max(float(np.abs(z).max()), 1.0)
    size = max(1, _AT_ONCE // max(gap.size, 1))
    pieces = [slice(low, low + size) for low in range(0, len(noise), size)]

    def candidate(curve: Curve, u: float) -> Array:
        """Gaps at `u` of a curve; below 0, beyond the observed ones, every gap grows, as far as
        a mean outcome can go."""
        grown = curve(z, u) if u >= 0 else z - u * step * np.sign(z)
        return np.clip(unit * grown, -score, 1 - score)

    with ThreadPoolExecutor(threads) as pool:
        seen: dict[tuple[str, float], Array] = {}

        def errors(curve: Curve, u: float) -> Array:
            """What the error would be measured as, replicate by replicate."""
            key = ("both" if u in (0.0, 1.0) else curve.__name__, u)
            if key not in seen:
                true = candidate(curve, u)
                scale = model_spread(true).astype(noise.dtype)
                shift = true.astype(noise.dtype)

                def piece(at: slice) -> Array:
                    drawn = noise[at] * scale
                    drawn += shift
                    drawn *= drawn_mass[at]
                    return norm(drawn, drawn_mass[at])

                seen[key] = np.concatenate(list(pool.map(piece, pieces)))
            return seen[key]

        def solve(curve: Curve, share: float) -> float:
            """The error on a curve that puts `share` of the replicates below the observed one."""

            def excess(u: float) -> float:
                return float(np.quantile(errors(curve, u), share)) - error

            u = _root(excess, [at for name, at in seen if name in (curve.__name__, "both")])
            return 0.0 if u == 1.0 else float(norm(candidate(curve, u) * mass, mass))

        tail = (1 - level) / 2
        low, high = solve(concentrated, 1 - tail), solve(spread, tail)
        middle = (solve(concentrated, 0.5) + solve(spread, 0.5)) / 2
        null = errors(spread, 1.0)
    p_value = (1 + int(np.count_nonzero(null >= error))) / (1 + len(null))
    steady = rows * mass * score * (1 - score) >= STEADY
    if len(noise) >= ENOUGH and steady.any():
        sure, p_sure = _sure(z[steady], noise[:, steady], tail * SHARE)
        left = np.zeros_like(z)
        left[steady] = sure
        low = max(low, float(norm(unit * left * mass, mass)))
        p_value = min(p_value, p_sure / SHARE)
    high = max(low, high)
    return Inverted(low, high, min(max(middle, low), high), p_value)


def _sure(z: Array, noise: Array, tail: float) -> tuple[Array, float]:
    """What is left of each standardised gap after the largest noise of any coordinate, and the
    p-value of the largest gap: a maximum over bins of one row and of thousands says nothing by
    itself, but the bins of thousands do."""
    peaks = np.abs(noise).max(axis=1)
    most = float(np.quantile(peaks, 1 - tail))
    largest = float(np.abs(z).max())
    p_value = (1 + int(np.count_nonzero(peaks >= largest))) / (1 + len(peaks))
    return np.sign(z) * np.maximum(np.abs(z) - most, 0), p_value


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
        u = (low * at_high - high * at_low) / (at_high - at_low)
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
