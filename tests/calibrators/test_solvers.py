"""Short cuts of the searches for an optimum change where they begin, or how they sum: never what
they find."""

from collections import Counter

import numpy as np
import pytest
from scipy.optimize import isotonic_regression
from scipy.special import xlog1py, xlogy

import calibtool as ct
from calibtool.calibrators import (
    bbq,
    enir,
    ensemble_temperature,
    inputs,
    order_preserving,
    spline,
    venn_abers,
)
from calibtool.calibrators.crossfit import cross_fit
from calibtool.calibrators.fitting import affine, descent, gradients, logistic, pieces
from calibtool.calibrators.fitting.bounded import bend_basis
from calibtool.calibrators.fitting.nearby import Nearby, on_nearly_the_same_rows
from calibtool.calibrators.multiclass_curves import with_top
from calibtool.metrics.cells import Cells


def logits(classes, rows=400, seed=0):
    rng = np.random.default_rng(seed)
    true = 2 * rng.standard_normal((rows, classes))
    labels = (true + rng.gumbel(size=true.shape)).argmax(axis=1)
    return ct.Predictions.from_logits(1.7 * true + 0.3 * rng.standard_normal(true.shape), labels)


def parameters(calibrator):
    found = calibrator.map
    return np.concatenate([np.ravel(found.weight), np.ravel(found.bias)])


@pytest.mark.parametrize("method", ["bias-corrected", "vector", "matrix", "dirichlet"])
def test_where_a_fit_begins_does_not_matter(method, monkeypatch):
    # 20 classes: more than `DENSE`, so that conjugate gradients are used
    rows = logits(20)
    fitted = parameters(ct.fit(method, rows))
    monkeypatch.setattr(affine, "_at_temperature", lambda predictions, start, z: start)
    np.testing.assert_allclose(parameters(ct.fit(method, rows)), fitted, rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", ["dirichlet", "matrix", "structured-matrix"])
@pytest.mark.parametrize("stale", [0, 10**9])  # a preconditioner a step; one for all
def test_the_preconditioner_does_not_matter(method, stale, monkeypatch):
    rows = logits(20)
    fitted = parameters(ct.fit(method, rows))
    monkeypatch.setattr(gradients, "STALE", stale)
    np.testing.assert_allclose(parameters(ct.fit(method, rows)), fitted, rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", ["dirichlet", "matrix", "structured-matrix"])
def test_folds_begin_where_the_last_ended_and_find_the_same(method, monkeypatch):
    rows, calls, found = logits(20, rows=2000), [], []

    def counted(name):
        function = getattr(descent.Problem, name)

        def call(self, *args, **keys):
            calls.append(name)
            return function(self, *args, **keys)

        monkeypatch.setattr(descent.Problem, name, call)

    for name in ("_look", "_curve_along", "_preconditioner"):  # the passes over rows
        counted(name)

    def fit(part):
        found.append(ct.fit(method, part, advise=False))
        return found[-1]

    def fit_alone(part):
        with on_nearly_the_same_rows(Nearby()):  # on which no search has been
            return fit(part)

    cross_fit(fit_alone, rows, method)
    alone = Counter(calls)
    calls.clear()
    cross_fit(fit, rows, method)
    together = Counter(calls)
    for one, other in zip(found[:5], found[5:], strict=True):
        np.testing.assert_allclose(parameters(one), parameters(other), rtol=0, atol=1e-9)
    assert together["_preconditioner"] < alone["_preconditioner"]

    def cost(passes):  # making a preconditioner takes as long as some 20 products
        return passes.total() + 19 * passes["_preconditioner"]

    assert cost(together) < cost(alone)


def test_without_a_penalty_each_fold_begins_by_itself():
    # along a direction without effect, a search stays where it began
    rows, fitted = logits(20), []

    def fit(part):
        fitted.append((part, parameters(ct.fit("vector", part))))
        return ct.fit("vector", part)

    cross_fit(fit, rows, "vector")
    for part, found in fitted:
        np.testing.assert_array_equal(parameters(ct.fit("vector", part)), found)


def test_a_slope_without_effect_stays_where_it_was():
    one_column = ct.Predictions.from_logits(
        [-3.0, -1.0, 1.0, 3.0] * 5, [0, 0, 1, 1] * 4 + [1, 1, 0, 0]
    )
    assert ct.fit("vector", one_column).map.weight[0] == 1


@pytest.mark.parametrize("start", [None, [1.0, 0.0], [0.2, -3.0], [-50.0, 50.0]])
def test_where_a_logistic_regression_begins_does_not_matter(start):
    rng = np.random.default_rng(1)
    x = np.stack([rng.standard_normal(300), np.ones(300)])
    y = (rng.random(300) < 1 / (1 + np.exp(1 - 2 * x[0]))).astype(float)
    v, nll = logistic.logistic(x, np.ones(300), y, "", None if start is None else np.array(start))
    p = 1 / (1 + np.exp(-(v @ x)))
    assert np.abs(x @ (p - y)).max() < 1e-9
    assert nll == pytest.approx(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)), abs=1e-13)


