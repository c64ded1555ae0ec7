"""Ensemble of near-isotonic regressions (Naeini & Cooper 2016).

Near-isotonic regression lets the curve fall, at a price a unit of falling (Tibshirani et al. 2011,
eq. 2). Every price gives a curve; as it rises, neighbouring blocks meet and stay together until the
curve is isotonic. The curves at which blocks meet are averaged by exp(-BIC / 2), BIC with
df (log N + log 2 pi), df the number of blocks; a block's estimate is smoothed towards its mean
score. Both are those of the authors' code.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Line
from calibtool.calibrators.fitting.multiclass import Multiclass, fit_curves
from calibtool.calibrators.isotonic import lowest_positive
from calibtool.data.predictions import Predictions
from calibtool.metrics.cells import Cells
from calibtool.types import Array

SAME = 1e-12  # values, and prices beside one another, closer than this are equal
KEEP = 1e-12  # curves less probable, beside the best, are left out


def fit(predictions: Predictions, *, multiclass: Multiclass = "one-vs-rest") -> Calibrator:
    """Average over prices.

    Args:
        predictions: N rows of logits or probabilities, with labels; a weight counts as copies.
        multiclass: how K classes are put together.

    >>> p = Predictions.from_probs([0.5] * 4, [1, 1, 0, 0])
    >>> fit(p)(p).values[0].tolist()
    [0.5]
    """
    return fit_curves(
        "enir",
        predictions,
        curve,
        look="probs",
        multiclass=multiclass,
        options={},
        coarse=lowest_positive,
    )


def curve(cells: Cells) -> Line:
    """The average of the near-isotonic curves of cells of probabilities."""
    alive = cells.n > 0
    at, n, y, p = (x[alive].astype(np.float64) for x in (cells.at, cells.n, cells.y, cells.p))
    share = y / n
    runs = np.flatnonzero(np.concatenate([[True], share[1:] != share[:-1]]))
    n, y, said = (np.add.reduceat(x, runs) for x in (n, y, p))
    curves = list(_path(y / n, n, np.log(n.sum()) + np.log(2 * np.pi), y))
    bic = np.array([one for one, _, _ in curves])
    weight = np.exp((bic.min() - bic) / 2)
    weight[weight < KEEP] = 0
    weight /= weight.sum()
    mean = np.zeros(len(n))
    for w, (_, value, starts) in zip(weight, curves, strict=True):
        if not w:
            continue
        mass, seen, score = (np.add.reduceat(x, starts) for x in (n, y, said))
        expected = score / mass
        trust = 1 - np.abs(seen / mass - expected)
        smooth = (value * mass + expected * trust) / (mass + trust)
        mean += w * np.repeat(smooth, np.diff(np.append(starts, len(n))))
    first, last = at[runs], at[np.append(runs[1:], len(at)) - 1]
    new = np.flatnonzero(np.concatenate([[True], mean[1:] != mean[:-1]]))
    ends = np.append(new[1:], len(mean)) - 1
    x, height = np.stack([first[new], last[ends]], axis=1).ravel(), np.repeat(mean[new], 2)
    keep = np.concatenate([[True], x[1:] > x[:-1]])
    return Line(x[keep], np.clip(height[keep], 0, 1))


def _path(share: Array, n: Array, price: float, y: Array) -> Iterator[tuple[float, Array, Array]]:
    """(BIC, values of the blocks, first run of each) at the prices at which blocks meet, for the
    curves that could matter: with too many blocks, their number alone makes BIC too high."""
    from scipy.optimize import isotonic_regression

    iso = isotonic_regression(share, weights=n)
    starts = iso.blocks[:-1]
    least = _bic(iso.x[starts], starts, n, y, price)
    yield least, iso.x[starts], starts
    many = int((least - 2 * np.log(KEEP)) / price) + 1
    for values, starts in _meetings(share, n, many):
        if len(starts) > len(iso.blocks) - 1:  # the last is the isotonic one
            yield _bic(values, starts, n, y, price), values, starts


def _meetings(share: Array, n: Array, many: int) -> Iterator[tuple[Array, Array]]:
    """Values and first runs of the blocks after each meeting, once there are no more than `many`.

    A block's value moves by ((is its left neighbour above it) - (is it above its right one)) / n
    a unit of the price; where two neighbours meet they become one.
    """
    size = len(n)
    mass, value = n.tolist(), share.astype(np.float64)
    since, speed = np.zeros(size), np.zeros(size)
    left, right = list(range(-1, size - 1)), list(range(1, size + 1))
    falls = [share[i] > share[i + 1] for i in range(size - 1)] + [False]  # to the right neighbour
    version, alive, blocks = [0] * size, np.ones(size, bool), size
    meetings: list[tuple[float, int, int, int]] = []

    def set_speed(i: int) -> None:
        pushed = left[i] >= 0 and falls[left[i]]
        speed[i] = (int(pushed) - int(falls[i])) / mass[i]

    def expect(i: int, now: float) -> None:
        """Note when block i meets its right neighbour."""
        j = right[i]
        if i < 0 or j >= size:
            return
        gap = (value[j] + speed[j] * (now - since[j])) - (value[i] + speed[i] * (now - since[i]))
        closing = speed[i] - speed[j]
        if abs(gap) <= SAME:  # several meet at once, and stay together
            heapq.heappush(meetings, (now, i, version[i], version[j]))
        elif gap * closing > 0:
            heapq.heappush(meetings, (now + gap / closing, i, version[i], version[j]))

    def stale(meeting: tuple[float, int, int, int]) -> bool:
        """Whether one of the two has met another block since."""
        _, i, own, other = meeting
        j = right[i]
        return not alive[i] or version[i] != own or j >= size or version[j] != other

    for i in range(size):
        set_speed(i)
    for i in range(size - 1):
        expect(i, 0.0)
    while meetings:
        now, i, _, _ = heapq.heappop(meetings)
        j = right[i]
        value[i] += speed[i] * (now - since[i])
        since[i] = now
        alive[j], mass[i], right[i] = False, mass[i] + mass[j], right[j]
        falls[i] = falls[j]
        if right[j] < size:
            left[right[j]] = i
        version[i] += 1
        blocks -= 1
        set_speed(i)
        expect(i, now)
        if left[i] >= 0:
            expect(left[i], now)
        while meetings and stale(meetings[0]):
            heapq.heappop(meetings)
        if blocks <= many and not (meetings and meetings[0][0] <= now * (1 + SAME)):
            starts = np.flatnonzero(alive)
            yield value[starts] + speed[starts] * (now - since[starts]), starts


def _bic(value: Array, starts: Array, n: Array, y: Array, price: float) -> float:
    mass, ones = np.add.reduceat(n, starts), np.add.reduceat(y, starts)
    p = np.clip(value, 0, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(ones > 0, ones * np.log(p), 0.0)
        gain += np.where(mass > ones, (mass - ones) * np.log1p(-p), 0.0)
    return float(len(value) * price - 2 * gain.sum())
