"""Kernel and density errors, against their definitions written out over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import beta, dirichlet

import calibtool as ct
from calibtool.errors import NotAvailableError, UsageError
from calibtool.metrics import density, simplex, smooth
from calibtool.metrics.cells import Cells
from calibtool.metrics.density import kde_bandwidth, kde_ece, kde_target
from calibtool.metrics.kernel import mmce
from calibtool.metrics.simplex import (
    canonical_kde,
    simplex_ece,
    skce,
    skce_linear_terms,
    skce_replicates,
)
from calibtool.metrics.smooth import smece

OF_CELLS = {
    "smece": smece,
    "smece(kernel=logit)": lambda cells: smece(cells, kernel="logit"),
    "mmce": mmce,
    "kde-ece": lambda cells: kde_ece(cells, bandwidth=0.02),
}
OF_MATRIX = {
    "skce(linear)": lambda *rows: skce(*rows, width=0.3),
    "skce(unbiased)": lambda *rows: skce(*rows, estimator="unbiased", width=0.3),
    "skce(biased)": lambda *rows: skce(*rows, estimator="biased", width=0.3),
    "simplex-ece": lambda *rows: simplex_ece(*rows, bins=4),
    "canonical-kde-ece": lambda *rows: canonical_kde(*rows, bandwidth=0.05),
}


def generator(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def rows(n, temperature=2.0, seed=0):
    """Scores of a model that is overconfident by `temperature`, and outcomes."""
    rng = generator(seed)
    z = 2 * rng.standard_normal(n)
    return 1 / (1 + np.exp(-z)), (rng.random(n) < 1 / (1 + np.exp(-z / temperature))).astype(float)


def matrix(n, classes, seed=0):
    rng = generator(seed)
    p = np.exp(2 * rng.standard_normal((n, classes)))
    p /= p.sum(1, keepdims=True)
    return p, (p.cumsum(1) < rng.random((n, 1))).sum(1).clip(0, classes - 1)


def one_by_one(metric, cells):
    parts = zip(cells.n, cells.p, cells.y, strict=True)
    return np.array([float(metric(Cells(cells.at, n, p, y))) for n, p, y in parts])


def replicates(cells, count, seed=0):
    """Poisson resamples of cells; some of them empty."""
    w = generator(seed).poisson(1.0, size=(count, len(cells.n))) * 1.0
    w[:, 0] += 1
    return Cells(cells.at, w * cells.n, w * cells.p, w * cells.y)


# ------------------------------------------------------------------ smooth ECE


def reflected_error(cells, bandwidth):
    """The integral, by the midpoint rule, of the kernel and its mirror images written out."""
    x, r = cells.centres(), (cells.y - cells.p) / cells.n.sum()
    points = int(max(2_000, 60 / bandwidth))
    t = (np.arange(points) + 0.5) / points
    far = int(np.ceil(5 * bandwidth)) + 1
    total = np.zeros(points)
    for image in range(-far, far + 1):
        for sign in (1, -1):
            for centre, mass in zip(2 * image + sign * x, r, strict=True):
                low, high = np.searchsorted(t, [centre - 9 * bandwidth, centre + 9 * bandwidth])
                near = (t[low:high] - centre) / bandwidth
                total[low:high] += mass * np.exp(-0.5 * near * near)
    return np.abs(total).mean() / (bandwidth * np.sqrt(2 * np.pi))


def logit_error(cells, bandwidth):
    """The integral over the logit line, of scores kept in [0.001, 0.999]."""
    x, r = np.clip(cells.centres(), 1e-3, 1 - 1e-3), (cells.y - cells.p) / cells.n.sum()
    z, s = np.log(x / (1 - x)), 4 * bandwidth
    t, step = np.linspace(z.min() - 9 * s, z.max() + 9 * s, 6_001, retstep=True)
    total = np.zeros(len(t))
    for centre, mass in zip(z, r, strict=True):
        total += mass * np.exp(-0.5 * ((t - centre) / s) ** 2)
    return np.abs(total).sum() * step / (s * np.sqrt(2 * np.pi))


def saturated():
    """Most confidences next to 1, some of them 1, as a network's are."""
    rng = generator(1)
    x = np.minimum(1 - 10.0 ** -rng.uniform(0.3, 9, 400), np.float32(1 - 1e-7))
    x[:40] = 1.0
    return Cells.from_rows(x, rng.random(400) < 0.9 * x)


