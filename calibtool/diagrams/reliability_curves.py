"""Reliability curves of one system: binned, smoothed, isotonic; each with two bands.

The band of confidence says where the curve could be, the band of consistency where that of a
perfect model would be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibtool.diagrams.curve import Histogram
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.results import Results
from calibtool.metrics.cells import Cells
from calibtool.metrics.corp import isotonic
from calibtool.metrics.smooth import Kernel, smoothed
from calibtool.types import Array, silent

POINTS = 201  # where a smooth curve is computed
NARROWEST = 0.01  # bandwidth of a smooth curve that is drawn
FAR = 18.0  # the logit at which a smooth curve on a logit axis ends
FINE_BARS = 50  # bars of the histogram beneath a continuous curve
LEAST_ROWS = 5.0  # around a point of a smooth curve; where there are fewer, there is no curve


@dataclass(frozen=True, eq=False)
class Points:
    """A curve without its label; the fields are those of `Curve`."""

    score: Array
    outcome: Array
    low: Array
    high: Array
    least: Array
    most: Array
    mass: Array
    edges: Array | None
    histogram: Histogram


# ------------------------------------------------------------------ bins


def binned(found: Results, system: int, edges: Array, how: str, *, logit: bool = False) -> Points:
    """Bins by upper `edges`, with an interval for each mean outcome.

    Args:
        how: "clopper-pearson" (1934, exact) or "bootstrap" (percentiles of the rows' replicates).
        logit: whether the histogram beneath has bars that are even in the logit.
    """
    cells, squares = found.binned(system, edges)
    some = np.where(cells.n > 0, cells.n, np.nan)
    centre, rate = cells.p / some, cells.y / some
    held = informative_rows(cells.n, squares)
    level = found.settings.level
    if how == "bootstrap":
        low, high = _bootstrapped(found, system, edges)
    else:
        low, high = clopper_pearson(rate, held, level)
    least, most = binomial_range(centre, held, level)
    mass = cells.n / cells.total
    bounds = np.append(0.0, edges)
    even = np.allclose(edges, np.arange(1, len(edges) + 1) / len(edges))
    below = Histogram(bounds, mass) if even and not logit else _bars(found, system, logit=logit)
    return Points(centre, rate, low, high, least, most, mass, bounds, below)


def informative_rows(n: Array, squares: Array) -> Array:
    """Rows of each bin that would be as informative if all weighed the same, by the sums of weights
    and of their squares (Kish 1965, sec. 8.2); NaN where there are none."""
    return np.divide(n * n, squares, out=np.full(len(n), np.nan), where=squares > 0)


def clopper_pearson(rate: Array, rows: Array, level: float) -> tuple[Array, Array]:
    """Interval of a binomial rate seen in so many rows (Clopper & Pearson 1934).

    >>> low, high = clopper_pearson(np.array([0.0]), np.array([10.0]), 0.95)
    >>> float(low[0]), float(high[0].round(4))  # 1 - 0.025 ** (1 / 10)
    (0.0, 0.3085)
    """
    from scipy.special import betaincinv

    hits, tail = rate * rows, (1 - level) / 2
    misses = rows - hits
    low = betaincinv(np.maximum(hits, 1e-300), misses + 1, tail)
    high = betaincinv(hits + 1, np.maximum(misses, 1e-300), 1 - tail)
    return np.where(hits > 1e-9, low, 0 * hits), np.where(misses > 1e-9, high, 1 + 0 * hits)


def binomial_range(rate: Array, rows: Array, level: float) -> tuple[Array, Array]:
    """Where the mean outcome of so many rows lies, if this is its rate (Broecker & Smith 2007; here
    by the binomial distribution, which is wide enough where scores differ within a bin).

    >>> least, most = binomial_range(np.array([0.5]), np.array([10.0]), 0.95)
    >>> float(least[0]), float(most[0])
    (0.2, 0.8)
    """
    tail = (1 - level) / 2
    least, most = np.full(len(rate), np.nan), np.full(len(rate), np.nan)
    for bin_ in np.flatnonzero(np.isfinite(rate) & np.isfinite(rows)):
        n, p = max(round(float(rows[bin_])), 1), float(np.clip(rate[bin_], 0, 1))
        least[bin_], most[bin_] = _quantile(n, p, tail) / n, _quantile(n, p, 1 - tail) / n
    return least, most


def _quantile(n: int, p: float, share: float) -> int:
    """The first count whose cumulated binomial probability reaches `share`."""
    from scipy.special import bdtr

    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if bdtr(middle, n, p) >= share else (middle, high)
    return high


def _bootstrapped(found: Results, system: int, edges: Array) -> tuple[Array, Array]:
    """Percentiles of each bin's mean outcome over the replicates that hold rows of it."""
    draws = found.settings.draws
    none = np.full(len(edges), np.nan)
    if draws is None:
        return none, none
    n, y = found.panels(system).binned(0, edges, draws, found.settings.threads)
    rate = np.divide(y, n, out=np.full_like(n, np.nan), where=n > 0)
    return percentiles(rate, found.settings.level)


def percentiles(drawn: Array, level: float) -> tuple[Array, Array]:
    """The interval of each column of replicates, (R, M); NaN where most have no value."""
    low, high = np.full(drawn.shape[1], np.nan), np.full(drawn.shape[1], np.nan)
    some = np.isfinite(drawn).mean(axis=0) > 0.5
    if some.any():
        tails = [(1 - level) / 2, (1 + level) / 2]
        low[some], high[some] = np.nanquantile(drawn[:, some], tails, axis=0)
    return low, high


# ------------------------------------------------------------------ continuous curves


@dataclass(frozen=True, eq=False)
class Smooth:
    """Smooths cells: where, how wide, and at which points there are rows enough."""

    at: Array
    bandwidth: float
    kernel: Kernel
    shown: Array
    density: Array

    def __call__(self, cells: Cells) -> Array:
        """The score with the smoothed gap added, NaN where there are few rows."""
        _, gap = smoothed(cells, self.at, bandwidth=self.bandwidth, kernel=self.kernel)
        return np.where(self.shown, self.at + gap, np.nan)


def smoother(panels: RowProblems, bandwidth: float, *, logit: bool = False) -> Smooth:
    """A smoother for the only panel."""
    kernel: Kernel = "logit" if logit else "reflected"
    width, at, cells = max(bandwidth, NARROWEST), grid(logit=logit), panels.exact(0)
    density, _ = smoothed(cells, at, bandwidth=width, kernel=kernel)
    fine = panels.fine[0]
    near = density * width * 2 * np.sqrt(np.pi) * float(cells.total)
    near *= float(np.average(fine.rows_a_weight, weights=fine.cells.n))
    used = cells.centres()[cells.n > 0]
    inside = (at >= used.min() - width / 2) & (at <= used.max() + width / 2)
    return Smooth(at, width, kernel, (near >= LEAST_ROWS) & inside, density)


def smooth(found: Results, system: int, bandwidth: float, *, logit: bool = False) -> Points:
    """The smoothed gap above the diagonal, where at least `LEAST_ROWS` rows are near
    (Blasiok & Nakkiran 2024).

    Its distance to the diagonal, weighted by the density of the scores, is the smooth ECE.
    """
    panels = found.panels(system)
    curve = smoother(panels, bandwidth, logit=logit)
    outcome = curve(panels.exact(0))
    bands = _bands(found, panels, curve, outcome, panels.fine[0].cells)
    mass = np.where(curve.shown, curve.density, 0.0)
    return Points(curve.at, outcome, *bands, mass, None, _bars(found, system, logit=logit))


def corp(found: Results, system: int, *, logit: bool = False) -> Points:
    """Isotonic recalibration (Dimitriadis, Gneiting & Jordan 2021): the curve at up to 256 scores;
    its bands by redrawing the outcomes from it, and from the scores."""
    panels = found.panels(system)
    exact, fine = panels.exact(0), panels.fine[0].cells
    at = fine.centres()
    outcome = np.interp(at, exact.centres(), isotonic(exact))
    rate = np.clip(outcome, 0, 1)
    bands = _bands(found, panels, isotonic, outcome, fine, rate)
    return Points(at, outcome, *bands, fine.n / fine.total, None, _bars(found, system, logit=logit))


def _bands(
    found: Results,
    panels: RowProblems,
    curve: Callable[[Cells], Array],
    seen: Array,
    fine: Cells,
    rate: Array | None = None,
) -> tuple[Array, Array, Array, Array]:
    """Percentiles of a curve under confidence (the bootstrap, or outcomes drawn by `rate`) and
    under consistency (outcomes drawn by the scores). What the fine cells lose is put back."""
    draws, threads, level = found.settings.draws, found.settings.threads, found.settings.level
    if draws is None:
        none = np.full(len(seen), np.nan)
        return none, none, none, none
    panels.prepare(draws, threads)
    if rate is None:
        (drawn,) = panels.bootstrapped(draws, threads, silent)
        moved = curve(drawn) + (seen - curve(fine))
    else:
        moved = curve(panels.redrawn(0, rate, draws))
    (perfect,) = panels.simulated(0.0, draws, threads)
    return (*percentiles(moved, level), *percentiles(curve(perfect), level))


def grid(*, logit: bool = False) -> Array:
    """Where a smooth curve is computed: evenly in the score, or in its logit."""
    if not logit:
        return np.linspace(0, 1, POINTS)
    return np.asarray(1 / (1 + np.exp(-np.linspace(-FAR, FAR, POINTS))))


def _bars(found: Results, system: int, *, logit: bool) -> Histogram:
    """The histogram of the scores beneath a continuous curve."""
    if logit:
        inner = np.linspace(-FAR, FAR, FINE_BARS - 1)
        return histogram(found, system, np.append(1 / (1 + np.exp(-inner)), 1.0))
    return histogram(found, system, np.arange(1, FINE_BARS + 1) / FINE_BARS)


def histogram(found: Results, system: int, edges: Array) -> Histogram:
    """Shares of the weight in bins by upper edges."""
    n = found.binned(system, edges)[0].n
    return Histogram(np.append(0.0, edges), n / n.sum())
