"""Reliability curves of one variant: binned, smoothed or isotonic, each with two bands.

The confidence band is an interval for the curve; the consistency band is where the curve of a
perfectly calibrated model would lie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibtool.diagrams.curve import Curve, Histogram, Points
from calibtool.errors import InputError
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.results import Results
from calibtool.intervals.shares import clopper_pearson
from calibtool.metrics.cells import Cells
from calibtool.metrics.corp import isotonic
from calibtool.metrics.loess import loess
from calibtool.metrics.smooth import Kernel, smoothed
from calibtool.types import Array, silent

POINTS = 201  # of a smooth curve: one every 0.005, finer than a line is wide
NARROWEST = 0.01  # bandwidth of a smooth curve: twice the distance of its points
FAR = 18.0  # logit at which a curve on a logit axis ends: 1e-8, the outermost tick
FINE_BARS = 50  # bars of the histogram beneath a continuous curve, which has no bins of its own
LEAST_ROWS = 5.0  # effective rows around a point of a smooth curve; with fewer, none is drawn


def curve_of(
    results: Results, variant: int, points: Points, *, label: str, panel: str = ""
) -> Curve:
    """Return the points of a variant as a curve, with its estimates, rows and means."""
    mean_score, mean_outcome = results.means(variant)
    return Curve(
        label=label,
        panel=panel,
        **vars(points),
        estimates=results.estimates(variant),
        rows=results.data.rows,
        said=mean_score,
        was=mean_outcome,
    )


def specs(form: str, bins: int, profile: str, *, logit: bool, view: str) -> list[str]:
    """Return the specs of the numbers in the corner: those that the form shows."""
    if form == "smooth":
        return [_spec("smece", "kernel=logit" if logit else "", view)]
    if form == "corp":
        return [_spec(name, view) for name in ("mcb", "dsc", "unc")]
    if form == "loess":
        return [_spec("ici", view)]
    if profile == "equal_mass":
        return [_spec("ada-ece", f"bins={bins}", view)]
    return [_spec("ece", f"bins={bins}", view)]


def _spec(name: str, *options: str) -> str:
    return f"{name}({','.join(option for option in options if option)})"


def points(results: Results, variant: int, form: str, *, logit: bool, intervals: str) -> Points:
    """Return the points of a variant in a form: "binned", "smooth", "corp" or "loess".

    Raises InputError for cells that do not end at the edges of the bins.
    """
    if form == "smooth":
        bandwidth = results.measured[variant][0].value or 0.0  # smooth ECE is its own bandwidth
        return smooth(results, variant, bandwidth, logit=logit)
    if form == "corp":
        return corp(results, variant, logit=logit)
    if form == "loess":
        return local(results, variant, logit=logit)
    edges = _edges(results, variant)
    return binned(results, variant, edges, intervals, logit=logit)


def _edges(results: Results, variant: int) -> Array:
    spec = results.specs[0]
    if spec.one_edge_for_all:
        missing = results.measured[variant][0].missing
        if missing:  # the cells of a summary that do not end at these edges
            raise InputError(f"{results.data.source}: {missing}")
        return spec.edges(Cells.empty())
    return spec.edges(results.problems(variant).exact(0))


# ------------------------------------------------------------------ bins


def binned(
    results: Results, variant: int, edges: Array, intervals: str, *, logit: bool = False
) -> Points:
    """Return the curve of bins with upper `edges`, with an interval for each mean outcome.

    Args:
        results: the evaluation.
        variant: number of the variant.
        edges: (M,) upper edges of the bins.
        intervals: "clopper-pearson" (1934, exact) or "bootstrap" (percentiles of the replicates).
        logit: whether the histogram beneath has bars that are even in the logit.
    """
    cells, squares = results.binned(variant, edges)
    some = np.where(cells.n > 0, cells.n, np.nan)
    centre, rate = cells.p / some, cells.y / some
    rows = informative_rows(cells.n, squares)
    level = results.settings.level
    if intervals == "bootstrap":
        low, high = _bootstrapped(results, variant, edges, rate)
    else:
        low, high = clopper_pearson(rate, rows, level)
    least, most = binomial_range(centre, rows, level)
    mass = cells.n / cells.total
    bounds = np.append(0.0, edges)
    even = np.allclose(edges, np.arange(1, len(edges) + 1) / len(edges))
    below = Histogram(bounds, mass) if even and not logit else _bars(results, variant, logit=logit)
    return Points(
        score=centre,
        outcome=rate,
        low=low,
        high=high,
        least=least,
        most=most,
        mass=mass,
        edges=bounds,
        histogram=below,
    )


def informative_rows(n: Array, squares: Array) -> Array:
    """Return the effective number of rows of each bin, (M,): rows of equal weight that would be as
    informative (Kish 1965, sec. 8.2); NaN for empty bins.

    Args:
        n: (M,) sums of weights.
        squares: (M,) sums of squared weights.
    """
    return np.divide(n * n, squares, out=np.full(len(n), np.nan), where=squares > 0)


def binomial_range(rate: Array, rows: Array, level: float) -> tuple[Array, Array]:
    """Return the range of the mean outcome of `rows` rows whose expectation is `rate`.

    Broecker & Smith 2007 resample; here it is the binomial distribution, whose variance is never
    smaller than that of rows with different scores and the same mean.

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
    """Return the smallest count whose cumulative binomial probability reaches `share`."""
    from calibtool.intervals.special import bdtr

    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if bdtr(middle, n, p) >= share else (middle, high)
    return high


