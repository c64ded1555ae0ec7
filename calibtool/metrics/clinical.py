"""What clinical prediction models are measured by: logistic recalibration, the smoothed curve's
distance to the diagonal, goodness-of-fit statistics and the calibration belt.

All are functions of cells. A weight counts as that many rows. In the logistic models, the rows of a
score of exactly 0 or 1 have an infinite logit: where all of them have the outcome that the score
promises they say nothing about the other rows and drop out of the likelihood, as in the limit;
where one has not, no such model gives these outcomes any probability and the answer is nan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from calibtool.metrics.cells import Cells
from calibtool.metrics.profiles import equal_mass
from calibtool.types import Array

_AT_ONCE = 1 << 16  # values of a block of replicates: half a megabyte, within L2
_NEWTON = 60  # steps at most; separated outcomes, whose optimum lies at infinity, take 30
_KNOTS = (256, 128)  # where loess is evaluated: at quantiles, and evenly over the scores
_FINE = 1024  # cells that the loess and the belt work on

# ---------------------------------------------------------------- logistic recalibration


def cox_slope(cells: Cells) -> Array:
    """Slope b of logit P(y = 1) = a + b logit p by maximum likelihood (Cox 1958).

    Below 1 the scores are too extreme, above 1 too moderate. Infinite where a score separates the
    outcomes (-inf: the wrong way round), nan where all scores or all outcomes are equal.

    >>> p, n = np.array([0.2, 0.8]), np.full(2, 100.0)
    >>> round(float(cox_slope(Cells(p, n, n * p, np.array([20.0, 80.0])))), 6)
    1.0
    """
    return _cox(cells)[1]


def cox_intercept(cells: Cells) -> Array:
    """Intercept a of logit P(y = 1) = a + b logit p, beside a free slope b (Cox 1958).

    What is left over at p = 1/2 once the slope is put right. nan where the slope is not finite.
    """
    return _cox(cells)[0]


def citl(cells: Cells) -> Array:
    """Calibration in the large: the intercept a of logit P(y = 1) = a + logit p, the slope held
    at 1 (Cox 1958; Van Calster et al. 2019).

    Negative where the scores are too high on average. Infinite where all outcomes are equal.
    """
    known = _finite_logits(cells)
    total, ones = known.n.sum(-1), known.y.sum(-1)
    found = fit_logistic(known, _polynomial(known, 0)).beta[..., 0] * _unit(known)
    found = np.where(ones <= 0, -np.inf, np.where(ones >= total, np.inf, found))
    return np.asarray(np.where((total > 0) & ~_refuted(cells), found, np.nan))


def deviance(cells: Cells, *, degree: int = 1) -> Array:
    """Twice the log-likelihood that a polynomial of logit p gains over the scores as they are:
    with degree 1 the test of a = 0 and b = 1, chi-squared with 2 degrees of freedom
    (Cox 1958; Miller, Hui & Tierney 1991). Infinite where a score of 0 or 1 is refuted.
    """
    known = _finite_logits(cells)
    gain = fit_logistic(known, _polynomial(known, degree)).gain
    return np.asarray(np.where(_refuted(cells), np.inf, 2 * gain))


@dataclass(frozen=True, eq=False)
class Logistic:
    """logit P(y = 1) = logit p + basis @ beta at its maximum likelihood.

    Attributes:
        beta: (..., k) coefficients.
        gain: (...) log-likelihood above that of the scores as they are.
    """

    beta: Array
    gain: Array


def fit_logistic(
    cells: Cells, basis: Array, *, tilt: Array | None = None, start: Array | None = None
) -> Logistic:
    """Newton's method with step control, every replicate on its own.

    Args:
        cells: without scores of 0 and 1.
        basis: (C, k) columns; zero coefficients are the scores as they are.
        tilt: (..., k) a linear function of the coefficients that is added to the log-likelihood.
        start: (..., k) where to begin.
    """
    lead = np.broadcast_shapes(cells.n.shape[:-1], cells.y.shape[:-1])
    if tilt is not None:
        lead = np.broadcast_shapes(lead, tilt.shape[:-1])
    size, k = basis.shape
    rows = math.prod(lead)
    offset = _logit(cells.centres())
    n, y = (np.broadcast_to(x, (*lead, size)).reshape(rows, size) for x in (cells.n, cells.y))
    tilts, beta = (
        np.zeros((rows, k)) if x is None else np.broadcast_to(x, (*lead, k)).reshape(rows, k)
        for x in (tilt, start)
    )
    beta = beta.copy()
    gain = np.zeros(len(n))
    step = max(1, _AT_ONCE // max(size, 1))
    for low in range(0, len(n), step):
        at = slice(low, low + step)
        beta[at], gain[at] = _newton(basis, offset, n[at], y[at], tilts[at], beta[at])
    return Logistic(beta.reshape(*lead, k), gain.reshape(lead))


def _newton(
    basis: Array, offset: Array, n: Array, y: Array, tilt: Array, beta: Array
) -> tuple[Array, Array]:
    """Coefficients and gains of a block of replicates; those that are done drop out."""
    beta, k = beta.copy(), basis.shape[1]
    products = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), k * k)
    base = np.maximum(offset, 0) + np.log1p(np.exp(-np.abs(offset)))

    def look(at: Array, where: Array) -> tuple[Array, Array, Array]:
        change = where @ basis.T
        eta = offset + change
        small = np.exp(-np.abs(eta))
        mean = np.where(eta >= 0, 1.0, small) / (1 + small)
        soft = np.maximum(eta, 0) + np.log1p(small)
        value = (y[at] * change - n[at] * (soft - base)).sum(-1) + (tilt[at] * where).sum(-1)
        slope = (y[at] - n[at] * mean) @ basis + tilt[at]
        spread = n[at] * (small / (1 + small) ** 2)
        return value, slope, (spread @ products).reshape(-1, k, k)

    live = np.arange(len(n))
    value, slope, bend = look(live, beta)
    length = np.ones(len(n))
    for _ in range(_NEWTON):
        step = _solve(bend[live], slope[live])
        left = (step * slope[live]).sum(-1)
        going = np.isfinite(left) & (left > 1e-12) & (length[live] > 1e-6)
        last = left <= 1e-12
        beta[live[last]] += step[last]
        live, step = live[going], step[going]
        if not len(live):
            break
        trial = beta[live] + length[live, None] * step
        found = look(live, trial)
        better = found[0] >= value[live]
        kept = live[better]
        beta[kept] = trial[better]
        value[kept], slope[kept], bend[kept] = (x[better] for x in found)
        length[live] = np.where(better, np.minimum(1, 4 * length[live]), length[live] / 4)
    return beta, value - (tilt * beta).sum(-1)


def _solve(bend: Array, slope: Array) -> Array:
    """Newton's steps; a direction in which nothing bends is left alone."""
    k = slope.shape[-1]
    trace = np.trace(bend, axis1=-2, axis2=-1)
    ridge = (1e-13 * trace + 1e-290)[:, None, None] * np.eye(k)
    return np.asarray(np.linalg.solve(bend + ridge, slope[..., None])[..., 0])


