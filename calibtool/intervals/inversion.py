"""The inverted bootstrap: confidence intervals of calibration errors.

The plug-in calibration error is biased upward, so its bootstrap quantiles miss the truth. The
inverted bootstrap instead tests every candidate profile: would it produce the observed error? The
candidates lie on two curves that both start at the observed profile. One removes its least
significant coordinates first (the error is *concentrated*), the other cuts its most significant
ones (the error is *spread* out).

Noise adds E|noise| where the true gap is 0, and averages out where the gap is large. A
concentrated error has most coordinates at 0, so noise inflates it most; a spread error is inflated
least. The low end of the interval therefore assumes the first and the high end the second, and the
bias-corrected estimate lies half-way between their medians.

The noise is the bootstrap's, rescaled to the variance that outcomes have if the candidate is true:
a coordinate of n rows, mean score c and candidate gap d varies by q(1 - q)/n, q = c + d. Where the
bootstrap spreads wider it is scaled down; where it falls short (a bin of one row never varies)
normal draws make up the rest. The low end is at least what is left of the gaps when each is shrunk
by the largest noise of any coordinate: a simultaneous band over the coordinates with normal noise.

benchmarks/coverage.py measures how often the intervals contain the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from calibtool.intervals.observed import Observed
from calibtool.intervals.quantile import of_sorted
from calibtool.intervals.root import root
from calibtool.intervals.shift import Drift
from calibtool.intervals.single_bins import AT_ONCE, outcomes, shrunk
from calibtool.intervals.streams import Stream, generator
from calibtool.types import Array

# Share of the low end's error rate that the simultaneous band may use up: at 95 %, the band is the
# 99.75 % quantile of the largest noise. Both rules together miss at most 1.1 times as often as one.
SHARE = 0.1
# Fewest replicates for which that quantile is computed: of 400, one lies beyond it.
ENOUGH = 400
# Smallest variance of a coordinate's number of outcomes, n c (1 - c), at which it counts for a
# design effect: single coordinates matter less in its sums than where noise has to be normal.
STEADY_SPREAD = 5
# Errors that differ by less, relative to their size, are equal: those of few rows take few values,
# and sums of float32 round them by up to 1e-7.
TIED = 1e-6
# Values of replicates per piece of work: 1 MB of float32, within the cache with what they become.
_AT_ONCE = 1 << 18
LARGEST = 1e9  # bounds standardized noise, so that float32 holds its cubes
Norm: TypeAlias = Callable[[Array, Array], Array]
Curve: TypeAlias = Callable[[Array, Array | float, Array | None], Array]
Index: TypeAlias = tuple[Any, ...]  # of several coordinates: their places along each axis


class Inverted(NamedTuple):
    """An interval, a median-unbiased estimate, and the p-value of perfect calibration.

    `shape` is how far the estimates of a concentrated and of a spread error are apart, between
    which `corrected` lies; 0 where the error's shape does not matter, or is not looked at.
    `drift` is the mean gap of the same rows, if the error is never below it and may be no more
    than that; None where there is more than one score per row, or it is not looked at.
    """

    low: float
    high: float
    corrected: float
    p_value: float
    shape: float = 0.0
    drift: Drift | None = None


def concentrated(z: Array, u: Array | float, peak: Array | None = None) -> Array:
    """Return `z` shrunk by the garrote of Breiman (1995), which removes small coordinates first.

    Coordinates below `u` of the peak, the largest of all |z| by default, are 0; larger ones shrink
    the less the larger they are. At u = 0 it is `z`, at u = 1 nothing is left.
    """
    cut = u * (np.abs(z).max() if peak is None else peak)
    with np.errstate(over="ignore"):  # of coordinates next to 0, which become 0
        return np.asarray(z * np.maximum(1 - np.square(cut / np.where(z == 0, 1, z)), 0))


def spread(z: Array, u: Array | float, peak: Array | None = None) -> Array:
    """Return `z` clipped at 1 - u of its peak: at u = 0 it is `z`, at u = 1 nothing is left."""
    most = (1 - u) * (np.abs(z).max() if peak is None else peak)
    return np.minimum(np.maximum(z, -most), most)


class Inversion:
    """A profile with its replicates, of which any norm can be inverted."""

    def __init__(
        self,
        gap: Array,
        mass: Array,
        score: Array,
        drawn_gap: Array,
        drawn_mass: Array,
        *,
        count: Array,
        level: float,
        seed: int,
        threads: int = 1,
        null: Callable[[], Array] | None = None,
        owned: bool = False,
    ) -> None:
        """Take the noise from the replicates.

        Args:
            gap, mass: (...) signed gap and mass of each coordinate, as shares of all rows' weight.
            score: (...) mean score of each coordinate, in [0, 1].
            drawn_gap, drawn_mass: (R, ...) their replicates, float32 or float64.
            count: (...) the effective number of rows of each coordinate.
            level: of the interval, between 0 and 1.
            seed: of the normal draws that make up missing noise.
            threads: the number of pieces worked on at a time; changes no digit.
            null: draws the gaps of perfectly calibrated rows, (R, ...); None: they are made of the
                noise.
            owned: whether the replicates may be overwritten, since nobody else needs them.
        """
        self.drawn_null = null
        self.gap, self.mass, self.threads = gap, mass, threads
        self.tail = (1 - level) / 2
        self.count = count
        self.observed = observed = Observed(gap, mass, score, self.count)
        # no replicate empties a bin that holds rows: norms that count or divide by bins would jump
        own = drawn_mass if owned else np.empty_like(drawn_mass, drawn_gap.dtype)
        self.drawn_mass = np.maximum(drawn_mass, 1e-9, out=own)
        self.drawn_mass[:, ~(mass > 0)] = 0
        self.noise = drawn_gap if owned else np.empty_like(drawn_gap)
        self.steady, self.few, self.seed = observed.steady, observed.few, seed
        _make_noise(self.noise, observed, drawn_gap, self.drawn_mass, self._fills)
        self.twins = self._are_twins()
        self._mirror(self.noise)

    @cached_property
    def null(self) -> Array:
        """The gaps that are measured under perfect calibration of the same scores, (R, ...).

        Outcomes of coordinates with few rows or rare outcomes are binomial. A discrete error is
        sensitive to that: debiased norms take a bin without any positive outcome as free of noise.
        """
        if self.drawn_null is not None:
            return self.drawn_null()
        observed = self.observed
        drawn = self.noise * observed.spread(np.zeros_like(observed.delta)).astype(self.noise.dtype)
        if self.few.any():
            ties, score, count = self._ties(), observed.score, self.count
            for at in self._few_at_once:
                drawn[:, *at] = outcomes(self.noise[:, *at], score[at], count[at], ties(at))
        self._mirror(drawn)
        drawn *= self.mass.astype(drawn.dtype)
        return np.asarray(drawn)

    def _fills(self, at: Index) -> Callable[[slice], Array]:
        """Return what draws the normal deviates that make up missing noise of coordinates, for some
        replicates after the others: (r, F)."""
        rng, count = generator(Stream.NOISE, self.seed), len(at[0])
        every = range(len(self.noise))
        return lambda rows: rng.standard_normal((len(every[rows]), count), np.float32)

    def _ties(self) -> Callable[[Index], Array]:
        """Return what draws the normal deviates that part equal noise of some coordinates after the
        others: (F, R)."""
        rng, replicates = generator(Stream.TIES, self.seed), len(self.noise)
        return lambda at: rng.standard_normal((len(at[0]), replicates), np.float32)

    @cached_property
    def _few_at_once(self) -> list[Index]:
        """Indices of the coordinates with few events, some at a time."""
        few = np.nonzero(self.few)
        starts = range(0, len(few[0]), AT_ONCE)
        return [tuple(axis[low : low + AT_ONCE] for axis in few) for low in starts]

    @cached_property
    def _skewness(self) -> Array:
        """The skewness of the noise of the coordinates with few events, (F,)."""
        noise = (self.noise[:, *at] for at in self._few_at_once)
        cubes = (np.clip(some, -LARGEST, LARGEST) ** 3 for some in noise)
        return np.concatenate([cube.mean(axis=0, dtype=np.float64) for cube in cubes])

    def lean(self, rate: Array) -> Array:
        """Return a sixth of the skewness that the noise of coordinates with few events lacks if
        the mean outcomes are `rate`, (...); 0 of other coordinates.

        The first term of Cornish & Fisher (1938): noise z whose skewness is off by g is mended by
        g (z^2 - 1)/6. It matters with few events: where five are expected, twelve or more have a
        chance of 0.2 % by the normal law, and of 0.5 % by Poisson's.
        """
        q = rate[self.few]
        skewness = (1 - 2 * q) / np.sqrt(np.maximum(self._count_of_few * q * (1 - q), 1e-12))
        out = np.zeros(rate.shape)
        out[self.few] = np.minimum(np.maximum(skewness - self._skewness, -2), 2) / 6
        return out

    @cached_property
    def _count_of_few(self) -> Array:
        return np.maximum(self.count[self.few], 1e-9)

    def _are_twins(self) -> bool:
        """Return whether two classes are the same rows from either side, and so is their noise."""
        gap, mass = self.gap, self.mass
        if mass.ndim != 2 or len(mass) != 2:
            return False
        return np.allclose(mass[0], mass[1, ::-1]) and np.allclose(gap[0], -gap[1, ::-1])

    def _mirror(self, drawn: Array) -> None:
        """Let class 0 have what class 1 has, from the other side, where there are two."""
        if self.twins:
            drawn[:, 0] = -drawn[:, 1, ::-1]

    def of(
        self, norm: Norm, truth: Norm | None = None, side: int = 0, *, band: bool = True
    ) -> Inverted:
        """Return interval, median-unbiased estimate and p-value of a calibration error.

        Args:
            norm: norm(gap, mass), the error of a profile; reduces all axes but the leading one.
            truth: what `norm` estimates, of gaps without noise, where that is not `norm` itself.
            side: 1 or -1 where the error counts gaps of that sign alone, 0 otherwise. Gaps of the
                other sign, which keep noise from adding to the error, are then 0 on the
                concentrated curve, and as observed on the spread one.
            band: whether the simultaneous band may raise the low end.
        """
        observed, tail = self.observed, self.tail
        error = float(norm(self.gap, self.mass))
        with ThreadPoolExecutor(self.threads) as pool:
            line = _Candidates(self, norm, truth or norm, side, pool)
            low = line.solve(concentrated, 1 - tail, error)
            high = line.solve(spread, tail, error)
            medians = [line.solve(curve, 0.5, error) for curve in (concentrated, spread)]
            middle = sum(medians) / 2
            null = line.errors(concentrated, 1.0)
        p_value = p_of(null, error)
        steady = self.steady & (np.sign(observed.z) == side) if side else self.steady
        if band and len(self.noise) >= ENOUGH and steady.any():
            left, p_largest = shrunk(observed.z, self.noise, steady, tail * SHARE)
            low = max(low, float(line.truth(observed.unit * left * self.mass, self.mass)))
            p_value = min(p_value, p_largest / SHARE)  # Bonferroni, with unequal weights
        high = max(low, high)
        corrected = min(max(middle, low), high)
        return Inverted(low, high, corrected, p_value, abs(medians[1] - medians[0]))


def p_of(null: Array, error: float) -> float:
    """Return the p-value of an error, of those measured under perfect calibration, (R,). The data
    count as one of the replicates, so that it is never 0."""
    return (1 + int(np.count_nonzero(null >= error * (1 - TIED)))) / (1 + len(null))


def design_effect(
    gap: Array, mass: Array, score: Array, drawn_gap: Array, drawn_mass: Array, count: Array
) -> float:
    """Return how many times as much the gaps vary as those of independent rows would, at least 1.

    The design effect of Kish (1965): the replicates' variance over that of the outcomes, each
    summed over the coordinates with enough rows to show it.

    The arguments are those of `Inversion`, except that `count` does not know of clusters.
    """
    steady = count * score * (1 - score) >= STEADY_SPREAD
    if not steady.any():
        steady = mass > 0
    observed = Observed(gap, mass, score, count)
    drift = drawn_gap - drawn_mass * observed.delta.astype(drawn_gap.dtype)
    drawn = drift.var(axis=0, dtype=np.float64)[steady].sum()
    alone = ((observed.unit * mass) ** 2)[steady].sum()
    return max(1.0, float(drawn / alone)) if alone > 0 else 1.0


class _Candidates:
    """Candidate profiles on the two curves, and the errors measured if one of them is true."""

    def __init__(
        self,
        profile: Inversion,
        norm: Norm,
        truth: Norm,
        side: int,
        pool: ThreadPoolExecutor,
    ) -> None:
        self.profile, self.observed, self.noise = profile, profile.observed, profile.noise
        self.norm, self.truth, self.side, self.pool = norm, truth, side, pool
        self.peak = np.abs(self.observed.z).max()
        # gaps beyond the observed ones grow by the peak, at least by one standard deviation
        self.step = max(float(self.peak), 1.0)
        self.ends = -self.observed.score, 1 - self.observed.score
        self.any_few = bool(profile.few.any())
        self.known: dict[tuple[str, float], Array] = {}
        self.pieces = pieces(len(self.noise), self.observed.z.size)

    def gaps(self, curve: Curve, u: float) -> Array:
        """Return the gaps at `u` of a curve, clipped so that mean outcomes stay in [0, 1].

        u = 0 is the observed profile and u = 1 perfect calibration. Below 0, every gap grows.
        """
        z = self.observed.z
        grown = curve(z, u, self.peak) if u >= 0 else z - u * self.step * np.sign(z)
        if self.side:
            others = z if curve is spread else 0
            grown = np.where(np.sign(z) == self.side, grown, others)
        low, high = self.ends
        return np.minimum(np.maximum(self.observed.step * grown, low), high)

    def errors(self, curve: Curve, u: float) -> Array:
        """Return the errors measured if the candidate at `u` of a curve is true, (R,), sorted."""
        key = (self.name(curve, u), u)
        if key not in self.known:
            true = self.gaps(curve, u)
            rate = self.observed.rate(true)
            scale = self.observed.spread_of(rate).astype(self.noise.dtype)
            shift = true.astype(self.noise.dtype)
            perfect = u == 1.0 and not true.any()
            masses = self.profile.drawn_mass
            lean = None
            if curve is concentrated and 0 < u < 1 and self.any_few:
                lean = self.profile.lean(rate) * scale

            def piece(at: slice) -> Array:
                if perfect:
                    null = self.profile.null[at]
                    return self.norm(null, np.broadcast_to(self.observed.mass, null.shape))
                drawn = self.noise[at] * scale
                if lean is not None:  # a sixth of its skewness moves noise z by z^2 - 1
                    drawn += lean * (np.clip(self.noise[at], -LARGEST, LARGEST) ** 2 - 1)
                drawn += shift
                drawn *= masses[at]
                return self.norm(drawn, masses[at])

            if perfect:
                _ = self.profile.null  # made before threads ask for it
            # a thread for a single piece would take longer to be woken than small profiles do
            each = self.pool.map if self.profile.threads > 1 and len(self.pieces) > 1 else map
            self.known[key] = np.sort(np.concatenate(list(each(piece, self.pieces))))
        return self.known[key]

    def name(self, curve: Curve, u: float) -> str:
        """Return the name of a curve at `u`, "both" where the two are the same: at their ends, the
        observed profile at 0 and nothing at 1."""
        return "both" if u in (0.0, 1.0) and not self.side else curve.__name__

    def solve(self, curve: Curve, share: float, error: float) -> float:
        """Return the true error of the candidate on a curve whose `share` quantile is `error`.

        A debiased error is cut at 0, so that many candidates may share the quantile 0. If several
        do, take the largest for the high end (share < 0.5) and the smallest otherwise.
        """
        # a quantile equal to the target then counts as below it: the root moves on to larger errors
        target = error + (1e-9 if share < 0.5 else 0.0)
        tied = error * (-TIED if share < 0.5 else TIED)

        def excess(u: float) -> float:
            return of_sorted(self.errors(curve, u), share) - target + tied * (u == 1.0)

        u = root(excess, [at for name, at in self.known if name in (curve.__name__, "both")])
        if u == 1.0:
            return 0.0
        return float(self.truth(self.gaps(curve, u) * self.observed.mass, self.observed.mass))


def _make_noise(
    noise: Array,
    observed: Observed,
    drawn_gap: Array,
    drawn_mass: Array,
    fills: Callable[[Index], Callable[[slice], Array]],
) -> None:
    """Write the standardised noise of each mean outcome, (R, ...), with variance 1, into `noise`,
    which may be `drawn_gap` itself.

    Bootstrap residuals over the model's standard deviation `unit`: scaled down where they vary more
    than the model, made up by normal draws where they vary less.
    """
    delta, mass, unit = observed.delta, observed.safe, observed.unit
    for rows in pieces(len(noise), delta.size):
        # the residual of a replicate: its gap less its mass times the observed mean gap, over the
        # mass; dividing by the observed mass, not the drawn one, keeps it linear in the weights
        part = drawn_mass[rows] * -delta.astype(drawn_gap.dtype)
        part += drawn_gap[rows]
        part /= mass.astype(noise.dtype)
        noise[rows] = part
    squares = np.einsum("r...,r...->...", noise, noise).astype(np.float64) / len(noise)
    bootstrap = np.sqrt(np.maximum(squares - noise.mean(axis=0, dtype=np.float64) ** 2, 0))
    noise *= (1 / np.maximum(bootstrap, unit)).astype(noise.dtype)
    fill = np.sqrt(np.maximum(1 - (bootstrap / unit) ** 2, 0)).astype(noise.dtype)
    short = (fill > 0) & (drawn_mass.max(axis=0) > 0)  # coordinates that lack noise and hold rows
    at: Index = np.nonzero(short)
    fill, draws = fill[short], fills(at)
    for rows in pieces(len(noise), len(fill)):
        noise[rows][:, *at] += fill * draws(rows)


def pieces(replicates: int, size: int) -> list[slice]:
    """Return the replicates, of `size` values each, in as many pieces of work as fit the cache."""
    step = max(1, _AT_ONCE // max(size, 1))
    return [slice(low, low + step) for low in range(0, replicates, step)]
