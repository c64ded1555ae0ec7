"""Logistic recalibration: calibration slope, intercept and calibration in the large.

All are functions of cells. A weight counts as that many rows.

Rows with a score of exactly 0 or 1 have an infinite logit. Where all of them have the outcome that
the score promises, they say nothing about the other rows and drop out of the likelihood, as in the
limit. Where one of them has the other outcome (the score is refuted), the model gives the outcomes
a probability of 0 whatever its coefficients, and the metrics are nan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import CellMetric
from calibtool.types import Array

# Values per block of replicates: half a megabyte, which stays within a core's L2 cache.
_AT_ONCE = 1 << 16
# Most Newton steps; separated outcomes, whose optimum lies at infinity, take 30.
_NEWTON = 60
# Outcomes below this share of a cell's weight count as none: it is the rounding of sums of weights.
_ROUNDING = 1e-9


def cox_slope(cells: Cells) -> Array:
    """Return the slope b of logit P(y = 1) = a + b logit p by maximum likelihood (Cox 1958).

    Below 1 the scores are too extreme, above 1 too moderate. It is infinite where a threshold on
    the score separates the outcomes (-inf: the wrong way round), and nan where all scores or all
    outcomes are equal.

    >>> p, n = np.array([0.2, 0.8]), np.full(2, 100.0)
    >>> round(float(cox_slope(Cells(p, n, n * p, np.array([20.0, 80.0])))), 6)
    1.0
    """
    return _cox(cells)[1]


def cox_intercept(cells: Cells) -> Array:
    """Return the intercept a of logit P(y = 1) = a + b logit p, with a free slope b (Cox 1958).

    It is the logit of the outcome rate at a score of 1/2. nan where the slope is not finite.
    """
    return _cox(cells)[0]


def citl(cells: Cells) -> Array:
    """Return the calibration in the large: a of logit P(y = 1) = a + logit p, with a slope of 1.

    Negative where the scores are too high on average. Infinite where all outcomes are equal
    (Cox 1958; Van Calster et al. 2019).
    """
    known = finite_logits(cells)
    total, ones = known.n.sum(-1), known.y.sum(-1)
    # without one of the outcomes there is no optimum to be found, and it would take the most steps
    both = (ones > 0) & (ones < total)
    beta = _fitted(known, polynomial(known, 0), both)[..., 0] * _unit(known)
    intercept = np.where(ones <= 0, -np.inf, np.where(ones >= total, np.inf, beta))
    return np.asarray(np.where((total > 0) & ~is_refuted(cells), intercept, np.nan))


def deviance(cells: Cells, *, degree: int = 1) -> Array:
    """Return twice the log-likelihood that a polynomial of logit p gains over the unchanged scores.

    With degree 1 it is the test statistic of a = 0 and b = 1, chi-squared with 2 degrees of freedom
    (Cox 1958; Miller, Hui & Tierney 1991). Infinite where a score of 0 or 1 is refuted.
    """
    known = finite_logits(cells)
    gain = fit_logistic(known, polynomial(known, degree)).gain
    return np.asarray(np.where(is_refuted(cells), np.inf, 2 * gain))


@dataclass(frozen=True, eq=False)
class Logistic:
    """A fit of logit P(y = 1) = logit p + basis @ beta by maximum likelihood.

    Attributes:
        beta: (..., k) coefficients.
        gain: (...) log-likelihood above that of the unchanged scores.
    """

    beta: Array
    gain: Array


def fit_logistic(
    cells: Cells, basis: Array, *, tilt: Array | None = None, start: Array | None = None
) -> Logistic:
    """Fit logit P(y = 1) = logit p + basis @ beta, each replicate by itself.

    Args:
        cells: without scores of 0 and 1, from `finite_logits`.
        basis: (C, k) columns; coefficients of 0 leave the scores unchanged.
        tilt: (..., k) coefficients of a linear function of beta that is added to the
            log-likelihood; the belt moves the optimum by it.
        start: (..., k) where to begin; 0 by default.
    """
    lead = np.broadcast_shapes(cells.n.shape[:-1], cells.y.shape[:-1])
    if tilt is not None:
        lead = np.broadcast_shapes(lead, tilt.shape[:-1])
    size, k = basis.shape
    rows = math.prod(lead)
    offset = logit(cells.centres())
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
    """Return coefficients, (R, k), and gains, (R,), of a block of replicates.

    Newton's method with step control. Replicates that have converged drop out of the work.
    """
    beta, k = beta.copy(), basis.shape[1]
    products = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), k * k)
    base = np.maximum(offset, 0) + np.log1p(np.exp(-np.abs(offset)))

    def derivatives(at: Array, where: Array) -> tuple[Array, Array, Array]:
        """Return log-likelihood, gradient and information of replicates `at`, at betas `where`."""
        weight, ones = (n, y) if len(at) == len(n) else (n[at], y[at])
        change = where @ basis.T
        eta = offset + change
        small = np.abs(eta)
        np.exp(np.negative(small, out=small), out=small)  # at most 1: no sign of eta overflows
        whole = 1 + small
        mean = np.where(eta >= 0, 1.0, small)
        mean /= whole
        # the difference to the unchanged scores, term by term: it is small beside either
        loss = np.maximum(eta, 0, out=eta)
        loss += np.log1p(small)
        loss -= base
        loss *= weight
        change *= ones
        change -= loss
        value = change.sum(-1) + (tilt[at] * where).sum(-1)
        mean *= weight
        slope = np.subtract(ones, mean, out=mean) @ basis + tilt[at]
        small /= np.square(whole, out=whole)
        small *= weight
        return value, slope, (small @ products).reshape(-1, k, k)

    live = np.arange(len(n))
    value, slope, bend = derivatives(live, beta)
    length = np.ones(len(n))
    for _ in range(_NEWTON):
        step = _solve(bend[live], slope[live])
        # twice the log-likelihood that is left to gain; 1e-12 is far below any statistic's digits.
        # The last step is taken unchecked: so near the optimum it is right to rounding.
        with np.errstate(over="ignore", invalid="ignore"):  # not finite: there is no such step
            left = (step * slope[live]).sum(-1)
        going = np.isfinite(left) & (left > 1e-12) & (length[live] > 1e-6)
        last = left <= 1e-12
        beta[live[last]] += step[last]
        live, step = live[going], step[going]
        if not len(live):
            break
        trial = beta[live] + length[live, None] * step
        at_trial = derivatives(live, trial)
        better = at_trial[0] >= value[live]
        moved = live[better]
        beta[moved] = trial[better]
        value[moved], slope[moved], bend[moved] = (x[better] for x in at_trial)
        # shorten a step that loses, lengthen again after one that gains
        length[live] = np.where(better, np.minimum(1, 4 * length[live]), length[live] / 4)
    return beta, value - (tilt * beta).sum(-1)


def _solve(bend: Array, slope: Array) -> Array:
    """Return Newton's steps, with a ridge at rounding level for directions without curvature."""
    k = slope.shape[-1]
    trace = np.trace(bend, axis1=-2, axis2=-1)
    ridge = (1e-13 * trace + 1e-290)[:, None, None] * np.eye(k)
    return np.asarray(np.linalg.solve(bend + ridge, slope[..., None])[..., 0])