def _cox(cells: Cells) -> tuple[Array, Array]:
    """Intercept and slope."""
    known = _finite_logits(cells)
    x = _logit(known.centres())
    change = np.diff(_extremes(known, x))[..., 0]
    nothing = _refuted(cells) | np.isnan(change)
    if len(x) < 2:
        return np.full(nothing.shape, np.nan), np.full(nothing.shape, np.nan)
    basis = _polynomial(known, 1)
    beta = fit_logistic(known, basis).beta
    # the basis is a linear function of x: read it at two points
    low, high = int(np.argmin(x)), int(np.argmax(x))
    ends = beta @ basis[[low, high]].T
    tilt = (ends[..., 1] - ends[..., 0]) / (x[high] - x[low])
    level = ends[..., 0] - tilt * x[low]
    slope = np.where(np.isinf(change), change, 1 + tilt)
    level = np.where(np.isinf(change), np.nan, level)
    return np.where(nothing, np.nan, level), np.where(nothing, np.nan, slope)


def _extremes(known: Cells, x: Array) -> Array:
    """(..., 2): 0 and 0 where outcomes overlap; 0 and +-inf where a logit separates them; nan
    where the slope is not determined at all: one outcome, or one logit."""
    tiny = 1e-9 * known.n
    some = [known.n - known.y > tiny, known.y > tiny]
    lows = [np.where(has, x, np.inf).min(-1, initial=np.inf) for has in some]
    highs = [np.where(has, x, -np.inf).max(-1, initial=-np.inf) for has in some]
    upward, downward = highs[0] <= lows[1], highs[1] <= lows[0]
    out = np.where(upward, np.inf, np.where(downward, -np.inf, 0.0))
    out = np.where(upward & downward | ~np.isfinite(lows[0]) | ~np.isfinite(lows[1]), np.nan, out)
    return np.stack([np.zeros_like(out), out], axis=-1)


