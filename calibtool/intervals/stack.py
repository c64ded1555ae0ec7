"""Profiles of one shape, inverted together: `Inversion` of each, a step of all at a time.

The profile of a period has a few bins, of which NumPy takes longer to be called than to compute.
Hundreds of them are therefore stacked. Each has the random draws that it would have alone, and
looks for its roots as it would alone; what all of them ask for in a step is computed at once. So
every digit is that of one by one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calibtool.intervals.inversion import (
    ENOUGH,
    LARGEST,
    SHARE,
    TIED,
    Curve,
    Index,
    Inversion,
    Inverted,
    Norm,
    concentrated,
    p_of,
    spread,
)
from calibtool.intervals.quantile import of_sorted_rows
from calibtool.intervals.root import search
from calibtool.intervals.single_bins import shrunk
from calibtool.intervals.streams import Stream, generator
from calibtool.types import Array


def invert_each(
    gap: Array,
    mass: Array,
    score: Array,
    drawn_gap: Array,
    drawn_mass: Array,
    norm: Norm,
    *,
    count: Array,
    level: float,
    seed: int,
) -> list[Inverted]:
    """Return interval, median-unbiased estimate and p-value of the error of each profile.

    Args:
        gap, mass, score, count: (S, B) of each profile, as of `Inversion`.
        drawn_gap, drawn_mass: (R, S, B) their replicates, float64; they are overwritten.
        norm: the error; reduces the last axis.
        level, seed: as of `Inversion`.

    >>> score, gap, mass = np.array([[0.3, 0.8]]), np.array([[0.1, 0.0]]), np.array([[0.5, 0.5]])
    >>> hits = np.random.default_rng(0).binomial(50, 0.5 * score + gap, (200, 1, 2)) / 50
    >>> drawn = (hits - mass * score, np.broadcast_to(mass, hits.shape).copy())
    >>> how = {"count": 50 * mass, "level": 0.95, "seed": 0}
    >>> (found,) = invert_each(gap, mass, score, *drawn, lambda g, m: np.abs(g).sum(-1), **how)
    >>> bool(found.low <= found.corrected <= found.high)
    True
    """
    profiles = (gap, mass, score, drawn_gap, drawn_mass)
    stack = _Stack(*profiles, count=count, level=level, seed=seed, owned=True)
    observed, tail = stack.observed, stack.tail
    line = _Candidates(stack, norm)
    error = norm(gap, mass)
    lows = line.solve(concentrated, 1 - tail, error)
    highs = line.solve(spread, tail, error)
    medians = [line.solve(curve, 0.5, error) for curve in (concentrated, spread)]
    middles, apart = sum(medians) / 2, np.abs(medians[1] - medians[0])
    p_values = np.array([p_of(null, of) for null, of in zip(line.null, error, strict=True)])
    banded = stack.steady.any(axis=1) & (len(stack.noise) >= ENOUGH)
    for k in np.flatnonzero(banded):
        noise, steady = stack.noise[:, k], stack.steady[k]
        left, p_largest = shrunk(observed.z[k], noise, steady, tail * SHARE)
        lows[k] = max(lows[k], norm(observed.unit[k] * left * mass[k], mass[k]))
        p_values[k] = min(p_values[k], p_largest / SHARE)
    highs = np.maximum(lows, highs)
    middles = np.minimum(np.maximum(middles, lows), highs)
    columns = (x.tolist() for x in (lows, highs, middles, p_values, apart))
    return [Inverted(*values) for values in zip(*columns, strict=True)]


class _Stack(Inversion):
    """Profiles, (S, B), with their replicates, (R, S, B), and the draws of each of them alone."""

    def _are_twins(self) -> bool:
        return False

    def _fills(self, at: Index) -> Callable[[slice], Array]:
        # all profiles draw from the same stream: those with as many coordinates draw the same
        sizes = np.bincount(at[0], minlength=len(self.gap))
        of_size = {
            k: generator(Stream.NOISE, self.seed).standard_normal((len(self.noise), k), np.float32)
            for k in {*sizes.tolist()}
        }
        draws = np.concatenate([of_size[k] for k in sizes.tolist()], axis=1)
        return lambda rows: draws[rows]

    def _ties(self) -> Callable[[Index], Array]:
        size = self.few.shape[1], len(self.noise)
        draws = generator(Stream.TIES, self.seed).standard_normal(size, np.float32)
        place = np.cumsum(self.few, axis=1) - 1  # among the coordinates of its profile
        return lambda at: draws[place[at]]


class _Candidates:
    """Candidates of each profile on the two curves, and the errors measured if they are true."""

    def __init__(self, stack: _Stack, norm: Norm) -> None:
        self.stack, self.norm, self.observed = stack, norm, stack.observed
        self.shares = (1 - stack.tail, stack.tail, 0.5)  # of the quantiles that are kept
        z = self.observed.z
        self.peak = np.abs(z).max(axis=1, keepdims=True)
        self.up = np.maximum(self.peak, 1.0) * np.sign(z)
        self.bends = None  # how noise z moves for a sixth of its skewness: by z^2 - 1
        if stack.few.any():
            self.bends = np.clip(stack.noise, -LARGEST, LARGEST) ** 2 - 1
        self.known: list[dict[tuple[str, float], list[float]]] = [{} for _ in z]
        drawn = stack.null
        self.null = self.norm(drawn, np.broadcast_to(stack.mass, drawn.shape)).T.copy()
        self.null.sort(axis=1)
        self._note(concentrated, np.arange(len(z)), [1.0] * len(z), self.null)

    def gaps(self, curve: Curve, u: Array) -> Array:
        """Return the gaps at `u`, (S,), of a curve, clipped so that mean outcomes stay in [0, 1];
        (S, B)."""
        z, u = self.observed.z, u[:, None]
        grown = np.where(u >= 0, curve(z, np.maximum(u, 0), self.peak), z - u * self.up)
        score = self.observed.score
        return np.minimum(np.maximum(self.observed.step * grown, -score), 1 - score)

    def solve(self, curve: Curve, share: float, error: Array) -> Array:
        """Return the true errors, (S,), of the candidates on a curve whose `share` quantile is
        `error`: what `solve` of a single profile does."""
        target = error + (1e-9 if share < 0.5 else 0.0)
        tied = error * (-TIED if share < 0.5 else TIED)
        of_share = self.shares.index(share)
        names = (curve.__name__, "both")
        searches = [search([u for name, u in known if name in names]) for known in self.known]
        asked = [next(steps) for steps in searches]
        found = np.empty(len(searches))
        active = list(range(len(searches)))
        while active:
            going = []  # those that ask for what is not known
            for k in active:
                known, send = self.known[k], searches[k].send
                try:
                    while (key := _key(curve, asked[k])) in known:
                        excess = known[key][of_share] - target[k] + tied[k] * (asked[k] == 1.0)
                        asked[k] = send(float(excess))
                    going.append(k)
                except StopIteration as end:
                    found[k] = end.value
            if going:
                u, at = np.array(asked), np.array(going)
                self._note(curve, at, u[at].tolist(), self._errors(curve, u, at))
            active = going
        errors = self.norm(self.gaps(curve, found) * self.observed.mass, self.observed.mass)
        return np.where(found == 1.0, 0.0, errors)

    def _note(self, curve: Curve, at: Array, u: list[float], errors: Array) -> None:
        """Keep the quantiles of errors, (n, R), of profiles `at`."""
        quantiles = np.stack([of_sorted_rows(errors, share) for share in self.shares], axis=1)
        for k, place, kept in zip(at.tolist(), u, quantiles.tolist(), strict=True):
            self.known[k][_key(curve, place)] = kept

    def _errors(self, curve: Curve, u: Array, at: Array) -> Array:
        """Return the errors of profiles `at`, (n, R), sorted, if the candidates at `u`, (S,), of a
        curve are true."""
        stack, true = self.stack, self.gaps(curve, u)
        rate = self.observed.rate(true)
        scale = self.observed.spread_of(rate)
        drawn = stack.noise.take(at, axis=1)
        drawn *= scale[at]
        if curve is concentrated and self.bends is not None:
            inner = (u > 0) & (u < 1)
            lean = np.where(inner[:, None], stack.lean(rate) * scale, 0)
            bends = self.bends.take(at, axis=1)
            bends *= lean[at]
            drawn += bends
        drawn += true[at]
        masses = stack.drawn_mass.take(at, axis=1)
        drawn *= masses
        errors = self.norm(drawn, masses).T.copy()
        errors.sort(axis=1)
        return errors


def _key(curve: Curve, u: float) -> tuple[str, float]:
    """Return the name of a curve and the place on it; the curves meet at their ends."""
    return ("both" if u in (0.0, 1.0) else curve.__name__), u
