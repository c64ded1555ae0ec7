"""Errors of whole rows of probabilities: the distance from canonical calibration, for few classes.

Each is a function of `probs` (N, K), `labels` (N,) and `weights` (N,) or None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from calibtool.errors import NotAvailableError, UsageError
from calibtool.intervals.scipy_parts import city_block
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics.cells import left_out
from calibtool.metrics.density import BANDWIDTHS, INSIDE, POOLED
from calibtool.metrics.kinds import MatrixMetric
from calibtool.parallel import cores, ordered
from calibtool.types import Array

# Most classes for which whole rows are averaged: with more, hardly any two rows are close to each
# other, and the errors measure the number of rows.
CLASSES = 20
# Most pairs of rows for the canonical density error: they take a few seconds. Where there are more,
# the error is measured at a sample of the rows.
PAIRS = 10**8
# Most rows between which the median distance is taken: half a million pairs.
SAMPLE = 1000
# Pairs worked on at a time, per thread: 8 MB per array.
BLOCK = 2**20

Estimator = Literal["linear", "unbiased", "biased"]

# ------------------------------------------------------------------ kernel calibration error


def skce(
    probs: Array,
    labels: Array,
    weights: Array | None = None,
    *,
    estimator: Estimator = "linear",
    width: float = 0.0,
) -> float:
    """Return the squared kernel calibration error (Widmann, Lindsten & Zachariah 2019, table 1).

    The mean over pairs of rows of exp(-d(p, q) / width) <e_y - p, e_z - q>, where d is the total
    variation distance, half the sum of |p_k - q_k|: the kernel of their experiments. A width of 0
    is their median heuristic (`skce_width`).

    - "linear": the pairs of rows 0 and 1, 2 and 3, and so on in file order; an odd last row is left
      out. Unbiased, and its terms are independent.
    - "unbiased": all pairs of two different rows. It may be negative.
    - "biased": all pairs, and each row with itself. Never negative.

    A pair weighs as much as the product of its rows' weights. Raises NotAvailableError where there
    is no pair of rows with a weight above 0.

    >>> skce(np.eye(2), np.array([1, 0]), estimator="biased", width=1.0)  # 1 - 1 / e
    0.6321205588285577
    """
    w = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    if estimator == "linear":
        pairs = w[:-1:2] * w[1::2]
        terms = skce_linear_terms(probs, labels, width=width)
        return float(pairs @ terms / _positive(pairs.sum()))
    return float(_quadratic(probs, labels, w[:, None], estimator, width)[0])


def skce_linear_terms(probs: Array, labels: Array, *, width: float = 0.0) -> Array:
    """Return the independent terms, (N // 2,), whose mean is the linear estimator."""
    _positive(len(labels) - 1)
    p, r = np.asarray(probs, np.float64), _residual(probs, labels)
    distance = np.abs(p[:-1:2] - p[1::2]).sum(1) / 2
    return np.exp(-distance / (width or skce_width(p))) * (r[:-1:2] * r[1::2]).sum(1)


def skce_replicates(
    probs: Array,
    labels: Array,
    drawn: Array,
    *,
    estimator: Estimator = "linear",
    width: float = 0.0,
) -> Array:
    """Return the estimates, (R,), under each column of row weights `drawn`, (N, R).

    The linear estimator resamples its terms: each gets the weight of its first row. The others
    multiply in the precision of `drawn` (float32 is faster) and add up in float64.
    """
    if estimator == "linear":
        # the product of two weights has variance 3, not 1: it would spread the replicates too far
        terms = skce_linear_terms(probs, labels, width=width)
        w = drawn[:-1:2].astype(np.float64)
        return np.asarray(terms @ w / _positive(w.sum(0)))
    return _quadratic(probs, labels, drawn, estimator, width)


def skce_width(probs: Array) -> float:
    """Return the median total variation distance between two rows (Widmann et al. 2019, sec. 7).

    With more than 1,000 rows, it is that of 1,000 of them, evenly spaced in the order of a fixed
    mix of each row's sorted probabilities. Weights do not matter. Where more than half of the pairs
    coincide, the median is over the pairs that do not; 1 where all do.
    """
    p = np.asarray(probs, np.float64)
    if len(p) > SAMPLE:
        # The order depends neither on the file's nor on that of the classes. Square roots of 2, 3,
        # 4, ... have no common factor, so that different rows hardly tie.
        order = np.argsort(np.sort(p, 1) @ np.sqrt(np.arange(2.0, p.shape[1] + 2)), kind="stable")
        p = p[order[np.linspace(0, len(p) - 1, SAMPLE).astype(np.intp)]]
    distance = city_block(p) / 2
    apart = distance[distance > 0]
    if not len(apart):
        return 1.0
    return float(np.median(distance)) or float(np.median(apart))


def skce_limits(*, estimator: Estimator = "linear", width: float = 0.0) -> tuple[float, float]:
    """Return the range: <e_y - p, e_z - q> lies in [-2, 2], as no residual is longer than root 2.

    With each row's product with itself, the sum over all pairs is a square.
    """
    return 0.0 if estimator == "biased" else -2.0, 2.0


def _quadratic(probs: Array, labels: Array, w: Array, estimator: Estimator, width: float) -> Array:
    """Return w'Hw / (sum w)^2 of each column of w, (R,), both without the diagonal if unbiased.

    H is the N x N matrix of the terms of all pairs, made in blocks.
    """
    p, r = np.asarray(probs, np.float64), _residual(probs, labels)
    scale = -0.5 / (width or skce_width(p))  # total variation is half of the city-block distance

    def block(rows: slice) -> Array:
        """Return the form over these rows and all from them on: pairs further on count twice."""
        rest = slice(rows.start, len(p))
        h = city_block(p[rows], p[rest])
        h *= scale
        np.exp(h, out=h)
        h *= r[rows] @ r[rest].T
        h[:, rows.stop - rows.start :] *= 2
        return np.einsum("ir,ir->r", h.astype(w.dtype, copy=False) @ w[rest], w[rows], dtype=float)

    form = sum(ordered(block, _blocks(len(p), len(p)), min(2, cores())), np.zeros(w.shape[1]))
    total, squares = w.sum(0, dtype=np.float64), np.square(w, dtype=np.float64)
    if estimator == "biased":
        return np.asarray(form / _positive(total**2))
    return np.asarray((form - np.square(r).sum(1) @ squares) / _positive(total**2 - squares.sum(0)))


def _residual(probs: Array, labels: Array) -> Array:
    """Return e_y - p, (N, K)."""
    residual = -np.asarray(probs, np.float64)
    residual[np.arange(len(labels)), labels] += 1
    return residual


def _positive(total: Array | float) -> Array:
    """Return the weight of all pairs; raise NotAvailableError where it is 0."""
    if not np.all(np.asarray(total) > 0):
        raise NotAvailableError(
            "skce: at least two rows with a weight above 0 are needed; measure on more rows"
        )
    return np.asarray(total)


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    """Yield slices of rows whose pairs with all columns fit a block."""
    step = max(1, BLOCK // columns)
    return (slice(low, min(low + step, rows)) for low in range(0, rows, step))


# ------------------------------------------------------------------ bins of the simplex


def simplex_ece(
    probs: Array, labels: Array, weights: Array | None = None, *, bins: int = 15
) -> float:
    """Return the canonical ECE over bins of the simplex (Vaicenavicius et al. 2019).

    The sum over occupied bins of n_b/N times the total variation distance, half the sum of absolute
    differences, between mean label and mean probability (Widmann et al. 2019). A bin is a cube: in
    each column, one of `bins` equal parts (lo, hi], with 0 in the first. With two classes it equals
    the binary ECE except for rows on an edge, on which their other column lies too. Raises
    NotAvailableError for more than 20 classes.

    >>> simplex_ece(np.array([[0.75, 0.25], [0.75, 0.25]]), np.array([0, 1]), bins=10)
    0.25
    """
    _few_classes("simplex-ece", probs)
    edges = (np.arange(1, bins + 1) / bins).astype(probs.dtype)
    # number the occupied bins column by column: bins^K codes would overflow
    code = np.zeros(len(probs), np.int64)
    for column in probs.T:
        place = np.minimum(np.searchsorted(edges, column, side="left"), bins - 1)
        code = np.unique(code * bins + place, return_inverse=True)[1]
    w = np.ones(len(probs)) if weights is None else weights
    gap = sum(
        np.abs(np.bincount(code, w * residual)).sum() for residual in _residual(probs, labels).T
    )
    return float(gap / (2 * w.sum()))


def _few_classes(name: str, probs: Array) -> None:
    """Raise NotAvailableError for more than CLASSES classes."""
    if probs.shape[1] > CLASSES:
        raise NotAvailableError(
            f"{name}: {probs.shape[1]:,} classes are too many: rows of more than {CLASSES} are too "
            "far apart to be averaged. Use classwise-ece, skce or top-label-ece"
        )


# ------------------------------------------------------------------ density ratio


def canonical_kde(
    probs: Array,
    labels: Array,
    weights: Array | None = None,
    *,
    bandwidth: float = 0.0,
    order: int = 1,
) -> float:
    """Return the canonical kernel density calibration error (Popordanoska et al. 2022).

    The mean over the rows of sum_k |E[y_k | p_i] - p_ik|^order, where E is the mean label of all
    other rows, weighted by Dirichlet(p_j / b + 1) densities at p_i; as in the authors' package
    (ece-kde, d9f60c0), without a root and without a half. A bandwidth of 0 is replaced by the one
    with the highest leave-one-out likelihood of 1,024 rows (the same draw each time). What a row
    leaves out, and a row with no other in reach, are treated as in `kde_ece`. Zeros count as 1e-12
    where the density is looked at. Beyond 10,000 rows, the mean is over evenly spaced rows: as many
    as keep the number of pairs at 10^8, at least 1,000. Raises NotAvailableError for more than 20
    classes.

    >>> canonical_kde(np.array([[0.5, 0.5]] * 4), np.array([0, 0, 0, 0]), bandwidth=0.1)
    1.0
    """
    _few_classes("canonical-kde-ece", probs)
    if order not in {1, 2}:
        raise UsageError(f"canonical-kde-ece: order={order!r} is not 1 or 2")
    if not bandwidth >= 0:
        raise UsageError(f"canonical-kde-ece: bandwidth={bandwidth:g} is below 0; 0 chooses one")
    p = np.asarray(probs, np.float64)
    w = np.ones(len(p)) if weights is None else np.asarray(weights, np.float64)
    p, labels, w = p[w > 0], labels[w > 0], w[w > 0]
    count = min(len(p), max(PAIRS // max(len(p), 1), 1000))
    at = np.linspace(0, len(p) - 1, count).astype(np.intp)
    rates = _left_out(p, labels, w, bandwidth or _bandwidth(p), at)
    return float(w[at] @ (np.abs(rates - p[at]) ** order).sum(1) / w[at].sum())


def _left_out(p: Array, labels: Array, w: Array, bandwidth: float, at: Array) -> Array:
    """Return the mean label, (len(at), K), of all rows but one, as seen from the rows `at`."""
    label = np.eye(p.shape[1])[labels]
    weighted = w[:, None] * label
    density = _dirichlet(p, bandwidth)
    # a weight that counts k copies is k equal rows, of which one is left out: its kernel keeps this
    # share; any other weight is left out whole
    share = np.maximum(1 - left_out(w) / w, 0.0)
    with np.errstate(divide="ignore"):
        log_share = np.where(share > 1e-9, np.log(share), -np.inf)

    def block(part: slice) -> Array:
        """Return the mean labels at some of the rows; a row without others has its own label."""
        rows = at[part]
        k = density(p[rows])
        k[np.arange(len(rows)), rows] += log_share[rows]
        top = k.max(1)
        lonely = np.isneginf(top)
        # log-densities reach far below -1e5: unless the largest of each row is subtracted, all
        # could underflow
        np.exp(k - np.where(lonely, 0.0, top)[:, None], out=k)
        mass = np.where(lonely, 1.0, k @ w)
        return np.where(lonely[:, None], label[rows], k @ weighted) / mass[:, None]

    return np.concatenate(list(ordered(block, _blocks(len(at), len(p)), min(2, cores()))))


def _dirichlet(centre: Array, bandwidth: float) -> Callable[[Array], Array]:
    """Return log-densities(rows), (rows, centres), of the Dirichlet kernels of all centres."""
    from calibtool.intervals.special import gammaln

    power = centre / bandwidth
    log_norm = gammaln((power + 1).sum(1)) - gammaln(power + 1).sum(1)
    return lambda at: np.log(np.maximum(at, INSIDE)) @ power.T + log_norm


def _bandwidth(p: Array) -> float:
    """Return the bandwidth of the highest leave-one-out likelihood; equal rows leave together."""
    if len(p) > POOLED:
        draw = generator(Stream.BANDWIDTH, 0)
        p = p[np.sort(draw.choice(len(p), POOLED, replace=False))]
    p, n = np.unique(p, axis=0, return_counts=True)
    if len(p) < 2:
        return float(BANDWIDTHS[-1])

    def likelihood(bandwidth: float) -> float:
        k = _dirichlet(p, bandwidth)(p)
        np.fill_diagonal(k, -np.inf)
        top = k.max(1)
        return float(n @ (np.log(np.exp(k - top[:, None]) @ n / (n.sum() - n)) + top))

    return float(max(BANDWIDTHS, key=likelihood))


SIMPLEX_ECE = MatrixMetric(
    "simplex-ece",
    "Full-simplex ECE",
    "sum over occupied bins of the simplex of n_b/N |mean label - mean probability|, halved",
    "Vaicenavicius et al. 2019",
    simplex_ece,
    ideal=0,
    least=0,
    most=1,
    sees="whole probability vectors (canonical calibration), for few classes",
    blind="with many classes every row has a bin of its own, and the number means nothing",
)
CANONICAL_KDE_ECE = MatrixMetric(
    "canonical-kde-ece",
    "Canonical kernel density ECE",
    "mean over the rows of |estimated label distribution at the row - row|, Dirichlet kernel",
    "Popordanoska et al. 2022",
    canonical_kde,
    ideal=0,
    least=0,
    most=2,
    sees="whole probability vectors, for few classes",
    blind="what the bandwidth smooths away; it needs very many rows beyond a few classes",
)
SKCE = MatrixMetric(
    "skce",
    "Squared kernel calibration error",
    "mean over pairs of exp(-|p_i - p_j|/width) <y_i - p_i, y_j - p_j>",
    "Widmann et al. 2019, table 1",
    skce,
    replicates=skce_replicates,
    ideal=0,
    least=-2,
    most=2,
    limits=skce_limits,
    sees="whole probability vectors; its unbiased forms are 0 on average when calibrated",
    blind="its power is spread thin over many classes; the unit means little by itself",
)