def _finite_logits(cells: Cells) -> Cells:
    """The cells that hold something at scores other than 0 and 1."""
    at = cells.centres()
    weight = cells.n.sum(axis=tuple(range(cells.n.ndim - 1)))
    keep = (weight > 0) & (at > 0) & (at < 1)
    return Cells(at[keep], *(x[..., keep] for x in (cells.n, cells.p, cells.y)))


def _refuted(cells: Cells) -> Array:
    """(...) whether an outcome is not what a score of exactly 0 or 1 promised."""
    at = cells.centres()
    zero, one = at <= 0, at >= 1
    n, y = cells.n, cells.y
    broken = (y[..., zero] > 1e-9 * n[..., zero]).any(-1)
    short = n[..., one] - y[..., one]
    return np.asarray(broken | (short > 1e-9 * n[..., one]).any(-1))


def _logit(p: Array) -> Array:
    return np.log(p) - np.log1p(-p)


def _information(known: Cells) -> Array:
    """(C,) weight of each cell in the information at the scores as they are."""
    at = known.centres()
    lead = tuple(range(known.n.ndim - 1))
    return np.asarray(known.n.mean(axis=lead) * at * (1 - at))


def _unit(known: Cells) -> float:
    """The constant column of a basis."""
    return 1 / np.sqrt(max(float(_information(known).sum()), 1e-300))


def _polynomial(known: Cells, degree: int) -> Array:
    """(C, <= degree + 1) polynomials of the logit, orthonormal under the information: fewer where
    there are not as many distinct scores."""
    if not degree or len(known.at) < 2:
        return np.full((len(known.at), 1), _unit(known))
    x, weight = _logit(known.centres()), np.sqrt(_information(known))
    columns = [np.full(len(x), _unit(known))]
    spread = float(np.abs(x).max())
    for _ in range(min(degree, len(x) - 1)):
        new = columns[-1] * x / spread
        for _ in range(2):  # twice is enough (Kahan; Parlett 1980)
            for old in columns:
                new = new - old * ((new * weight) @ (old * weight))
        size = float(np.linalg.norm(new * weight))
        if size <= 1e-10:
            break
        columns.append(new / size)
    return np.stack(columns, axis=1)


# ---------------------------------------------------------------- the smoothed curve


def loess(cells: Cells, *, span: float = 0.75, degree: int = 2) -> Array:
    """Locally weighted regression of the outcome on the score, at each cell: (..., C)
    (Cleveland 1979; Cleveland, Devlin & Grosse 1988).

    A polynomial is fitted around each point by least squares, with tricube weights that reach 0
    at the nearest `span` of the rows. Degree 2 and a span of 0.75 are the defaults of R's `loess`,
    with which the ICI was defined; there is no second, robust pass. Replicates share the reach of
    the weights. Up to 384 points are computed, on no more than 1,024 cells, and
    joined by straight lines: that moves the curve by less than 1e-3 and the ICI by less than 1e-4,
    and neither where there are no more than 384 distinct scores. R interpolates too.
    """
    at = cells.centres()
    weight = cells.n.sum(axis=tuple(range(cells.n.ndim - 1)))
    pooled = _coarse(cells, weight)
    knots = _knots(at, weight)
    reach = _reach(at, weight, knots, span)
    x = pooled.centres()
    smooth = _local(pooled, x, knots, reach, degree)
    if smooth.ndim == 1:
        return np.interp(at, knots, smooth)
    right = np.clip(np.searchsorted(knots, at), 1, max(len(knots) - 1, 1))
    if len(knots) == 1:
        return np.repeat(smooth, len(at), axis=-1)
    share = (at - knots[right - 1]) / (knots[right] - knots[right - 1])
    share = np.clip(share, 0, 1)
    return np.asarray(smooth[..., right - 1] * (1 - share) + smooth[..., right] * share)