def calibrated():
    """So many rows of a calibrated model that the answer is small."""
    rng = generator(2)
    at, n = np.sort(rng.random(300)), np.full(300, 400.0)
    return Cells(at, n, n * at, rng.binomial(400, at) * 1.0)


def masses(*scores_and_rates):
    at, rate = np.array(scores_and_rates).T
    return Cells(at, np.full(len(at), 2.0), 2 * at, 2 * rate)


DATA = {
    "n = 1": masses((0.8, 1.0)),
    "n = 10": Cells.from_rows(*rows(10)),
    "overconfident": Cells.from_rows(*rows(400)),
    "ties": Cells.from_rows(np.round(rows(400)[0], 1), rows(400)[1]),
    "saturated": saturated(),
    "calibrated": calibrated(),
    "two masses apart": masses((0.0, 0.3), (1.0, 0.6)),
    "two masses that cancel": masses((0.50, 0.6), (0.51, 0.41)),
    "three masses at the ends": masses((0.0, 0.1), (0.5, 0.5), (1.0, 0.9)),
}


@pytest.mark.parametrize("name", DATA)
def test_smece_is_its_own_bandwidth(name):
    # the error falls as the bandwidth grows: the root is as close as the two are
    value = float(smece(DATA[name]))
    assert reflected_error(DATA[name], value) == pytest.approx(value, abs=2e-6)


@pytest.mark.parametrize("name", DATA)
def test_smece_of_the_logit_kernel_is_its_own_bandwidth(name):
    value = float(smece(DATA[name], kernel="logit"))
    assert logit_error(DATA[name], value) == pytest.approx(value, abs=2e-6)


def test_smece_is_the_root_that_brent_finds():
    cells = DATA["n = 10"]
    root = brentq(lambda s: reflected_error(cells, s) - s, 0.01, 1, xtol=1e-9)
    assert float(smece(cells)) == pytest.approx(root, abs=2e-6)


@pytest.mark.parametrize("kernel", ["reflected", "logit"])
@pytest.mark.parametrize("name", DATA)
def test_smece_at_as_many_nodes_as_it_needs_is_that_at_all(name, kernel, monkeypatch):
    value = float(smece(DATA[name], kernel=kernel))
    monkeypatch.setattr(smooth, "SAMPLED", 2**20)
    monkeypatch.setattr(smooth, "NODES", 64)
    assert float(smece(DATA[name], kernel=kernel)) == pytest.approx(value, abs=1.5e-7)


def test_replicates_of_smece_are_close_to_it_one_at_a_time():
    many = replicates(DATA["calibrated"], 20)
    for kernel in ("reflected", "logit"):
        each = one_by_one(lambda cells, kernel=kernel: smece(cells, kernel=kernel), many)
        np.testing.assert_allclose(smece(many, kernel=kernel), each, atol=2e-5)


@pytest.mark.parametrize("kernel", ["reflected", "logit"])
def test_smece_of_a_net_gap_is_that_gap_on_any_grid(kernel):
    # all residuals are of one sign: no smoothing changes their integral
    at, gap = np.linspace(0.05, 0.95, 30), 10.0 ** -np.arange(1, 5)
    n = np.ones((4, 30))
    many = Cells(at, n, n * at, n * at + gap[:, None] * np.linspace(0.01, 0.04, 30))
    expected = 0.025 * gap
    np.testing.assert_allclose(smece(many, kernel=kernel), expected, atol=2e-5)
    each = one_by_one(lambda cells: smece(cells, kernel=kernel), many)
    np.testing.assert_allclose(each, expected, atol=1e-6)


@pytest.mark.parametrize("kernel", ["reflected", "logit"])
def test_a_replicate_of_smece_does_not_depend_on_the_others(kernel, monkeypatch):
    many = replicates(DATA["overconfident"], 30)
    whole = smece(many, kernel=kernel)
    monkeypatch.setattr(smooth, "BATCH", 7 * smooth.COARSE_GRID)
    np.testing.assert_array_equal(smece(many, kernel=kernel), whole)
    for low in (0, 11):  # the outer cells keep their centres
        part = Cells(many.at, *(x[low : low + 11] for x in (many.n, many.p, many.y)))
        np.testing.assert_allclose(smece(part, kernel=kernel), whole[low : low + 11], rtol=1e-12)