def _cox(cells: Cells) -> tuple[Array, Array]:
    """Return intercept and slope, (...) each, of the logistic recalibration with a free slope,
    which two metrics ask for."""
    return cells.once("cox", lambda: _recalibrated(cells))


def _recalibrated(cells: Cells) -> tuple[Array, Array]:
    """Return intercept and slope, (...) each, of the logistic recalibration with a free slope."""
    known = finite_logits(cells)
    x = logit(known.centres())
    change = _extreme_slope(known, x)
    undefined = is_refuted(cells) | np.isnan(change)
    if len(x) < 2:
        return np.full(undefined.shape, np.nan), np.full(undefined.shape, np.nan)
    basis = polynomial(known, 1)
    beta = _fitted(known, basis, ~undefined & np.isfinite(change))
    # the fitted basis @ beta is a linear function of x: two points give its slope and level
    low, high = int(np.argmin(x)), int(np.argmax(x))
    ends = beta @ basis[[low, high]].T
    tilt = (ends[..., 1] - ends[..., 0]) / (x[high] - x[low])
    level = ends[..., 0] - tilt * x[low]
    slope = np.where(np.isinf(change), change, 1 + tilt)
    level = np.where(np.isinf(change), np.nan, level)
    return np.where(undefined, np.nan, level), np.where(undefined, np.nan, slope)


def _fitted(known: Cells, basis: Array, wanted: Array) -> Array:
    """Return the coefficients, (..., k), of the wanted replicates, (...); nan for the others."""
    shape = (*wanted.shape, len(known.at))
    n, p, y = (np.broadcast_to(sums, shape)[wanted] for sums in (known.n, known.p, known.y))
    beta = np.full((*wanted.shape, basis.shape[1]), np.nan)
    if wanted.any():
        beta[wanted] = fit_logistic(Cells(known.at, n, p, y), basis).beta
    return beta


def _extreme_slope(known: Cells, x: Array) -> Array:
    """Return the slope, (...), where it is not finite, and 0 elsewhere.

    It is +-inf where a threshold on the logit separates the outcomes, and nan where the slope is
    not determined: one outcome only, or one logit.
    """
    tiny = _ROUNDING * known.n
    present = [known.n - known.y > tiny, known.y > tiny]  # cells with outcomes of 0, and of 1
    lows = [np.where(where, x, np.inf).min(-1, initial=np.inf) for where in present]
    highs = [np.where(where, x, -np.inf).max(-1, initial=-np.inf) for where in present]
    upward, downward = highs[0] <= lows[1], highs[1] <= lows[0]
    out = np.where(upward, np.inf, np.where(downward, -np.inf, 0.0))
    return np.asarray(
        np.where(upward & downward | ~np.isfinite(lows[0]) | ~np.isfinite(lows[1]), np.nan, out)
    )


