"""Normal scores: how unusual the outcomes of each period are, given the totals so far.

Rows lie in cells of scores. Let P(y = 1) be the same in every period for the rows of one cell,
whatever it is. Given the positive outcomes S of a cell in all periods up to t, those of period t
are a random choice: hypergeometric, with no unknown parameter. This holds whatever the outcomes of
the later periods are. Let X be the positive outcomes of period t in a group of cells, F the
distribution of X given the totals of its cells, and V uniform on [0, 1]. Then

    U = P(X' < X) + V P(X' = X),    X' ~ F,

is uniform given the totals S up to t and everything after t. The U of the later periods are
functions of just these. So the U of all periods, and of all groups, are independent, and so are
z = Phi^-1(U), which are standard normal (conformal p-values: Vovk, Gammerman & Shafer 2005). That
is exact for any number of rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from calibtool.intervals.normal import quantiles
from calibtool.parallel import cores, ordered, within_room
from calibtool.types import Array

# Half-widths of the range in which probabilities are computed: standard deviations, and outcomes
# where those are small. Sums of independent outcomes exceed it with less than 1e-16 (Bernstein).
_DEVIATIONS, _OUTCOMES = 9.0, 12
# U closer to 0 or 1 counts as this close: sums of probabilities are exact to about 1e-14. z is then
# at most 7.
_NEAREST = 1e-12
_NEGLIGIBLE = 37.0  # exp(-37) is 1e-16, a rounding error
_ROOM = 1 << 20  # probabilities that one step holds in memory, 8 MiB
_CACHED = 1 << 14  # of those, the probabilities that are computed at a time, within the cache
_HELD = 64  # bytes of a step per probability: as many as eight arrays of them
_RATIO = 4.0  # of variances of the periods of one step: they need about as many frequencies


def normal_scores(n: Array, y: Array, group: Array, uniform: Array) -> Array:
    """Return (T, G) scores that are independent and standard normal while no cell changes.

    Args:
        n, y: (T, C) rows and positive outcomes of cells.
        group: (C,) number of the group of each cell, increasing.
        uniform: (T, G) uniform numbers that break ties.

    The scores of a period without rows, or without earlier ones in its cells, are noise.
    """
    u = uniform.copy()
    total_n, total_y = np.cumsum(n, 0), np.cumsum(y, 0)
    mean, variance = moments(n, total_n, total_y)
    members = [group == g for g in range(uniform.shape[1])]
    parts = [
        (some, g)
        for g, here in enumerate(members)
        for some in _alike(variance[:, here].sum(1), int(here.sum()))
    ]

    def work(part: tuple[Array, int]) -> Array:
        some, g = part
        at = np.ix_(some, members[g])
        sums = (n[at], y[at], total_n[at], total_y[at], mean[at], variance[at])
        return _of_group(*sums, uniform[some, g])

    found = ordered(work, parts, within_room(cores(), _HELD * _ROOM))
    for (some, g), values in zip(parts, found, strict=True):
        u[some, g] = values
    return quantiles(np.clip(u, _NEAREST, 1 - _NEAREST))


def _alike(variance: Array, cells: int) -> Iterator[Array]:
    """Yield numbers of periods whose counts vary about equally, as many as there is room for.

    Counts without variance say nothing: their periods are left out.
    """
    order = np.argsort(variance, kind="stable")
    order = order[variance[order] > 0]
    while len(order):
        least = variance[order[0]]
        room = int(_ROOM / (cells * (2 * _DEVIATIONS * least**0.5 + 2 * _OUTCOMES)))
        near = int(np.searchsorted(variance[order], _RATIO * least, side="right"))
        count = min(near, max(room, 1))
        yield order[:count]
        order = order[count:]


def _of_group(
    n: Array,
    y: Array,
    total_n: Array,
    total_y: Array,
    mean: Array,
    variance: Array,
    uniform: Array,
) -> Array:
    """Return (T,) uniform numbers U of one group.

    Args:
        n, y, total_n, total_y: (T, C) rows and positive outcomes of the cells, and totals so far.
        mean, variance: (T, C) moments of y given the totals.
        uniform: (T,) numbers V.
    """
    lowest, chances = _chances(n, total_n, total_y, mean, variance)
    reach = _DEVIATIONS * np.sqrt(variance.sum(1)) + _OUTCOMES
    size = 1 << math.ceil(math.log2(2 * reach.max() + 1))  # outcomes modulo it are told apart
    waves = _transform(chances, variance.sum(1), size)
    # what is counted from: the middle of the range is the mean
    origin = np.floor(mean.sum(1)) - size // 2
    angle = 2 * np.pi / size * np.arange(waves.shape[1])
    waves *= np.exp(1j * (origin - lowest.sum(1))[:, None] * angle)
    mass = np.fft.irfft(waves, n=size, axis=1)
    at = np.clip(y.sum(1) - origin, 0, size - 1).astype(np.intp)[:, None]
    below = np.cumsum(mass, axis=1) - mass
    u = np.take_along_axis(below, at, 1)[:, 0]
    u += uniform * np.take_along_axis(mass, at, 1)[:, 0]
    return np.asarray(u)


def moments(n: Array, total_n: Array, total_y: Array) -> tuple[Array, Array]:
    """Return mean and variance of hypergeometric counts: n of total_n rows, total_y positive."""
    share = total_y / np.maximum(total_n, 1)
    variance = n * share * (1 - share) * (total_n - n) / np.maximum(total_n - 1, 1)
    return n * share, variance


def _chances(
    n: Array, total_n: Array, total_y: Array, mean: Array, variance: Array
) -> tuple[Array, Array]:
    """Return the distributions of hypergeometric counts.

    Returns (T, C) lowest counts of note, and (T, C, L) probabilities of them and the next ones.
    """
    reach = _DEVIATIONS * np.sqrt(variance) + _OUTCOMES
    least, most = np.maximum(0, n - (total_n - total_y)), np.minimum(n, total_y)
    low = np.clip(np.floor(mean - reach), least, most)
    high = np.clip(np.ceil(mean + reach), least, most)
    steps = np.arange(int((high - low).max(initial=0)) + 1)
    chances = np.empty((*n.shape, len(steps)))
    periods = max(1, _CACHED // max(n.shape[1] * len(steps), 1))
    for first in range(0, len(n), periods):
        at = slice(first, first + periods)
        chances[at] = _probabilities(n[at], total_n[at], total_y[at], low[at], high[at], steps)
    return low, chances


def _probabilities(
    n: Array, total_n: Array, total_y: Array, low: Array, high: Array, steps: Array
) -> Array:
    """Return (T, C, L) probabilities of the counts `low` + `steps`, up to `high`."""
    k = low[..., None] + steps
    # ratio of the probability of each count to that of the one before
    up = (n[..., None] - k + 1) * (total_y[..., None] - k + 1)
    down = k * ((total_n - n - total_y)[..., None] + k)
    inside = k <= high[..., None]  # of cells of different sizes, a third
    inside[..., 0] = False
    ratio = np.log(up, out=np.zeros_like(k), where=inside)
    ratio -= np.log(down, out=np.zeros_like(k), where=inside)
    inside[..., 0] = True
    log_p = np.where(inside, np.cumsum(ratio, axis=-1), -np.inf)
    log_p -= log_p.max(-1, keepdims=True)
    p = np.exp(log_p, out=np.zeros_like(k), where=inside)
    return np.asarray(p / p.sum(-1, keepdims=True))


def _transform(chances: Array, variance: Array, size: int) -> Array:
    """Return (T, F) discrete Fourier transforms of the sums of independent counts.

    Args:
        chances: (T, C, L) distributions of the counts.
        variance: (T,) variances of the sums.
        size: length of the transform.

    A hypergeometric count is a sum of independent outcomes (Vatutin & Mikhailov 1982), so that the
    transform of a sum is at most exp(-2 variance sin^2(angle / 2)). Where this is negligible for
    all periods, it is left out.
    """
    angle = 2 * np.pi / size * np.arange(size // 2 + 1)
    some = 2 * variance.min() * np.sin(angle / 2) ** 2 < _NEGLIGIBLE
    wave = np.exp(-1j * np.outer(np.arange(chances.shape[2]), angle[some]))
    pairs = wave.view(np.float64)  # real and imaginary parts: a product of real matrices is faster
    total = np.ones((len(chances), int(some.sum())), np.complex128)
    for cell in range(chances.shape[1]):
        total *= (chances[:, cell] @ pairs).view(np.complex128)
    return total