def test_smece_of_no_residual_is_zero():
    assert float(smece(masses((0.2, 0.2), (0.7, 0.7)))) == 0
    assert float(smece(masses((0.5, 0.5 + 1e-5)))) == pytest.approx(1e-5, abs=1e-6)


def test_smece_sees_through_a_fine_alternation():
    # gaps of +-0.2 at scores 1e-4 apart: smoothed away at any bandwidth above that
    at = 0.5 + 1e-4 * np.arange(40)
    cells = masses(*zip(at, at + 0.2 * (-1.0) ** np.arange(40), strict=True))
    value = float(smece(cells))
    assert value < 0.2 / 50  # what is left: the ends, where nothing cancels
    assert reflected_error(cells, value) == pytest.approx(value, abs=2e-6)


# ------------------------------------------------------------------ kernel density


def beta_error(x, y, bandwidth, order, weights=None):
    """Leave-one-out over all pairs of rows."""
    w = np.ones(len(x)) if weights is None else weights
    at = np.clip(x, 1e-12, 1 - 1e-12)
    log_kernel = beta.logpdf(at[:, None], x / bandwidth + 1, (1 - x) / bandwidth + 1)
    np.fill_diagonal(log_kernel, -np.inf)
    kernel = np.exp(log_kernel - log_kernel.max(1, keepdims=True))
    return np.average(np.abs(kernel @ (w * y) / (kernel @ w) - x) ** order, weights=w)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("bandwidth", [1e-5, 0.01, 0.5])
@pytest.mark.parametrize("decimals", [1, 2, 15])
def test_kde_ece_is_leave_one_out_over_rows(order, bandwidth, decimals):
    x, y = rows(200)
    x = np.round(x, decimals)
    x[:3], y[:2] = (0.0, 1.0, 1.0), 1
    value = kde_ece(Cells.from_rows(x, y), order=order, bandwidth=bandwidth)
    assert float(value) == pytest.approx(beta_error(x, y, bandwidth, order), abs=1e-8)


@pytest.mark.parametrize("decimals", [1, 2, 15])
@pytest.mark.parametrize("draw", ["lognormal", "uniform", "decimals"])
def test_weighted_kde_ece_leaves_out_the_own_weight_of_each_row(decimals, draw):
    x, y = rows(200)
    x = np.round(x, decimals)
    rng = generator(5)
    if draw == "lognormal":
        w = rng.lognormal(size=200)
    else:
        w = np.round(rng.uniform(0.1, 3, 200), 2 if draw == "decimals" else 15)
    data = ct.Predictions.from_probs(x, y.astype(int), weights=w)
    for order in (1, 2):
        expected = beta_error(x, y, 0.05, order, w)
        spec = f"kde-ece(bandwidth=0.05,order={order})"
        assert ct.evaluate(data, [spec], ci="none").estimates[0].value == pytest.approx(
            expected, abs=1e-9
        )
        # from cells, ties leave out their mean weight
        value = float(kde_ece(Cells.from_rows(x, y, w), order=order, bandwidth=0.05))
        assert value == pytest.approx(expected, abs=1e-9 if decimals > 2 else 3e-3)
        summed = ct.evaluate(ct.cells(data), [spec], ci="none").estimates[0].value
        assert summed == pytest.approx(expected, abs=3e-3)


def test_equal_rows_are_not_taken_for_one_of_their_weight():
    x, y = np.repeat([0.2, 0.7], [4, 6]), np.repeat([0.0, 1.0, 0.0, 1.0], [2, 2, 4, 2])
    value = float(kde_ece(Cells.from_rows(x, y), bandwidth=0.01))
    assert value == pytest.approx(beta_error(x, y, 0.01, 1), abs=1e-8)


def test_the_bandwidth_is_the_most_likely_on_the_grid():
    x, y = rows(150)

    def likelihood(b):
        kernel = beta.pdf(x[:, None], x / b + 1, (1 - x) / b + 1)
        np.fill_diagonal(kernel, 0)
        with np.errstate(divide="ignore"):
            return np.log(kernel.mean(1)).sum()

    cells = Cells.from_rows(x, y)
    assert kde_bandwidth(cells) == max(density.BANDWIDTHS, key=likelihood)
    assert float(kde_ece(cells)) == float(kde_ece(cells, bandwidth=kde_bandwidth(cells)))