def ici(cells: Cells, *, span: float = 0.75, degree: int = 2) -> Array:
    """Integrated calibration index: mean |loess(p) - p| over rows (Austin & Steyerberg 2019)."""
    gap = _gap(cells, span, degree)
    return np.asarray((gap * cells.n).sum(-1) / cells.total)


def e50(cells: Cells, *, span: float = 0.75, degree: int = 2) -> Array:
    """Median |loess(p) - p| over rows (Austin & Steyerberg 2019)."""
    return _quantile(_gap(cells, span, degree), cells.n, 0.5)


def e90(cells: Cells, *, span: float = 0.75, degree: int = 2) -> Array:
    """90th percentile of |loess(p) - p| over rows (Austin & Steyerberg 2019)."""
    return _quantile(_gap(cells, span, degree), cells.n, 0.9)


def emax(cells: Cells, *, span: float = 0.75, degree: int = 2) -> Array:
    """Largest |loess(p) - p| of a row (Harrell 2001; Austin & Steyerberg 2019)."""
    gap = _gap(cells, span, degree)
    return np.asarray(np.where(cells.n > 0, gap, 0.0).max(-1))


@lru_cache(maxsize=2)  # the four metrics ask for the same cells one after the other
def _gap(cells: Cells, span: float, degree: int) -> Array:
    return np.asarray(np.abs(loess(cells, span=span, degree=degree) - cells.centres()))


def _quantile(values: Array, weight: Array, share: float) -> Array:
    """Weighted quantile over the last axis; the mean of two where the share falls between them."""
    order = np.argsort(values, axis=-1)
    values = np.take_along_axis(values, order, -1)
    heap = np.cumsum(np.take_along_axis(np.broadcast_to(weight, values.shape), order, -1), -1)
    wanted = share * heap[..., -1:]
    slack = 1e-12 * heap[..., -1:]
    picked = [(heap < wanted - slack).sum(-1), (heap <= wanted + slack).sum(-1)]
    ends = [np.minimum(index, values.shape[-1] - 1)[..., None] for index in picked]
    low, high = (np.take_along_axis(values, index, -1)[..., 0] for index in ends)
    return np.asarray((low + high) / 2)