@pytest.mark.parametrize("method", ["platt", "quadratic", "beta", "spline"])
def test_of_many_cells_few_steps_reach_the_optimum_of_all(method, monkeypatch):
    rng, most = np.random.default_rng(1), logistic.MANY
    score = rng.normal(-4, 3, 3 * most)
    p = ct.Predictions.from_logits(score, rng.random(len(score)) < 1 / (1 + np.exp(-1 - score / 2)))
    sizes, nll_at = [], logistic.nll_at

    def counted(s, n, y):
        sizes.append(len(s))
        return nll_at(s, n, y)

    for module in (logistic, spline):
        monkeypatch.setattr(module, "nll_at", counted)
    grouped = ct.fit(method, p)(p).values
    assert len([size for size in sizes if size > most]) <= 4
    for module in (logistic, spline):
        monkeypatch.setattr(module, "MANY", 1 << 40)
    np.testing.assert_allclose(grouped, ct.fit(method, p)(p).values, rtol=0, atol=1e-8)


def test_groups_of_cells_lose_no_row_and_are_near_each_other():
    rng = np.random.default_rng(2)
    at = np.sort(np.append(rng.standard_normal(5000), [-700.0, 600.0]))
    n, y = rng.integers(0, 3, (2, len(at))).astype(float)
    x, rows, ones = logistic.grouped(np.stack([at, np.ones(len(at))]), n, np.minimum(y, n))
    assert rows.sum() == n.sum()
    assert ones.sum() == np.minimum(y, n).sum()
    assert x[0] @ rows == pytest.approx(at @ n)
    assert (rows <= 2 + 2 * n.sum() / logistic.GROUPS).all()
    assert len(rows) > logistic.GROUPS / 2
    alike, _, _ = logistic.grouped(np.ones((1, 3000)), np.ones(3000), np.ones(3000))
    assert (alike == 1).all()


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_order_preserving_sums_as_its_formula_says(classes):
    rows, rng = logits(classes, rows=50), np.random.default_rng(2)
    log_p = np.log(rows.values.astype(float)) if rows.kind == "probs" else rows.values.astype(float)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    at, v, w = np.array([-4.0, -2.0, -1.0, 0.0]), np.array([0.7, 1.0, 0.5, 1.2]), rng.random(50)
    basis = bend_basis(log_p.ravel(), at).T.reshape(50, -1, 4)
    s = basis @ v
    p = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
    mean, label = np.einsum("nk,nkm->nm", p, basis), (np.arange(50), rows.labels)
    curve = np.einsum("n,nk,nki,nkj->ij", w, p, basis, basis) - (mean.T * w) @ mean
    expected = (-w @ np.log(p[label]), w @ (mean - basis[label]), curve)
    found = order_preserving._Block.of(log_p, rows.labels, w, at).sums(v)
    for ours, formula in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, formula, rtol=0, atol=1e-11)


def test_order_preserving_that_holds_no_basis_finds_the_same(monkeypatch):
    rows = logits(10)
    held = ct.fit("order-preserving", rows).map.parameters()
    monkeypatch.setattr(order_preserving, "HELD", 0)
    assert ct.fit("order-preserving", rows).map.parameters() == held


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.98, 1.0])
def test_venn_abers_goes_through_runs_of_cells_as_through_single_cells(share):
    rng = np.random.default_rng(3)
    for size in (1, 2, 3, 30, 300):
        n = rng.integers(1, 3, size).astype(float)
        y = rng.binomial(n.astype(int), share).astype(float)
        fast = venn_abers._with_a_one(n, y)
        # by definition: the row is added to each cell in turn, and all are fitted anew
        for j in range(0, size, 7):
            more, right = n.copy(), y.copy()
            more[j] += 1
            right[j] += 1
            assert fast[j] == pytest.approx(
                isotonic_regression(right / more, weights=more).x[j], abs=1e-12
            )


def test_venn_abers_looks_at_few_points_of_a_run(monkeypatch):
    rng = np.random.default_rng(0)
    y = (rng.random(4000) < 0.01).astype(float)  # a class among a hundred
    points, tangents = [], venn_abers._tangents

    def counted(w, *args):
        points.append(len(w))
        return tangents(w, *args)

    monkeypatch.setattr(venn_abers, "_tangents", counted)
    few = venn_abers._with_a_one(np.ones(4000), y)
    assert sum(points) < 1200
    monkeypatch.setattr(venn_abers, "EVERY", 1)  # every point
    np.testing.assert_array_equal(venn_abers._with_a_one(np.ones(4000), y), few)