def test_many_cells_are_pooled_with_little_error(monkeypatch):
    cells = Cells.from_rows(*rows(900))
    exact = float(kde_ece(cells, bandwidth=0.01))
    monkeypatch.setattr(density, "EXACT", 800)
    monkeypatch.setattr(density, "POOLED", 400)
    pooled = float(kde_ece(cells, bandwidth=0.01))
    assert pooled != exact
    assert pooled == pytest.approx(exact, abs=1e-4)


def test_a_lone_row_is_compared_with_its_outcome():
    assert float(kde_ece(masses((0.8, 1.0)))) == pytest.approx(0.2)
    cells = Cells(np.array([0.8]), np.ones(1), np.array([0.8]), np.ones(1))
    assert float(kde_ece(cells)) == pytest.approx(0.2)


def test_the_target_of_kde_ece_is_what_it_tends_to():
    at, n = (np.arange(100) + 0.5) / 100, np.full(100, 1e5)
    rate = at**1.5
    target = kde_target(Cells(at, n, n * at, n * rate))
    assert float(target) == pytest.approx(np.mean(at - rate), abs=1e-12)
    drawn = Cells(at, n, n * at, generator().binomial(10**5, rate) * 1.0)
    assert float(kde_ece(drawn, bandwidth=1e-4)) == pytest.approx(float(target), abs=2e-3)


def test_a_row_weighs_what_divides_all_weights():
    def of(n, y):
        return density.row_weight(np.array(n), np.array(y))

    assert of([6.0, 0, 15, 10], [6.0, 0, 0, 10]) == 1
    assert of([1e6, 2e6], [1.0, 2e6]) == 1
    assert of([6.0, 6], [4.0, 0]) == 2
    assert of([1.8, 4.5], [0, 4.5]) == pytest.approx(0.9)
    uneven = generator().random(50) + 0.1
    assert of(uneven, uneven * (uneven > 0.5)) == uneven.min()
    assert of(100 * uneven, 50 * uneven**2) < 0.1


# ------------------------------------------------------------------ MMCE


@pytest.mark.parametrize("width", [0.4, 0.01, 0.001, 1e-6])
def test_mmce_is_the_sum_over_pairs(width):
    x, y = rows(800)
    x[:100] = np.round(x[:100], 1)
    r = (y - x) / len(x)
    squared = r @ np.exp(-np.abs(x[:, None] - x) / width) @ r
    value = float(mmce(Cells.from_rows(x, y), width=width))
    assert value**2 == pytest.approx(squared, rel=1e-10)


def test_mmce_of_a_constant_score_is_the_gap():
    assert float(mmce(masses((0.8, 0.3)))) == pytest.approx(0.5)


# ------------------------------------------------------------------ all of cells


@pytest.mark.parametrize("name", OF_CELLS)
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.sampled_from([1, 2, 6]))
def test_errors_of_cells_obey_the_laws(name, seed, n, decimals):
    rng, metric = generator(seed), OF_CELLS[name]
    x, y = np.round(rng.random(n), decimals), (rng.random(n) < 0.5) * 1.0
    k = rng.integers(1, 4, n)
    k //= np.gcd.reduce(k)  # weights of 2 and 2 say that rows weigh the same, not that there are 4
    value = float(metric(Cells.from_rows(x, y, k * 1.0)))
    copies = Cells.from_rows(np.repeat(x, k), np.repeat(y, k))
    assert 0 <= value <= 1
    assert float(metric(copies)) == pytest.approx(value, abs=1e-9)
    shuffled = rng.permutation(n)
    again = metric(Cells.from_rows(x[shuffled], y[shuffled], k[shuffled] * 1.0))
    assert float(again) == pytest.approx(value, abs=1e-9)
    heavier = Cells.from_rows(x, y, 0.37 * k)
    assert float(metric(heavier)) == pytest.approx(value, abs=1e-7)
    half = n // 2
    parts = [Cells.from_rows(x[at], y[at], k[at] * 1.0) for at in (slice(half), slice(half, n))]
    assert float(metric(parts[0] + parts[1])) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("name", OF_CELLS)