def _bootstrapped(
    results: Results, variant: int, edges: Array, observed: Array
) -> tuple[Array, Array]:
    """Return percentiles of each bin's mean outcome, (M,), over the replicates with rows in
    the bin."""
    draws = results.band_draws
    unknown = np.full(len(edges), np.nan)
    if draws is None:
        return unknown, unknown
    ((n, y),) = results.problems(variant).binned([edges], draws, results.settings.threads)
    rate = np.divide(y, n, out=np.full_like(n, np.nan), where=n > 0)
    return percentiles(rate, results.settings.level, observed)


def percentiles(drawn: Array, level: float, curve: Array | float = np.nan) -> tuple[Array, Array]:
    """Return the interval of each column of replicates, (R, M); NaN where most have no value. It
    reaches to the curve, (M,), if one is given that it is drawn around."""
    low, high = np.full(drawn.shape[1], np.nan), np.full(drawn.shape[1], np.nan)
    some = np.isfinite(drawn).mean(axis=0) > 0.5
    if some.any():
        tails = [(1 - level) / 2, (1 + level) / 2]
        columns = drawn[:, some]
        # of columns without gaps all at once: nanquantile takes them one by one
        of_columns = np.nanquantile if np.isnan(columns).any() else np.quantile
        low[some], high[some] = of_columns(columns, tails, axis=0)
    return np.where(low > curve, curve, low), np.where(high < curve, curve, high)


# ------------------------------------------------------------------ continuous curves


@dataclass(frozen=True, eq=False)
class Smooth:
    """A smoother of cells.

    Attributes:
        at: (M,) scores at which the curve is computed.
        bandwidth: of the kernel, in scores or logits.
        kernel: "reflected" at 0 and 1, or "logit".
        shown: (M,) whether enough rows are near.
        density: (M,) of the scores.
    """

    at: Array
    bandwidth: float
    kernel: Kernel
    shown: Array
    density: Array

    def __call__(self, cells: Cells) -> Array:
        """Return the score plus the smoothed gap, (..., M); NaN where there are few rows."""
        _, gap = smoothed(cells, self.at, bandwidth=self.bandwidth, kernel=self.kernel)
        return np.where(self.shown, self.at + gap, np.nan)


def smoother(problems: RowProblems, bandwidth: float, *, logit: bool = False) -> Smooth:
    """Return a smoother for the only problem of `problems`."""
    kernel: Kernel = "logit" if logit else "reflected"
    width, at, cells = max(bandwidth, NARROWEST), grid(logit=logit), problems.exact(0)
    density, _ = smoothed(cells, at, bandwidth=width, kernel=kernel)
    fine = problems.fine[0]
    # effective rows under a Gaussian kernel K: (sum K)^2 / sum K^2 = n density / (integral of K^2),
    # and the integral is 1 / (2 sqrt(pi) width)
    near = density * width * 2 * np.sqrt(np.pi) * float(cells.total)
    near *= float(np.average(fine.rows_per_weight, weights=fine.cells.n))
    used = cells.centres()[cells.n > 0]
    inside = (at >= used.min() - width / 2) & (at <= used.max() + width / 2)
    return Smooth(at, width, kernel, (near >= LEAST_ROWS) & inside, density)