def test_weights_of_near_isotonic_curves_are_those_of_each_alone():
    n, y = np.array([2.0, 1.0, 3.0, 1.0]), np.array([0.0, 1.0, 2.0, 1.0])
    curves = [
        (np.array([0.0, 0.6, 1.0]), np.array([0, 1, 3])),
        (np.array([0.5]), np.array([0])),
        (np.array([0.1, 0.8]), np.array([0, 2])),
    ]
    expected = []
    for value, starts in curves:
        mass, ones = np.add.reduceat(n, starts), np.add.reduceat(y, starts)
        log_one, log_zero = xlogy(ones, value), xlog1py(mass - ones, -value)
        expected.append(1.5 * len(value) - 2 * float((log_one + log_zero).sum()))
    np.testing.assert_allclose(enir._bics(curves, n, y, 1.5), expected, rtol=1e-14)


@pytest.mark.parametrize("cells", [5, logistic.MANY + 1])
def test_sums_of_products_of_features_are_those_of_their_definition(cells):
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((4, cells)), rng.random(cells)
    expected = np.einsum("ic,jc,c->ij", x, x, w)
    np.testing.assert_allclose(logistic.gram(x, w), expected, rtol=0, atol=1e-11)


def test_shares_of_an_ensemble_converge_where_one_is_nearly_none():
    # EM steps would take thousands: the third part is worth next to nothing
    rng = np.random.default_rng(4)
    first = rng.beta(5, 1, 4000)
    q = np.stack(
        [first, np.clip(first + 0.01 * rng.standard_normal(4000), 1e-6, 1), np.full(4000, 0.01)],
        axis=1,
    )
    q[:3, :2] = 9.3e-3
    weights = np.full(4000, 1 / 4000)
    shares, gap, nll = ensemble_temperature.best_shares(q, weights, "made")
    assert shares.sum() == pytest.approx(1, abs=1e-15)
    assert shares.min() >= 0
    assert gap <= 1e-10
    assert nll == pytest.approx(-weights @ np.log(q @ shares), abs=1e-14)
    for other in np.random.default_rng(5).dirichlet(np.ones(3), 200):
        assert -weights @ np.log(q @ (0.99 * shares + 0.01 * other)) >= nll - 1e-12


def test_bins_of_bbq_are_those_of_each_class_alone():
    # the bins of cells of equal weights are kept from class to class
    rows = logits(6)
    together = ct.fit("bbq", rows).map.curves
    for k in (0, 3, 5):
        bbq._binnings.cache_clear()
        alone = bbq.curve(Cells.from_rows(inputs.probs(rows)[:, k], rows.labels == k))
        np.testing.assert_array_equal(alone.edges, together[k].edges)
        np.testing.assert_array_equal(alone.values, together[k].values)


def test_a_rest_of_the_smallest_floats_is_shared_equally():
    """Found by tools/fuzz.py, seed 280001."""
    p = ct.Predictions.from_probs([[1.0, 5e-324, 0.0]], [0])
    assert with_top(p, np.array([0]), np.array([0.6])).tolist() == [[0.6, 0.2, 0.2]]


def test_scores_of_any_sign_are_counted_in_cells_as_weights_of_1_count_them():
    rng = np.random.default_rng(3)
    score = np.round(rng.standard_normal(500), 1)
    for outcome in (rng.random(500) < 0.3, np.zeros(500, bool)):
        ours, by_weight = Cells.from_rows(score, outcome), Cells.from_rows(score, outcome, score**0)
        for name in ("at", "n", "p", "y", "row"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(by_weight, name))


def test_log_odds_of_rows_whose_other_classes_vanish():
    p = ct.Predictions.from_logits([[900.0, 1.0, 0.0], [3.0, 2.0, 1.0]], [0, 1])
    far, near = inputs.log_odds(p, 0.0)
    rest = 1 + np.log1p(np.exp(-1))  # of the two others, in logs
    np.testing.assert_allclose(far, [900 - rest, -899, -900], rtol=1e-14)
    probs = np.exp([3.0, 2.0, 1.0]) / np.exp([3.0, 2.0, 1.0]).sum()
    np.testing.assert_allclose(near, np.log(probs / (1 - probs)), rtol=1e-14)


def test_rounding_errors_of_float32_are_not_searched(monkeypatch):
    """Confident logits leave slopes of float32 that promise more than steps along them gain."""
    monkeypatch.setattr(pieces, "SINGLE", 1)
    products = []
    product = descent.Problem._curve_along
    monkeypatch.setattr(
        descent.Problem, "_curve_along", lambda *given: products.append(1) or product(*given)
    )
    rng = np.random.default_rng(1)
    labels = rng.integers(40, size=4000)
    values = rng.standard_normal((4000, 40), np.float32)
    values[np.arange(4000), labels] += np.float32(4.2) + rng.standard_normal(4000, np.float32)
    ct.fit("vector", ct.Predictions.from_logits(np.float32(5.1) * values, labels))
    assert len(products) < 100  # 18; they were 417