def test_leading_axes_are_many_at_once(name):
    metric = OF_CELLS[name]
    many = replicates(Cells.from_rows(*rows(60)), 12)
    found = metric(many)
    np.testing.assert_allclose(found, one_by_one(metric, many), atol=2e-5)
    deep = Cells(many.at, *(part.reshape(3, 4, -1) for part in (many.n, many.p, many.y)))
    np.testing.assert_allclose(metric(deep), found.reshape(3, 4), atol=1e-12)


@pytest.mark.parametrize("name", OF_CELLS)
def test_a_calibrated_model_tends_to_zero(name):
    at = (np.arange(200) + 0.5) / 200
    n = np.full(200, 1e6)
    cells = Cells(at, n, n * at, generator().binomial(10**6, at) * 1.0)
    # the density ratio is biased by its bandwidth, toward the ends
    assert float(OF_CELLS[name](cells)) < (0.02 if name == "kde-ece" else 1e-3)


# ------------------------------------------------------------------ whole rows


def pairs(p, labels, width):
    r = np.eye(p.shape[1])[labels] - p
    return (r @ r.T) * np.exp(-np.abs(p[:, None] - p).sum(2) / 2 / width)


@pytest.mark.parametrize("block", [7, 2**20])
def test_skce_is_the_sum_over_pairs(block, monkeypatch):
    monkeypatch.setattr(simplex, "BLOCK", 101 * block)
    p, labels = matrix(101, 4)
    h, off = pairs(p, labels, 0.3), ~np.eye(101, dtype=bool)
    w = generator().random(101) + 0.1
    form, own = w @ h @ w, w**2 @ h.diagonal()
    assert skce(p, labels, estimator="biased", width=0.3) == pytest.approx(h.mean())
    assert skce(p, labels, estimator="unbiased", width=0.3) == pytest.approx(h[off].mean())
    assert skce(p, labels, w, estimator="biased", width=0.3) == pytest.approx(form / w.sum() ** 2)
    assert skce(p, labels, w, estimator="unbiased", width=0.3) == pytest.approx(
        (form - own) / (w.sum() ** 2 - w @ w)
    )
    terms = np.array([h[i, i + 1] for i in range(0, 100, 2)])
    np.testing.assert_allclose(skce_linear_terms(p, labels, width=0.3), terms, atol=1e-15)
    assert skce(p, labels, width=0.3) == pytest.approx(terms.mean())


def test_replicates_of_skce_are_it_under_weights():
    p, labels = matrix(80, 3)
    drawn = generator().poisson(1.0, (80, 9))
    for estimator in ("unbiased", "biased"):
        each = [skce(p, labels, w * 1.0, estimator=estimator, width=0.3) for w in drawn.T]
        found = skce_replicates(p, labels, drawn.astype(np.float32), estimator=estimator, width=0.3)
        np.testing.assert_allclose(found, each, atol=1e-7)
    terms, first = skce_linear_terms(p, labels), drawn[::2]
    np.testing.assert_allclose(
        skce_replicates(p, labels, drawn), terms @ first / first.sum(0), atol=1e-15
    )


def test_the_width_is_the_median_distance():
    p, _ = matrix(50, 3)
    distance = np.abs(p[:, None] - p).sum(2) / 2
    assert simplex.skce_width(p) == pytest.approx(np.median(distance[np.triu_indices(50, 1)]))
    assert simplex.skce_width(np.repeat(p[:1], 5, axis=0)) == 1
    assert simplex.skce_width(np.concatenate([np.repeat(p[:1], 9, axis=0), p[1:2]])) == (
        pytest.approx(distance[0, 1])
    )
    many, _ = matrix(4_000, 3)
    assert simplex.skce_width(many[::-1]) == pytest.approx(simplex.skce_width(many), abs=1e-12)


def test_simplex_ece_is_the_total_variation_distance_in_each_bin():
    p = np.array([[0.6, 0.3, 0.1], [0.7, 0.3, 0.0], [0.1, 0.1, 0.8]])
    labels = np.array([0, 1, 2])
    # (1/2, 1] x (0, 1/2] x (0, 1/2] holds the first two rows: mean row (.65, .3, .05)
    expected = (2 / 3) * (0.15 + 0.2 + 0.05) / 2 + (1 / 3) * 0.2
    assert simplex_ece(p, labels, bins=2) == pytest.approx(expected)
    # CalibrationErrors.jl 24e6edd, test/ece.jl
    q = np.array([[0, 1], [0.5, 0.5], [0.5, 0.5], [1, 0]])
    assert simplex_ece(q, np.array([1, 1, 0, 0]), bins=10) == 0


