"""Ensemble of near-isotonic regressions (Naeini & Cooper 2016).

Near-isotonic regression lets the curve fall, at a price per unit of falling (Tibshirani et al.
2011, eq. 2). Each price gives a curve. As the price rises, neighbouring blocks meet and stay
together, until the curve is isotonic. The curves at which blocks meet are averaged with weights
exp(-BIC / 2), where BIC has the penalty df (log N + log 2 pi) for df blocks; the estimate of a
block is smoothed towards its mean score. Both are as in the authors' code.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Line
from calibtool.calibrators.fitting.multiclass import Multiclass, fit_curves
from calibtool.calibrators.isotonic import distinct, lowest_positive
from calibtool.data.predictions import Predictions
from calibtool.intervals.scipy_parts import isotonic_regression
from calibtool.metrics.cells import Cells
from calibtool.types import Array

# Values of blocks closer than this are equal, and so are prices (relative to each other): blocks
# that meet at one price in exact arithmetic meet at prices that differ by rounding.
SAME = 1e-12
# Curves less probable than this, relative to the best, are left out: each changes probabilities by
# at most as much.
NEGLIGIBLE = 1e-12


def fit(predictions: Predictions, *, multiclass: Multiclass = "one-vs-rest") -> Calibrator:
    """Average over prices.

    Args:
        predictions: N rows of logits or probabilities, with labels. A row of weight w counts as w
            rows.
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
    """Return the average of the near-isotonic curves of cells of probabilities."""
    weighted = cells.n > 0
    at, n, y, p = (x[weighted].astype(np.float64) for x in (cells.at, cells.n, cells.y, cells.p))
    # neighbours with the same share stay together on the whole path: a run of them is one block
    share = y / n
    runs = np.flatnonzero(np.concatenate([[True], share[1:] != share[:-1]]))
    n, y, p = (np.add.reduceat(x, runs) for x in (n, y, p))
    curves, bic = _path(y / n, n, np.log(n.sum()) + np.log(2 * np.pi), y)
    weight = np.exp((bic.min() - bic) / 2)
    weight[weight < NEGLIGIBLE] = 0
    weight /= weight.sum()
    mean = np.zeros(len(n))
    for w, (value, starts) in zip(weight, curves, strict=True):
        if not w:
            continue
        mass, positives, score = (np.add.reduceat(x, starts) for x in (n, y, p))
        expected = score / mass
        # the mean score counts as up to one row, the less the further it is from the share
        trust = 1 - np.abs(positives / mass - expected)
        smooth = (value * mass + expected * trust) / (mass + trust)
        mean += w * np.repeat(smooth, np.diff(np.append(starts, len(n))))
    # flat over each run of equal means, linear from the last score of one to the first of the next
    first, last = at[runs], at[np.append(runs[1:], len(at)) - 1]
    new = np.flatnonzero(np.concatenate([[True], mean[1:] != mean[:-1]]))
    ends = np.append(new[1:], len(mean)) - 1
    x, height = np.stack([first[new], last[ends]], axis=1).ravel(), np.repeat(mean[new], 2)
    return Line(*distinct(x, np.clip(height, 0, 1)))


def _path(
    share: Array, n: Array, price: float, y: Array
) -> tuple[list[tuple[Array, Array]], Array]:
    """Return (values of the blocks, first run of each) of the curves that could matter, and BICs.

    These are the isotonic curve, and those at the prices at which blocks meet. BIC is at least df
    times `price`, so curves of more than `max_blocks` blocks are negligible beside the isotonic one
    and need not be evaluated.
    """
    fitted, blocks = isotonic_regression(share, n)
    starts = blocks[:-1]
    curves = [(fitted[starts], starts)]
    max_blocks = int((_bics(curves, n, y, price)[0] - 2 * np.log(NEGLIGIBLE)) / price) + 1
    # the last is the isotonic one
    curves += [one for one in _meetings(share, n, max_blocks) if len(one[1]) > len(starts)]
    return curves, _bics(curves, n, y, price)


def _meetings(share: Array, n: Array, max_blocks: int) -> Iterator[tuple[Array, Array]]:
    """Yield values and first runs of the blocks after each meeting, from `max_blocks` blocks on.

    The value of a block moves by ((its left neighbour is above it) - (it is above its right one))
    / n per unit of the price; two neighbours that meet become one block (the path algorithm of
    Tibshirani et al. 2011, sec. 3). Meetings wait in a heap, ordered by price. Blocks are known by
    their first run, and count how often they merged (`version`), so that meetings that were
    foreseen before a merger can be recognised as stale.
    """
    size = len(n)
    mass, value = n.tolist(), share.astype(np.float64).tolist()
    since, speed = [0.0] * size, [0.0] * size
    left, right = list(range(-1, size - 1)), list(range(1, size + 1))
    falls = [*(share[:-1] > share[1:]).tolist(), False]  # to the right neighbour
    version, alive, blocks = [0] * size, np.ones(size, bool), size
    meetings: list[tuple[float, int, int, int]] = []

    def set_speed(i: int) -> None:
        """Set the speed of block i from its neighbours."""
        pushed = left[i] >= 0 and falls[left[i]]
        speed[i] = (int(pushed) - int(falls[i])) / mass[i]

    def expect(i: int, now: float) -> None:
        """Push the price at which block i meets its right neighbour, if it will."""
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
        """Return whether one of the two blocks has met another one since."""
        _, i, left_version, right_version = meeting
        j = right[i]
        return (
            not alive[i] or version[i] != left_version or j >= size or version[j] != right_version
        )

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
        # several meetings at one price make one curve: wait for the last of them
        if blocks <= max_blocks and not (meetings and meetings[0][0] <= now * (1 + SAME)):
            starts = np.flatnonzero(alive)
            values = [value[k] + speed[k] * (now - since[k]) for k in starts.tolist()]
            yield np.array(values), starts


def _bics(curves: list[tuple[Array, Array]], n: Array, y: Array, price: float) -> Array:
    """Return of each curve `price` per block minus twice the log-likelihood: all at once, since
    curves are many and blocks of each are few."""
    value, first = (np.concatenate(parts) for parts in zip(*curves, strict=True))
    blocks = np.array([len(starts) for _, starts in curves])
    of = np.cumsum(blocks) - blocks  # the first block of each curve
    last = np.append(first[1:], 0)
    last[of - 1] = len(n)  # that of the last curve comes before the first
    # every second sum is one from the end of a block to the first of the next, which nobody needs
    ends = np.stack([first, last], axis=1).ravel()
    mass, ones = (np.add.reduceat(np.append(x, 0.0), ends)[::2] for x in (n, y))
    p = np.clip(value, 0, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = np.where(ones > 0, ones * np.log(p), 0.0)
        likelihood += np.where(mass > ones, (mass - ones) * np.log1p(-p), 0.0)
    return np.asarray(blocks * price - 2 * np.add.reduceat(likelihood, of))