def finite_logits(cells: Cells) -> Cells:
    """Return the occupied cells with scores other than 0 and 1."""
    at = cells.centres()
    inside = (cells.summed().n > 0) & (at > 0) & (at < 1)
    return Cells(at[inside], *(x[..., inside] for x in (cells.n, cells.p, cells.y)))


def is_refuted(cells: Cells) -> Array:
    """Return True, (...), where a row with a score of 0 or 1 lacks the outcome that it promised."""
    at = cells.centres()
    at_zero, at_one = at <= 0, at >= 1
    n, y = cells.n, cells.y
    false_zeros = (y[..., at_zero] > _ROUNDING * n[..., at_zero]).any(-1)
    missing = n[..., at_one] - y[..., at_one]
    return np.asarray(false_zeros | (missing > _ROUNDING * n[..., at_one]).any(-1))


def refuted(cells: Cells) -> tuple[int, int] | None:
    """Return the (score, outcome) of a row whose outcome its score of 0 or 1 rules out, or None.

    >>> refuted(Cells.from_rows(np.array([0.5, 1.0]), np.array([1, 0])))
    (1, 0)
    """
    for score in (1, 0):
        at = cells.centres() >= 1 if score else cells.centres() <= 0
        if is_refuted(Cells(cells.at[at], cells.n[at], cells.p[at], cells.y[at])):
            return score, 1 - score
    return None


def logit(p: Array) -> Array:
    """Return log(p / (1 - p)) of probabilities strictly between 0 and 1."""
    return np.log(p) - np.log1p(-p)


def _information(known: Cells) -> Array:
    """Return the weight, (C,), of each cell in the information at the unchanged scores."""
    at = known.centres()
    lead = tuple(range(known.n.ndim - 1))
    return np.asarray(known.n.mean(axis=lead) * at * (1 - at))


def _unit(known: Cells) -> float:
    """Return the value of the constant column of a basis, of norm 1 under the information."""
    return 1 / np.sqrt(max(float(_information(known).sum()), 1e-300))  # no division by 0


def polynomial(known: Cells, degree: int) -> Array:
    """Return polynomials of the logit, (C, degree + 1), orthonormal under the information.

    There are fewer columns where there are not as many distinct scores. Orthonormal columns make
    the information near the identity, so that powers of the logit of very different size are
    fitted without loss of digits.
    """
    if not degree or len(known.at) < 2:
        return np.full((len(known.at), 1), _unit(known))
    x, weight = logit(known.centres()), np.sqrt(_information(known))
    columns = [np.full(len(x), _unit(known))]
    spread = float(np.abs(x).max())
    for _ in range(min(degree, len(x) - 1)):
        column = columns[-1] * x / spread
        # Gram-Schmidt, twice: the second pass removes the rounding of the first, and twice is
        # enough (Kahan; Parlett 1980)
        for _ in range(2):
            for other in columns:
                column = column - other * ((column * weight) @ (other * weight))
        size = float(np.linalg.norm(column * weight))
        if size <= 1e-10:  # a linear combination of the others, to rounding
            break
        columns.append(column / size)
    return np.stack(columns, axis=1)


LOGISTIC: tuple[CellMetric, ...] = (
    CellMetric(
        "cox-slope",
        "Calibration slope",
        "b of logit P(y) = a + b logit(score); 1 is perfect, below it the scores are too extreme",
        "Cox 1958; Steyerberg 2019, ch. 15",
        cox_slope,
        better="nearer",
        ideal=1,
        view="clinical",
        refuted=refuted,
        sees="scores that are too extreme or too moderate",
        blind="scores that are too high or too low on average; curved miscalibration",
    ),
    CellMetric(
        "cox-intercept",
        "Calibration intercept",
        "a of logit P(y) = a + b logit(score)",
        "Cox 1958",
        cox_intercept,
        better="nearer",
        ideal=0,
        view="clinical",
        refuted=refuted,
        sees="together with the slope, a straight miscalibration on the logit scale",
        blind="curved miscalibration",
    ),
    CellMetric(
        "citl",
        "Calibration in the large",
        "a of logit P(y) = a + logit(score); 0 is perfect, below it the scores are too high",
        "Cox 1958; Van Calster et al. 2019",
        citl,
        better="nearer",
        ideal=0,
        view="clinical",
        refuted=refuted,
        sees="scores that are too high or too low on average",
        blind="everything that cancels between high and low scores",
    ),
)