def test_simplex_ece_of_two_classes_is_the_binary_ece():
    x, y = rows(500)
    cells = Cells.from_rows(x, y).pool(np.arange(1, 8) / 7)
    ece = np.abs(cells.y - cells.p).sum() / 500
    both = np.stack([1 - x, x], axis=1)
    assert simplex_ece(both, y.astype(np.int64), bins=7) == pytest.approx(ece)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("bandwidth", [0.001, 0.1])
def test_canonical_kde_is_leave_one_out_over_rows(order, bandwidth, monkeypatch):
    monkeypatch.setattr(simplex, "BLOCK", 60 * 7)
    p, labels = matrix(60, 3)
    log_kernel = np.array([[dirichlet.logpdf(a, b / bandwidth + 1) for b in p] for a in p])
    np.fill_diagonal(log_kernel, -np.inf)
    kernel = np.exp(log_kernel - log_kernel.max(1, keepdims=True))
    rate = kernel @ np.eye(3)[labels] / kernel.sum(1, keepdims=True)
    expected = (np.abs(rate - p) ** order).sum(1).mean()
    value = canonical_kde(p, labels, bandwidth=bandwidth, order=order)
    assert value == pytest.approx(expected)


@pytest.mark.parametrize("spread", [0.1, 1.0])
def test_weighted_canonical_kde_leaves_out_the_own_weight_of_each_row(spread):
    p, labels = matrix(60, 3)
    w = generator(3).lognormal(sigma=spread, size=60)
    log_kernel = np.array([[dirichlet.logpdf(a, b / 0.1 + 1) for b in p] for a in p])
    np.fill_diagonal(log_kernel, -np.inf)
    kernel = np.exp(log_kernel - log_kernel.max(1, keepdims=True)) * w
    rate = kernel @ np.eye(3)[labels] / kernel.sum(1, keepdims=True)
    expected = np.average(np.abs(rate - p).sum(1), weights=w)
    assert canonical_kde(p, labels, w, bandwidth=0.1) == pytest.approx(expected)


def test_canonical_kde_of_two_classes_is_twice_the_binary():
    x, y = rows(100)
    both = np.stack([1 - x, x], axis=1)
    canonical = canonical_kde(both, y.astype(np.int64), bandwidth=0.02)
    assert canonical == pytest.approx(2 * float(kde_ece(Cells.from_rows(x, y), bandwidth=0.02)))


@pytest.mark.parametrize("name", OF_MATRIX)
def test_errors_of_whole_rows_obey_the_laws(name):
    metric = OF_MATRIX[name]
    p, labels = matrix(40, 3)
    p[:4] = np.round(p[:4])
    p[:4, 0] = 1 - p[:4, 1:].sum(1)
    value = metric(p, labels, None)
    assert metric(p, labels, np.full(40, 0.37)) == pytest.approx(value)
    if name != "skce(linear)":  # of consecutive rows
        shuffled = generator().permutation(40)
        assert metric(p[shuffled], labels[shuffled], None) == pytest.approx(value)
    if name not in {"skce(linear)", "skce(unbiased)"}:  # of different rows
        k = generator().integers(1, 4, 40)
        copies = metric(np.repeat(p, k, axis=0), np.repeat(labels, k), None)
        assert metric(p, labels, k * 1.0) == pytest.approx(copies)


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("metric", [simplex_ece, canonical_kde])
def test_many_classes_are_refused(metric):
    with pytest.raises(NotAvailableError, match=r"21 classes are too many: .* Use classwise-ece"):
        metric(*matrix(30, 21))


def test_a_single_row_has_no_pair():
    for estimator in ("linear", "unbiased"):
        with pytest.raises(NotAvailableError, match="at least two rows"):
            skce(np.array([[0.3, 0.7]]), np.array([1]), estimator=estimator)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mmce(DATA["ties"], width=0),
        lambda: kde_ece(DATA["ties"], order=3),
        lambda: kde_ece(DATA["ties"], bandwidth=-1),
        lambda: canonical_kde(*matrix(9, 3), order=0),
        lambda: canonical_kde(*matrix(9, 3), bandwidth=-1),
    ],
)
def test_options_that_mean_nothing_are_refused(call):
    with pytest.raises(UsageError):
        call()
