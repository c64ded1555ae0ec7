"""Clinical metrics against their definitions."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import chi2

import calibtool as ct
from calibtool.metrics import belt, goodness_of_fit, loess, logistic
from calibtool.metrics.cells import Cells
from calibtool.metrics.profiles import equal_mass

METRICS = [
    logistic.cox_slope,
    logistic.cox_intercept,
    logistic.citl,
    logistic.deviance,
    loess.ici,
    loess.e50,
    loess.e90,
    loess.emax,
    goodness_of_fit.hosmer_lemeshow,
    goodness_of_fit.spiegelhalter_z,
]
LOGISTIC = METRICS[:4]


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def draw(n, scale=1.5, seed=0):
    """Scores whose logits are `scale` times too large, and their outcomes."""
    x = 2 * rng(seed).standard_normal(n)
    return expit(scale * x), (rng(seed + 1).random(n) < expit(x)).astype(float)


def cells_of(p, y, w=None):
    return Cells.from_rows(
        np.array(p, float), np.array(y, float), None if w is None else np.array(w, float)
    )


def fitted(p, y, w, columns, offset):
    """Maximum likelihood, by a general optimiser."""

    def loss(beta):
        eta = offset + columns @ beta
        return (w * (np.logaddexp(0, eta) - y * eta)).sum()

    found = minimize(loss, np.zeros(columns.shape[1]), method="BFGS", options={"gtol": 1e-8})
    return found.x, found.fun


@pytest.mark.parametrize("weighted", [False, True])
def test_recalibration_is_the_maximum_likelihood(weighted):
    p, y = draw(800)
    w = rng(5).exponential(size=800) if weighted else np.ones(800)
    cells, x = cells_of(p, y, w if weighted else None), logit(p)
    (a, b), loss = fitted(p, y, w, np.stack([np.ones(800), x], 1), 0.0)
    assert float(logistic.cox_intercept(cells)) == pytest.approx(a, abs=1e-4)
    assert float(logistic.cox_slope(cells)) == pytest.approx(b, abs=1e-4)
    null = (w * (np.logaddexp(0, x) - y * x)).sum()
    assert float(logistic.deviance(cells)) == pytest.approx(2 * (null - loss), rel=1e-6)
    (large,), _ = fitted(p, y, w, np.ones((800, 1)), x)
    assert float(logistic.citl(cells)) == pytest.approx(large, abs=1e-4)


def test_recalibration_undoes_a_shift_and_a_temperature():
    x = np.linspace(-3, 3, 61)
    n = np.full(61, 50.0)
    p = expit(x)
    cells = Cells(p, n, n * p, n * expit(0.3 + 0.6 * x))
    assert float(logistic.cox_slope(cells)) == pytest.approx(0.6, abs=1e-9)
    assert float(logistic.cox_intercept(cells)) == pytest.approx(0.3, abs=1e-9)


@pytest.mark.parametrize(
    ("p", "y", "slope", "intercept", "large"),
    [
        ([0.2, 0.4, 0.6, 0.8], [0, 0, 1, 1], np.inf, np.nan, 0.0),
        ([0.2, 0.4, 0.4, 0.8], [0, 0, 1, 1], np.inf, np.nan, None),
        ([0.2, 0.4, 0.6, 0.8], [1, 1, 0, 0], -np.inf, np.nan, 0.0),
        ([0.2, 0.4], [1, 1], np.nan, np.nan, np.inf),
        ([0.2, 0.4], [0, 0], np.nan, np.nan, -np.inf),
        ([0.5, 0.5], [0, 1], np.nan, np.nan, 0.0),
        ([0.3], [1], np.nan, np.nan, np.inf),
        ([1.0], [1], np.nan, np.nan, np.nan),
    ],
)
def test_what_has_no_finite_optimum_is_said_to(p, y, slope, intercept, large):
    cells = cells_of(p, y)
    np.testing.assert_equal(float(logistic.cox_slope(cells)), slope)
    np.testing.assert_equal(float(logistic.cox_intercept(cells)), intercept)
    if large is not None:
        np.testing.assert_allclose(float(logistic.citl(cells)), large, atol=1e-9)


def test_scores_of_0_and_1_that_keep_their_promise_say_nothing_about_the_others():
    p, y = draw(300)
    more, kept = np.append(p, [0, 0, 1]), np.append(y, [0, 0, 1])
    for metric in LOGISTIC:
        own = float(metric(cells_of(p, y)))
        assert float(metric(cells_of(more, kept))) == pytest.approx(own, abs=1e-8)


def test_one_broken_promise_leaves_no_logistic_model():
    p, y = draw(300)
    cells = cells_of(np.append(p, [0, 1]), np.append(y, [0, 0]))
    assert np.isnan([float(metric(cells)) for metric in LOGISTIC[:3]]).all()
    assert np.isinf(logistic.deviance(cells))
    assert belt.fit_belt(cells).p_value == 0


def nearest(p, y, span, degree):
    """Loess by its definition, row by row."""
    out = []
    for x in p:
        apart = np.abs(p - x)
        reach = np.sort(apart)[int(np.floor(span * len(p) + 1e-5)) - 1]
        weight = np.sqrt(np.clip(1 - (apart / reach) ** 3, 0, None) ** 3)
        columns = np.vander(p - x, degree + 1, increasing=True)
        out.append(np.linalg.lstsq(columns * weight[:, None], y * weight, rcond=None)[0][0])
    return np.array(out)


@pytest.mark.parametrize(("n", "within"), [(300, 1e-9), (301, 1e-9), (302, 1e-9), (1500, 1e-3)])
@pytest.mark.parametrize(("span", "degree"), [(0.75, 2), (0.75, 1), (0.4, 2)])
def test_loess_and_the_distances_from_it(n, within, span, degree):
    p, y = draw(n)
    order = np.argsort(p)
    p, y = p[order], y[order]
    wanted = nearest(p, y, span, degree)
    cells = cells_of(p, y)
    how = {"span": span, "degree": degree}
    np.testing.assert_allclose(loess.loess(cells, **how), wanted, atol=within)
    gap = np.abs(wanted - p)
    assert float(loess.ici(cells, **how)) == pytest.approx(gap.mean(), abs=within / 10)
    assert float(loess.e50(cells, **how)) == pytest.approx(np.median(gap), abs=within)
    assert float(loess.e90(cells, **how)) == pytest.approx(np.quantile(gap, 0.9), abs=1e-3)
    assert float(loess.emax(cells, **how)) == pytest.approx(gap.max(), abs=within)


@pytest.mark.parametrize("kind", ["clusters", "orders", "cauchy", "far"])
def test_joining_points_of_loess_costs_less_than_it_promises(kind):
    generator, n = rng(2), 900
    p = {
        "clusters": generator.choice([0.1, 0.5, 0.9], n) + 1e-3 * generator.random(n),
        "orders": 10 ** -generator.uniform(0, 6, n),
        "cauchy": 1 / (1 + np.exp(-generator.standard_cauchy(n).clip(-30, 30))),
        "far": np.where(generator.random(n) < 0.02, generator.random(n), generator.random(n) / 100),
    }[kind]
    p = np.sort(p)
    y = (generator.random(n) < np.clip(p + 0.1 * np.sin(20 * p), 0, 1)) * 1.0
    wanted = nearest(p, y, 0.75, 2)
    cells = cells_of(p, y)
    found = loess.loess(cells)
    at = np.searchsorted(cells.at, p)
    np.testing.assert_allclose(found[at], wanted, atol=1e-3)
    assert float(loess.emax(cells)) == pytest.approx(np.abs(wanted - p).max(), abs=1e-3)
    assert float(loess.ici(cells)) == pytest.approx(np.abs(wanted - p).mean(), abs=1e-4)


def test_hosmer_lemeshow_by_hand():
    p = np.repeat([0.2, 0.4, 0.6, 0.8], 25)
    y = np.concatenate([np.arange(25) < k for k in (7, 9, 17, 18)])
    expected = sum(
        (k - 25 * q) ** 2 / (25 * q * (1 - q))
        for k, q in zip((7, 9, 17, 18), (0.2, 0.4, 0.6, 0.8), strict=True)
    )
    assert float(goodness_of_fit.hosmer_lemeshow(cells_of(p, y), groups=4)) == pytest.approx(
        expected
    )


def test_scores_of_the_smallest_floats_are_measured():
    """Their variance is beyond what the square of a gap can be divided by."""
    p = ct.Predictions.from_probs([5e-324] * 3, [1, 1, 1])
    found = ct.evaluate(p, "hosmer-lemeshow,cox-slope", ci="none")
    assert found["hosmer-lemeshow"].value == np.inf
    assert found["cox-slope"].value is None


def test_spiegelhalter_by_hand():
    p, y = draw(500)
    top = ((y - p) * (1 - 2 * p)).sum()
    bottom = np.sqrt(((1 - 2 * p) ** 2 * p * (1 - p)).sum())
    assert float(goodness_of_fit.spiegelhalter_z(cells_of(p, y))) == pytest.approx(top / bottom)


@pytest.mark.parametrize("metric", METRICS)
def test_replicates_are_what_each_is_alone(metric):
    p, y = draw(400)
    own = cells_of(p, y)
    pooled = own.pool(equal_mass(own, bins=40))
    n = rng(3).poisson(pooled.n, (5, len(pooled.at))).astype(float)
    n[0] = pooled.n
    n[4, ::3] = 0
    share = pooled.p / pooled.n
    y = rng(4).binomial(n.astype(int), share).astype(float)
    found = metric(Cells(pooled.at, n, n * share, y))
    assert found.shape == (5,)
    assert found.dtype == np.float64
    alone = float(metric(Cells(pooled.at, n[0], n[0] * share, y[0])))
    if metric is goodness_of_fit.hosmer_lemeshow:  # replicates share their groups
        return
    within = 5e-3 if "loess" in metric.__doc__ else 1e-8  # and the reach of the weights
    assert found[0] == pytest.approx(alone, abs=within)


@pytest.mark.parametrize("metric", METRICS)
def test_a_weight_is_that_many_rows(metric):
    p, y = draw(200)
    twice = float(metric(cells_of(np.repeat(p, 2), np.repeat(y, 2))))
    assert float(metric(cells_of(p, y, np.full(200, 2.0)))) == pytest.approx(twice, rel=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("p", [[0.3], [1.0], [0.0, 1.0], [0.5] * 9, [1e-9] * 5, [1 - 1e-12, 0.2]])
@pytest.mark.parametrize("outcome", [0, 1])
def test_nothing_crashes_or_warns(metric, p, outcome):
    assert np.shape(metric(cells_of(p, np.full(len(p), outcome)))) == ()


def test_the_tail_of_the_belt_is_that_of_its_terms():
    cut = chi2.ppf(0.95, 1)
    line = rng(0).chisquare(2, 400_000)
    above = chi2.isf(0.05 * rng(1).random((3, 400_000)), 1)
    assert above.min() >= cut
    for extra in (0, 1, 2, 3):
        drawn = line + above[:extra].sum(0)
        for share in (0.5, 0.1, 0.01):
            at = np.quantile(drawn, 1 - share)
            assert float(belt.belt_tail(np.array(at), extra)) == pytest.approx(share, rel=0.05)


def test_belt_contains_the_diagonal_of_calibrated_scores_and_not_of_others():
    fair = belt.fit_belt(cells_of(*draw(3000, scale=1.0)))
    assert fair.p_value > 0.05
    assert (fair.low[1] <= fair.grid).all()
    assert (fair.grid <= fair.high[1]).all()
    steep = belt.fit_belt(cells_of(*draw(3000, scale=2.0)))
    assert steep.p_value < 1e-6
    assert steep.low[1][10] > steep.grid[10]
    for one in (fair, steep):
        assert (one.low[1] <= one.low[0] + 1e-9).all()
        assert (one.low[0] < one.curve).all()
        assert (one.curve < one.high[0]).all()


def test_belt_bends_where_the_truth_does():
    x = 2 * rng(0).standard_normal(4000)
    y = rng(1).random(4000) < expit(0.35 * x**2 - 1)
    found = belt.fit_belt(cells_of(expit(x), y))
    assert found.degree >= 2
    inner = (found.grid > 0.05) & (found.grid < 0.95)
    truth = expit(0.35 * logit(found.grid[inner]) ** 2 - 1)
    inside = (found.low[1][inner] <= truth) & (truth <= found.high[1][inner])
    assert inside.mean() > 0.9


def test_edges_of_the_belt_lie_on_the_likelihood_ratio_that_was_asked_for():
    cells = cells_of(*draw(400, scale=1.0))
    found = belt.fit_belt(cells, level=(0.95,), points=5)
    assert found.degree == 1
    x, at = logit(cells.at), logit(found.grid[2])
    reach = chi2.isf(0.05, 2)
    best = float(logistic.deviance(cells))

    def fall(edge):
        """Deviance that curves through (at, edge) lose at least."""
        columns = (x - at)[:, None]
        y = cells.y
        _, loss = fitted(None, y, cells.n, columns, logit(edge))
        return best - 2 * ((np.logaddexp(0, x) - y * x).sum() - loss)

    assert fall(found.low[0][2]) == pytest.approx(reach, rel=0.02)
    assert fall(found.high[0][2]) == pytest.approx(reach, rel=0.02)


@pytest.mark.parametrize("metric", METRICS)
def test_cells_that_share_their_scores_are_measured_as_others_are(metric):
    p, y = draw(400)
    cells = Cells.from_rows(p, y)
    n = rng(1).poisson(1.0, (30, len(cells.at))).astype(float)
    drawn = Cells(cells.at, n, n * cells.at, rng(2).binomial(n.astype(int), cells.at).astype(float))
    metric(drawn)
    other = rng(3).binomial(n.astype(int), 0.5).astype(float)
    fresh = metric(Cells(cells.at, n, n * cells.at, other))
    assert np.array_equal(metric(drawn.with_outcomes(other)), fresh, equal_nan=True)


def test_what_does_not_depend_on_outcomes_is_fitted_once(monkeypatch):
    fits = []
    of = loess._Local.of
    monkeypatch.setattr(loess._Local, "of", lambda *a: fits.append(1) or of(*a))
    p, y = draw(200)
    n = rng(1).poisson(1.0, (30, 200)).astype(float)
    cells = Cells.from_rows(p, y)
    cells = Cells(cells.at, n, n * cells.at, n / 2)
    for candidate in (cells, cells.with_outcomes(n / 3), cells.with_outcomes(n / 4)):
        for metric in (loess.ici, loess.e50, loess.e90, loess.emax):
            metric(candidate)
    assert len(fits) == 1


def test_cells_are_sent_without_what_was_computed_of_them():
    p, y = draw(50)
    cells = Cells.from_rows(p, y)
    before = loess.ici(cells)
    assert loess.ici(pickle.loads(pickle.dumps(cells))) == before