def smooth(results: Results, variant: int, bandwidth: float, *, logit: bool = False) -> Points:
    """Return the smoothed gap plus the score, where at least `LEAST_ROWS` rows are near
    (Blasiok & Nakkiran 2024).

    Its distance to the diagonal, weighted by the density of the scores, is the smooth ECE.
    """
    problems = results.problems(variant)
    curve = smoother(problems, bandwidth, logit=logit)
    outcome = curve(problems.exact(0))
    return Points(
        score=curve.at,
        outcome=outcome,
        **_bands(results, problems, curve, outcome, problems.fine[0].cells),
        mass=np.where(curve.shown, curve.density, 0.0),
        edges=None,
        histogram=_bars(results, variant, logit=logit),
    )


def corp(results: Results, variant: int, *, logit: bool = False) -> Points:
    """Return the isotonic curve at up to 256 scores (Dimitriadis, Gneiting & Jordan 2021).

    Its bands redraw the outcomes from the curve (confidence) and from the scores (consistency).
    """
    return _along(results, variant, isotonic, logit=logit, redrawn=True)


def local(results: Results, variant: int, *, logit: bool = False) -> Points:
    """Return the local regression whose distance to the diagonal is the ICI, at up to 256 scores
    (Austin & Steyerberg 2019)."""
    return _along(results, variant, loess, logit=logit)


def _along(
    results: Results,
    variant: int,
    curve: Callable[[Cells], Array],
    *,
    logit: bool,
    redrawn: bool = False,
) -> Points:
    """Return a curve of the exact cells at the fine ones, up to 256 scores; with `redrawn`, its
    confidence band redraws the outcomes from the curve."""
    problems = results.problems(variant)
    exact, fine = problems.exact(0), problems.fine[0].cells
    at = fine.centres()
    outcome = np.interp(at, exact.centres(), curve(exact))
    rate = np.clip(outcome, 0, 1) if redrawn else None
    return Points(
        score=at,
        outcome=outcome,
        **_bands(results, problems, curve, outcome, fine, rate),
        mass=fine.n / fine.total,
        edges=None,
        histogram=_bars(results, variant, logit=logit),
    )


def _bands(
    results: Results,
    problems: RowProblems,
    curve: Callable[[Cells], Array],
    seen: Array,
    fine: Cells,
    rate: Array | None = None,
) -> dict[str, Array]:
    """Return the ends of both bands: percentiles of a curve under confidence (the bootstrap, or
    outcomes drawn by `rate`) and under consistency (outcomes drawn by the scores)."""
    draws, threads, level = results.band_draws, results.settings.threads, results.settings.level
    if draws is None:
        unknown = np.full(len(seen), np.nan)
        return dict.fromkeys(("low", "high", "least", "most"), unknown)
    problems.prepare(draws, threads)
    if rate is None:
        (drawn,) = problems.bootstrapped(draws, threads, silent)
        # replicates are drawn from the fine cells, the curve from the exact ones: the difference
        # between the two is what the fine cells lose, and is put back
        moved = curve(drawn) + (seen - curve(fine))
    else:
        moved = curve(problems.redrawn(0, rate, draws))
    (perfect,) = problems.simulated(0.0, draws, threads)
    low, high = percentiles(moved, level, seen)
    least, most = percentiles(curve(perfect), level)
    return {"low": low, "high": high, "least": least, "most": most}


def grid(*, logit: bool = False) -> Array:
    """Return (201,) scores of a smooth curve, even in the score or in its logit."""
    if not logit:
        return np.linspace(0, 1, POINTS)
    return np.asarray(1 / (1 + np.exp(-np.linspace(-FAR, FAR, POINTS))))


def _bars(results: Results, variant: int, *, logit: bool) -> Histogram:
    """Return the histogram of the scores beneath a continuous curve."""
    if logit:
        inner = np.linspace(-FAR, FAR, FINE_BARS - 1)
        return histogram(results, variant, np.append(1 / (1 + np.exp(-inner)), 1.0))
    return histogram(results, variant, np.arange(1, FINE_BARS + 1) / FINE_BARS)


def histogram(results: Results, variant: int, edges: Array) -> Histogram:
    """Return the shares of the weight in bins with upper `edges`."""
    n = results.binned(variant, edges)[0].n
    return Histogram(np.append(0.0, edges), n / n.sum())