def _coarse(cells: Cells, weight: Array) -> Cells:
    """At most 1,024 cells: half of them of equal weight, and half of equal width, so that rows far
    from most others stay apart."""
    if len(cells.at) <= _FINE:
        return cells
    own = Cells(cells.at, weight, weight, weight)
    low, high = float(cells.at[0]), float(cells.at[-1])
    even = np.linspace(low, high, _FINE // 2 + 1)[1:-1]
    return cells.pool(np.unique(np.concatenate([even, equal_mass(own, bins=_FINE // 2)])))


def _knots(at: Array, weight: Array) -> Array:
    """Where the curve is computed: all positions if they are few."""
    some = at[weight > 0]
    if len(some) <= sum(_KNOTS):
        return np.unique(some if len(some) else at[:1])
    heap = np.cumsum(weight)
    shares = heap[-1] * np.linspace(0, 1, _KNOTS[0])
    quantiles = at[np.minimum(np.searchsorted(heap, shares), len(at) - 1)]
    even = np.linspace(some[0], some[-1], _KNOTS[1])
    return np.unique(np.concatenate([quantiles.clip(some[0], some[-1]), even]))


def _reach(at: Array, weight: Array, knots: Array, span: float) -> Array:
    """Distance from each knot to the farthest of the nearest `span` of the weight: bisection."""
    heap = np.concatenate([[0.0], np.cumsum(weight)])
    wanted = min(span, 1.0) * heap[-1] * (1 - 1e-12)
    low, high = np.zeros(len(knots)), np.full(len(knots), float(np.ptp(at)) + 1e-12)
    for _ in range(45):
        middle = (low + high) / 2
        held = heap[np.searchsorted(at, knots + middle, side="right")]
        held = held - heap[np.searchsorted(at, knots - middle, side="left")]
        low, high = np.where(held < wanted, middle, low), np.where(held < wanted, high, middle)
    return np.asarray(np.maximum(high * max(span, 1.0), 1e-9))


def _local(cells: Cells, x: Array, knots: Array, reach: Array, degree: int) -> Array:
    """The local polynomials at their knots: (..., E)."""
    apart = (x - knots[:, None]) / reach[:, None]
    fall = np.maximum(1 - np.abs(apart * apart * apart), 0)
    powers = [fall * fall * fall]
    for _ in range(2 * degree):
        powers.append(powers[-1] * apart)
    lead = np.broadcast_shapes(cells.n.shape[:-1], cells.y.shape[:-1])
    n = np.broadcast_to(cells.n, (*lead, len(x))).reshape(-1, len(x))
    y = np.broadcast_to(cells.y, (*lead, len(x))).reshape(-1, len(x))
    out = np.empty((len(n), len(knots)))
    for low in range(0, len(n), 250):
        at = slice(low, low + 250)
        moments = [n[at] @ power.T for power in powers]
        sums = [y[at] @ power.T for power in powers[: degree + 1]]
        out[at] = _level(moments, sums, degree)
    return out.reshape(*lead, len(knots))


def _level(moments: list[Array], sums: list[Array], degree: int) -> Array:
    """The constant of each local polynomial, its normal equations solved by elimination from the
    highest power down; a power that is not determined is left out."""
    size = degree + 1
    a = [[moments[i + j] for j in range(size)] for i in range(size)]
    b = list(sums)
    total = np.maximum(moments[0], 1e-300)
    for k in range(degree, 0, -1):
        pivot = a[k][k]
        sure = pivot > 1e-10 * total
        scale = np.divide(1.0, pivot, out=np.zeros_like(pivot), where=sure)
        for i in range(k):
            factor = a[i][k] * scale
            b[i] = b[i] - factor * b[k]
            for j in range(k):
                a[i][j] = a[i][j] - factor * a[k][j]
    low = np.maximum(a[0][0], 1e-300)
    fallback = np.divide(sums[0], total)
    return np.where(a[0][0] > 1e-10 * total, b[0] / low, fallback)


# ---------------------------------------------------------------- goodness of fit


def hosmer_lemeshow(cells: Cells, *, groups: int = 10) -> Array:
    """Sum over groups of equal mass of (O - E)^2 / (E (1 - E/n)) (Hosmer & Lemeshow 1980).

    Ties stay together, so that there may be fewer groups. A group whose scores are all 0 or all 1
    adds nothing while its outcomes are as promised, and infinity otherwise.
    """
    weight = cells.n.sum(axis=tuple(range(cells.n.ndim - 1)))
    own = Cells(cells.at, weight, weight, weight)
    q = cells.pool(equal_mass(own, bins=groups))
    gap = (q.y - q.p) ** 2
    share = np.divide(q.p, q.n, out=np.zeros_like(q.p), where=q.n > 0)
    spread = np.broadcast_to(q.p * (1 - share), gap.shape)
    term = np.where(gap > 1e-18 * q.n**2, np.inf, np.zeros_like(gap))
    np.divide(gap, spread, out=term, where=spread > 0)
    return np.asarray(term.sum(-1))


def spiegelhalter_z(cells: Cells) -> Array:
    """Sum of (y - p)(1 - 2p) in standard deviations under calibration (Spiegelhalter 1986).

    Standard normal if the scores are the probabilities; positive where the Brier score is worse
    than the scores promise. A weight counts as that many rows; the test of significance takes the
    sum of squared weights instead. nan where no score lies off 0, 1/2 and 1.
    """
    at = cells.centres()
    turn = 1 - 2 * at
    gap = ((cells.y - cells.n * at) * turn).sum(-1)
    variance = (cells.n * (turn**2 * at * (1 - at))).sum(-1)
    small = 1e-12 * cells.total
    out = np.where(np.abs(gap) > small, np.copysign(np.inf, gap), np.nan)
    np.divide(gap, np.sqrt(variance), out=out, where=variance > 0)
    return np.asarray(out)


# ---------------------------------------------------------------- the calibration belt


@dataclass(frozen=True, eq=False)
class Belt:
    """The calibration belt of an external validation.

    Attributes:
        grid: (G,) scores, over the range that the rows cover.
        curve: (G,) the fitted probability.
        level: confidence levels, such as (0.8, 0.95).
        low, high: (levels, G) the band at each level.
        degree: of the polynomial that was selected.
        statistic: twice the log-likelihood gained over the diagonal.
        p_value: of the diagonal, given the selection; its large-sample value.
    """

    grid: Array
    curve: Array
    level: tuple[float, ...]
    low: Array
    high: Array
    degree: int
    statistic: float
    p_value: float


def belt(
    cells: Cells, *, level: tuple[float, ...] = (0.8, 0.95), degree: int = 4, points: int = 101
) -> Belt | None:
    """GiViTI calibration belt (Nattino, Finazzi & Bertolini 2014).

    The outcome is regressed on a polynomial of the logit; a power is added while the likelihood
    ratio asks for it at 5 %, up to `degree`. The band holds the curves that a likelihood ratio
    test with the same selection does not reject. Cells are pooled to 1,024.
    None where no score lies strictly between 0 and 1.
    """
    known = _finite_logits(_coarse(cells, cells.n))
    if not len(known.at):
        return None
    statistic, chosen, p_value = belt_statistic(known, degree=degree)
    basis = _polynomial(known, int(chosen))
    ends = known.centres()[[0, -1]]
    grid = np.linspace(ends[0], ends[1], points if ends[1] > ends[0] else 1)
    x = _logit(grid)
    rows = _interpolated(known, basis, x)
    best = fit_logistic(known, basis)
    bands = []
    for one in level:
        reach = _critical(1 - one, int(chosen) - 1)
        bands.append([_edge(known, basis, best, rows, reach, side) for side in (-1, 1)])
    low, high = (
        np.stack([_expit(x + _clean(band[side], side)) for band in bands]) for side in (0, 1)
    )
    curve = _expit(x + rows @ best.beta)
    p = 0.0 if bool(_refuted(cells)) else float(p_value)
    return Belt(grid, curve, level, low, high, int(chosen), float(statistic), p)


def belt_statistic(cells: Cells, *, degree: int = 4) -> tuple[Array, Array, Array]:
    """Statistic, selected degree and p-value of the belt, for each replicate
    (Nattino, Finazzi & Bertolini 2014)."""
    known = _finite_logits(cells)
    basis = _polynomial(known, degree)
    last = fit_logistic(known, basis[:, :2])
    gain = np.array(2 * last.gain)
    chosen = np.full(gain.shape, min(basis.shape[1] - 1, 1))
    open_ = np.ones(gain.shape, bool)
    asked = _chi2_critical()
    for power in range(2, basis.shape[1]):
        if not open_.any():
            break
        part = Cells(
            known.at,
            *(_take(x, open_) for x in (known.n, known.p, known.y)),
        )
        more = 2 * fit_logistic(part, basis[:, : power + 1]).gain
        wanted = more - gain[open_] > asked
        where = np.flatnonzero(open_.reshape(-1))[np.reshape(wanted, -1)]
        gain.reshape(-1)[where] = np.reshape(more, -1)[np.reshape(wanted, -1)]
        chosen.reshape(-1)[where] = power
        open_ = np.zeros(open_.shape, bool)
        open_.reshape(-1)[where] = True
    tail = np.ones(gain.shape)
    for power in range(basis.shape[1]):
        tail[chosen == power] = belt_tail(gain[chosen == power], power - 1)
    refuted = _refuted(cells)
    return np.where(refuted, np.inf, gain), chosen, np.where(refuted, 0.0, tail)


def belt_tail(statistic: Array, extra: int) -> Array:
    """P(statistic or more) for calibrated scores where `extra` powers were added to the line:
    chi-squared with 2 degrees of freedom, and with 1 for each power given that it exceeded the
    critical value of 5 % (Nattino, Finazzi & Bertolini 2014; here by quadrature). -1 stands
    for the constant alone, all that a single score allows: 1 degree of freedom.

    >>> belt_tail(np.array([5.991465]), 0).round(6)
    array([0.05])
    """
    t = np.asarray(statistic, np.float64)
    half_t = np.maximum(t, 0) / 2
    if extra < 0:
        return np.array([math.erfc(math.sqrt(x)) for x in half_t.flat]).reshape(t.shape)
    if not extra:
        return np.asarray(np.exp(-half_t))
    root = np.sqrt(_chi2_critical())
    node, weight = np.polynomial.legendre.leggauss(40)
    kink = np.sqrt(np.maximum(t - (extra - 1) * root**2, root**2))
    total = np.zeros(t.shape)
    for low, high in ((np.full(t.shape, root), kink), (kink, kink + 9.0)):
        half = (high - low)[..., None] / 2
        r = low[..., None] + half * (node + 1)
        density = 2 * np.exp(-(r**2) / 2) / np.sqrt(2 * np.pi) / 0.05
        total += (half * weight * density * belt_tail(t[..., None] - r**2, extra - 1)).sum(-1)
    return np.minimum(total, 1.0)


def _chi2_critical() -> float:
    """The critical value of 5 %, chi-squared with 1 degree of freedom."""
    return 3.841458820694124


def _critical(share: float, extra: int) -> float:
    """The statistic that calibrated scores exceed with probability `share`: bisection."""
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        above = float(belt_tail(np.array(middle), extra)) > share
        low, high = (middle, high) if above else (low, middle)
    return high


def _take(values: Array, where: Array) -> Array:
    """The replicates of a mask; what all replicates share stays as it is."""
    return values[where] if values.ndim > 1 else values


def _interpolated(known: Cells, basis: Array, x: Array) -> Array:
    """(G, k) the basis at other logits: its columns are polynomials of the logits of the cells."""
    own = _logit(known.centres())
    k = basis.shape[1]
    scale = float(np.abs(own).max()) or 1.0
    if k == 1:
        return np.full((len(x), 1), basis[0, 0])
    at = np.unique(np.linspace(0, len(own) - 1, max(8 * k, 2)).astype(int))
    fitted = np.polynomial.chebyshev.chebfit(own[at] / scale, basis[at], k - 1)
    return np.polynomial.chebyshev.chebval(x / scale, fitted).T


def _edge(
    known: Cells, basis: Array, best: Logistic, rows: Array, reach: float, side: int
) -> Array:
    """(G,) the farthest basis @ beta at each grid point whose likelihood ratio to the best is
    `reach`: the likelihood is tilted until it is. nan where it never is."""
    mean = _expit(_logit(known.centres()) + basis @ best.beta)
    bend = (basis.T * (known.n * mean * (1 - mean))) @ basis
    ridge = 1e-13 * np.trace(bend) * np.eye(len(bend))
    ahead = np.linalg.solve(bend + ridge, rows.T).T
    push = np.sqrt(reach / np.maximum((ahead * rows).sum(-1), 1e-300))
    beta = np.broadcast_to(best.beta, ahead.shape)
    fall = np.zeros(len(rows))
    with np.errstate(all="ignore"):
        for _ in range(12):
            found = fit_logistic(known, basis, tilt=side * push[:, None] * rows, start=beta)
            fall = 2 * (best.gain - found.gain)
            if np.all(np.abs(fall - reach) < 1e-4 * reach):
                break
            push = push * np.clip(np.sqrt(reach / np.maximum(fall, 1e-12)), 0.2, 5.0)
    return np.where(np.abs(fall - reach) < 0.01 * reach, (found.beta * rows).sum(-1), np.nan)


def _clean(edge: Array, side: int) -> Array:
    """Where no curve is the last, the band reaches 0 or 1."""
    return np.where(np.isnan(edge), np.inf if side else -np.inf, edge)


def _expit(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-x)))
