"""Optima held to long reference minimisations, and near-isotonic curves to their definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import PPoly
from scipy.optimize import isotonic_regression, lsq_linear, minimize, minimize_scalar
from simulated import simulate

import calibtool as ct
from calibtool.calibrators import enir
from calibtool.calibrators.curves import FARTHEST
from calibtool.data.rows import to_probs
from calibtool.errors import InputError
from calibtool.metrics.cells import Cells

# ------------------------------------------------------------------ objectives, written out
#
# Every model here has scores that are linear in its parameters: a design (N, K, M) times v.


class Objective:
    """Mean NLL of softmax(design v), plus penalty * (v - start)**2 and the like."""

    def __init__(self, design, labels, weights=None, *, target=None):
        self.design = design
        rows, classes = design.shape[:2]
        weights = np.ones(rows) if weights is None else weights
        self.weights = weights / weights.sum()
        self.target = np.eye(classes)[labels] if target is None else target
        self.penalty = np.zeros((design.shape[2], design.shape[2]))
        self.start = np.zeros(design.shape[2])
        self.lower = np.full(design.shape[2], -np.inf)

    def __call__(self, v):
        s = self.design @ v
        s = s - s.max(axis=1, keepdims=True)
        logs = s - np.log(np.exp(s).sum(axis=1, keepdims=True))
        nll = -float(self.weights @ (self.target * logs).sum(axis=1))
        away = v - self.start
        slope = np.einsum("n,nk,nkm->m", self.weights, np.exp(logs) - self.target, self.design)
        return nll + float(away @ self.penalty @ away), slope + 2 * self.penalty @ away

    def best(self):
        """The least value that long searches from several starts find."""
        rng = np.random.Generator(np.random.PCG64(0))
        smallest = np.inf
        options = {"maxiter": 20_000, "maxfun": 200_000, "ftol": 0, "gtol": 1e-12, "maxcor": 30}
        for spread in (0, 0.1, 1):
            start = np.maximum(self.start + spread * rng.normal(size=len(self.start)), self.lower)
            bounds = [(low, np.inf) for low in self.lower]
            run = minimize(self, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
            polished = minimize(
                self,
                run.x,
                jac=True,
                method="SLSQP",
                bounds=bounds,
                options={"maxiter": 2000, "ftol": 1e-16},
            )
            smallest = min(smallest, run.fun, self(np.maximum(polished.x, self.lower))[0])
        return smallest

    def slope(self, v):
        """The largest slope at v of a parameter that is free to move."""
        slope = self(v)[1]
        on_bound = (v <= self.lower) & (slope > 0)
        return np.abs(np.where(on_bound, 0, slope)).max()


def hold(objective, v, *, slope=1e-6):
    """Whether v is the optimum."""
    value, best = objective(v)[0], objective.best()
    assert value <= best + 1e-9
    assert value >= best - 1e-9
    assert objective.slope(v) < slope


def per_class(z):
    """A slope a class, then a bias a class."""
    classes = z.shape[1]
    eye = np.eye(classes)
    return np.concatenate([z[:, :, None] * eye, np.broadcast_to(eye, (len(z), *eye.shape))], axis=2)


def full(z):
    """W row by row, then b."""
    rows, classes = z.shape
    eye = np.eye(classes)
    weight = np.einsum("kl,nj->nklj", eye, z).reshape(rows, classes, classes**2)
    return np.concatenate([weight, np.broadcast_to(eye, (rows, classes, classes))], axis=2)


def binary(columns):
    """Scores (0, columns v)."""
    return np.stack([np.zeros_like(columns), columns], axis=1)


def log_softmax(z):
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def temperature(z, labels, weights):
    """The best one, by golden sections and then Newton's steps."""
    shares = weights / weights.sum()
    mine = np.arange(len(z))

    def nll(log_b):
        return -float(shares @ log_softmax(np.exp(log_b) * z)[mine, labels])

    b = np.exp(minimize_scalar(nll, bracket=(-1, 1), tol=1e-10).x)
    for _ in range(5):
        p = np.exp(log_softmax(b * z))
        mean = (p * z).sum(axis=1)
        curve = shares @ ((p * z * z).sum(axis=1) - mean**2)
        b -= shares @ (mean - z[mine, labels]) / curve
    return 1 / b


# ------------------------------------------------------------------ many classes

CASES = [(300, 3, 0), (600, 4, 1), (500, 5, 2)]


@pytest.fixture(params=CASES, ids=lambda case: "x".join(map(str, case[:2])))
def skewed(request):
    """Predictions that no temperature repairs, with weights."""
    rows, classes, seed = request.param
    p = simulate(rows, classes, seed=seed)
    tilt = np.linspace(0.5, 1.5, classes)
    weights = 0.5 + np.random.Generator(np.random.PCG64(seed)).random(rows)
    return ct.Predictions.from_logits(p.values * tilt + tilt, p.labels, weights=weights)


def test_vector_scaling_reaches_its_optimum(skewed):
    calibrator = ct.fit("vector", skewed)
    objective = Objective(per_class(skewed.values), skewed.labels, skewed.weights)
    objective.start[: skewed.classes] = 1
    hold(objective, np.concatenate([calibrator.map.weight, calibrator.map.bias]))
    assert calibrator.fitted.gradient < 1e-6


def test_bias_corrected_temperature_reaches_its_optimum(skewed):
    calibrator = ct.fit("bias-corrected", skewed)
    design = per_class(skewed.values)
    classes = skewed.classes
    together = np.concatenate(
        [design[:, :, :classes].sum(axis=2, keepdims=True), design[:, :, classes:]], axis=2
    )
    objective = Objective(together, skewed.labels, skewed.weights)
    objective.start[0] = 1
    hold(objective, np.concatenate([[float(calibrator.map.weight)], calibrator.map.bias]))
    assert calibrator.fitted.gradient < 1e-6


@pytest.mark.parametrize("method", ["matrix", "dirichlet"])
@pytest.mark.parametrize(("price", "bias"), [(0.0, 0.0), (0.3, 0.1), (5.0, 20.0), (None, None)])
def test_matrix_scaling_reaches_its_optimum(skewed, method, price, bias):
    calibrator = ct.fit(method, skewed, off_diagonal=price, bias=bias)
    classes, rows = skewed.classes, skewed.weights.sum()
    pairs = classes * (classes - 1)
    price = pairs**2 / rows if price is None else price
    bias = classes**2 / rows if bias is None else bias
    z = skewed.values if method == "matrix" else log_softmax(skewed.values)
    objective = Objective(full(z), skewed.labels, skewed.weights)
    eye = np.eye(classes).ravel()
    objective.start[: classes**2] = eye
    objective.penalty[:] = np.diag(
        np.concatenate([(1 - eye) * price / pairs, np.full(classes, bias / classes)])
    )
    hold(objective, np.concatenate([calibrator.map.weight.ravel(), calibrator.map.bias]))
    assert calibrator.fitted.gradient < 1e-6


@pytest.mark.parametrize("strength", [1.0, 30.0])
@pytest.mark.parametrize("method", ["structured-vector", "structured-matrix"])
def test_structured_scaling_reaches_its_optimum(skewed, method, strength):
    calibrator = ct.fit(method, skewed, strength=strength)
    z = log_softmax(skewed.values)
    t = temperature(z, skewed.labels, skewed.weights)
    assert calibrator.map.temperature == pytest.approx(t, rel=1e-8)
    classes, rows = skewed.classes, skewed.weights.sum()
    z = np.log(rows / (rows + 1) * np.exp(log_softmax(z / t)) + 1 / (rows + 1) / classes)
    unit = strength * classes / rows
    eye = np.eye(classes).ravel()
    if method == "structured-vector":
        objective = Objective(per_class(z), skewed.labels, skewed.weights)
        objective.start[:classes] = 1
        objective.penalty[:] = unit * np.eye(2 * classes)
    else:
        objective = Objective(full(z), skewed.labels, skewed.weights)
        objective.start[: classes**2] = eye
        prices = np.where(eye == 1, unit, (classes - 1) * unit)
        objective.penalty[:] = np.diag(np.concatenate([prices, np.full(classes, unit)]))
    hold(objective, np.concatenate([calibrator.map.weight.ravel(), calibrator.map.bias]))
    assert calibrator.fitted.gradient < 1e-6


def heights(x, knots):
    """(n, M): what a slope of 1 at each knot alone, straight in between and constant beyond the
    outer knots, adds up to from the first knot to x."""
    out = []
    gaps = np.diff(knots)
    for slopes in np.eye(len(knots)):
        inside = PPoly(np.stack([np.diff(slopes) / gaps, slopes[:-1]]), knots).antiderivative()
        inner = np.clip(x, knots[0], knots[-1])
        below = np.minimum(x - knots[0], 0) * slopes[0]
        above = np.maximum(x - knots[-1], 0) * slopes[-1]
        out.append(inside(inner) + below + above)
    return np.stack(out, axis=-1)


def smoothness(objective, knots, price, rows):
    """price / rows times the squared differences of neighbouring slopes."""
    d = np.diff(np.eye(knots), axis=0)
    objective.penalty[:knots, :knots] = price / rows * d.T @ d


@pytest.mark.parametrize("price", [1.0, 0.01])
@pytest.mark.parametrize("knots", [3, 8])
def test_order_preserving_scaling_reaches_its_optimum(skewed, knots, price):
    calibrator = ct.fit("order-preserving", skewed, knots=knots, smoothness=price)
    curve = calibrator.map.curve
    log_p = log_softmax(skewed.values)
    design = heights(log_p, curve.knots)
    objective = Objective(design, skewed.labels, skewed.weights)
    smoothness(objective, len(curve.knots), price, skewed.weights.sum())
    # the penalty is of the differences, so it draws to no start
    objective.lower[:] = 1e-3
    hold(objective, curve.slopes)
    assert calibrator.fitted.gradient < 1e-6


# ------------------------------------------------------------------ two classes


@pytest.fixture(params=[(200, 0), (1500, 1)], ids=["200", "1500"])
def line(request):
    """One-column logits that are off by a curve, with weights."""
    rows, seed = request.param
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.normal(0, 2, rows)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-np.where(x > 0, 0.3, 1.2) * x - 0.4))).astype(int)
    return ct.Predictions.from_logits(x, labels, weights=0.5 + rng.random(rows))


@pytest.mark.parametrize("smoothing", [False, True])
def test_platt_scaling_reaches_its_optimum(line, smoothing):
    curve = ct.fit("platt", line, smoothing=smoothing).map.curves[0]
    x, ones = line.values[:, 0], line.weights @ line.labels
    goal = line.labels.astype(float)
    if smoothing:
        zeros = line.weights.sum() - ones
        goal = np.where(line.labels == 1, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    design = binary(np.stack([x, np.ones_like(x)], axis=1))
    target = np.stack([1 - goal, goal], axis=1)
    objective = Objective(design, line.labels, line.weights, target=target)
    hold(objective, np.array([curve.a, curve.c]))


@pytest.mark.parametrize("sign", [1, -1, 0])
@pytest.mark.parametrize("parameters", ["abm", "am", "ab", "a"])
def test_beta_calibration_reaches_its_optimum(line, parameters, sign):
    """Also where slopes are held at 0: outcomes that run backwards, and that only rise late."""
    labels = {1: line.labels, -1: 1 - line.labels, 0: (line.values[:, 0] > 3).astype(int)}[sign]
    labels = np.where(np.arange(line.rows) % 7 == 0, 1 - labels, labels)
    p = replace(line, labels=labels)
    curve = ct.fit("beta", p, parameters=parameters).map.curves[0]
    x = p.values[:, 0]
    up, down = -np.logaddexp(0, -x), np.logaddexp(0, x)  # log p and -log(1 - p)
    ones, half = np.ones_like(x), np.log(2)
    columns, v = {
        "abm": ([up, down, ones], [curve.a, curve.b, curve.c]),
        "am": ([up + down, ones], [curve.a, curve.c]),
        "ab": ([up + half, down - half], [curve.a, curve.b]),
        "a": ([up + down], [curve.a]),
    }[parameters]
    objective = Objective(binary(np.stack(columns, axis=1)), labels, p.weights)
    objective.lower[: 2 if "b" in parameters else 1] = 0
    hold(objective, np.array(v))
    assert curve.a >= 0
    assert curve.b >= 0
    if parameters in ("am", "a"):
        assert curve.a == curve.b
    if parameters in ("ab", "a"):  # p = 1/2 stays 1/2
        assert curve.c == pytest.approx((curve.a - curve.b) * half)


@pytest.mark.parametrize("unit", [1, 4])
def test_quadratic_scaling_reaches_its_optimum(line, unit):
    p = replace(line, values=line.values * unit)
    curve = ct.fit("quadratic", p).map.curves[0]
    x = line.values[:, 0]
    objective = Objective(binary(np.stack([np.ones_like(x), x, x**2], axis=1)), p.labels, p.weights)
    hold(objective, np.array([curve.a, curve.b * unit, curve.c * unit**2]))
    assert (curve.low, curve.high) == (p.values.min(), p.values.max())


def test_a_score_that_float64_hardly_holds_does_not_decide_on_a_parabola(line):
    far = np.array([-700.0, -500.0, -40.0])
    near = np.full(3, -FARTHEST)
    one, other = (
        ct.fit(
            "quadratic",
            ct.Predictions.from_logits(
                np.append(line.values, x), np.append(line.labels, [0, 0, 1]).astype(int)
            ),
        ).map.curves[0]
        for x in (far, near)
    )
    np.testing.assert_allclose([one.a, one.b, one.c], [other.a, other.b, other.c], rtol=1e-9)
    assert (one.low, one(far[:1])) == (-FARTHEST, one(near[:1]))


def test_a_parabola_gives_no_unlikely_row_a_high_probability():
    """The optimum turns above the lowest score; below it, it stays level."""
    rng = np.random.Generator(np.random.PCG64(0))
    x = rng.normal(0, 1.5, 4000)
    true = 1 / (1 + np.exp(-np.where(x < -1, -1, x)))
    fitted = ct.fit("quadratic", ct.Predictions.from_logits(x, rng.random(4000) < true))
    curve = fitted.map.curves[0]
    far = fitted(ct.Predictions.from_logits([x.min(), -60.0, x.max(), 60.0], None))
    low, lower, high, higher = far.values[:, 0]
    assert curve.a + curve.b * -60 + curve.c * 60**2 > 50  # the parabola itself
    assert lower == low
    assert higher > high > 0.9


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("knots", "price"), [(6, 1.0), (4, 0.01), (12, 0.01)])
def test_splines_reach_their_optimum(line, knots, price, backwards):
    labels = 1 - line.labels if backwards else line.labels
    p = replace(line, labels=labels)
    curve = ct.fit("spline", p, knots=knots, smoothness=price).map.curves[0]
    x = p.values[:, 0]
    columns = np.concatenate([heights(x, curve.knots), np.ones((len(x), 1))], axis=1)
    objective = Objective(binary(columns), labels, p.weights)
    smoothness(objective, len(curve.knots), price, p.weights.sum())
    objective.lower[:-1] = 0
    hold(objective, np.append(curve.slopes, curve.start))


# ------------------------------------------------------------------ near-isotonic regression
#
# b minimises 1/2 sum n (y - b)^2 + price sum max(b_i - b_i+1, 0) if, and only if, the sums
# u_i = sum_j<=i n_j (y_j - b_j) are the price where b falls, 0 where it rises, and lie in between
# where it is flat; in all they are 0.


def random_shares(seed, size):
    rng = np.random.Generator(np.random.PCG64(seed))
    n = rng.integers(1, 6, size).astype(float)
    y = rng.binomial(n.astype(int), rng.random(size) * np.linspace(0.3, 1, size)).astype(float)
    share = y / n
    runs = np.flatnonzero(np.concatenate([[True], share[1:] != share[:-1]]))
    n, y = np.add.reduceat(n, runs), np.add.reduceat(y, runs)
    return y / n, n


def price_of(b, share, n):
    """The price at which b is optimal, within what the conditions leave open: (low, high)."""
    u = np.cumsum(n * (share - b))
    assert u[-1] == pytest.approx(0, abs=1e-9)
    u, step = u[:-1], np.diff(b)
    falls, rises, flat = step < -1e-12, step > 1e-12, np.abs(step) <= 1e-12
    np.testing.assert_allclose(u[rises], 0, atol=1e-9)
    assert (u[flat] >= -1e-9).all()
    least = u[flat].max(initial=0)
    if falls.any():
        price = u[falls][0]
        np.testing.assert_allclose(u[falls], price, atol=1e-9)
        assert least <= price + 1e-9
        return price, price
    return least, np.inf


def blocks(values, starts, size):
    return np.repeat(values, np.diff(np.append(starts, size)))


@pytest.mark.parametrize("seed", range(40))
def test_near_isotonic_curves_are_optimal(seed):
    share, n = random_shares(seed, 3 + seed % 12)
    prices = []
    for values, starts in enir._meetings(share, n, len(n)):
        b = blocks(values, starts, len(n))
        low, high = price_of(b, share, n)
        prices.append(low)
        assert low <= high
    assert prices == sorted(prices)
    if prices:
        np.testing.assert_allclose(b, isotonic_regression(share, weights=n).x, atol=1e-9)
    else:  # it rises already
        assert (np.diff(share) >= 0).all()


def near_isotonic(share, n, price):
    """The curve itself, by the dual: b = y - D'u / n for the u in [0, price] of least norm."""
    size = len(n)
    if price == 0 or size == 1:
        return share
    d = (np.eye(size)[:-1] - np.eye(size)[1:]) / np.sqrt(n)
    solution = lsq_linear(d.T, np.sqrt(n) * share, (0, price), method="bvls", tol=1e-14)
    return share - (d.T @ solution.x) / np.sqrt(n)


def count_blocks(b):
    return 1 + np.count_nonzero(np.abs(np.diff(b)) > 1e-9)


@pytest.mark.parametrize("seed", range(25))
def test_no_meeting_is_missed(seed):
    """Between one meeting and the next, as many blocks as after the one."""
    share, n = random_shares(seed, 3 + seed % 9)
    before, blocks_before = 0.0, len(n)
    for values, starts in enir._meetings(share, n, len(n)):
        b = blocks(values, starts, len(n))
        price = price_of(b, share, n)[0]
        np.testing.assert_allclose(near_isotonic(share, n, price), b, atol=1e-8)
        middle = near_isotonic(share, n, (before + price) / 2)
        assert count_blocks(middle) == blocks_before
        before, blocks_before = price, len(starts)
        assert count_blocks(b) == len(starts)


@pytest.mark.parametrize("seed", range(25))
def test_enir_is_the_average_of_near_isotonic_curves(seed):
    """Prices by bisection on the number of blocks, curves by the dual, weights by exp(-BIC / 2)."""
    rng = np.random.Generator(np.random.PCG64(seed))
    scores = np.sort(rng.random(12)).round(3)
    labels = (rng.random(12) < scores).astype(int)
    weights = rng.integers(1, 4, 12).astype(float)
    runs = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]]))
    n, y, said = (np.add.reduceat(x, runs) for x in (weights, weights * labels, weights * scores))
    share, rows = y / n, weights.sum()
    curves = [near_isotonic(share, n, price) for price in meeting_prices(share, n)]
    curves = curves or [share]
    bic, smoothed = [], []
    for b in curves:
        first = np.flatnonzero(np.concatenate([[True], np.abs(np.diff(b)) > 1e-9]))
        p = np.clip(b, 1e-300, 1)
        likely = np.sum(y * np.log(p)) + np.sum((n - y) * np.log(np.clip(1 - b, 1e-300, 1)))
        bic.append(len(first) * (np.log(rows) + np.log(2 * np.pi)) - 2 * likely)
        mass, ones, mean = (np.add.reduceat(x, first) for x in (n, y, said))
        mean = mean / mass
        trust = 1 - np.abs(ones / mass - mean)
        value = (b[first] * mass + mean * trust) / (mass + trust)
        smoothed.append(blocks(value, first, len(n)))
    share_of = np.exp((np.min(bic) - np.array(bic)) / 2)
    expected = share_of @ np.array(smoothed) / share_of.sum()
    cells = Cells.from_rows(scores, labels, weights)
    values = enir.curve(cells)(scores)
    run_of = np.cumsum(np.isin(np.arange(12), runs)) - 1
    np.testing.assert_allclose(values, expected[run_of], atol=1e-7)


def meeting_prices(share, n):
    """The prices at which the number of blocks falls, each by bisection."""
    most = 2 * float(n.sum())
    least_blocks = count_blocks(near_isotonic(share, n, most))
    prices, low = [], 0.0
    while True:
        now = count_blocks(near_isotonic(share, n, low)) if low else len(n)
        if now <= least_blocks:
            return prices
        high, at = most, low
        for _ in range(60):
            middle = (at + high) / 2
            if count_blocks(near_isotonic(share, n, middle)) < now:
                high = middle
            else:
                at = middle
        if prices and high - prices[-1] < 1e-6:  # blocks that meet at once, told apart by rounding
            prices.pop()
        prices.append(high)
        low = high


@pytest.mark.parametrize("seed", [16, 28])
def test_splines_of_certain_scores_warn_of_nothing(seed):
    # half of the certain rows are right: near no knot does a row bend the objective
    rng = np.random.default_rng(seed)
    count = rng.choice([10, 30, 60])
    labels = rng.integers(0, 2, count)
    certain = np.eye(2)[np.where(rng.random(count) < 0.5, labels, 1 - labels)]
    rows = ct.Predictions.from_probs(certain, labels)
    assert np.isfinite(ct.fit("spline", rows)(rows).values).all()


def shifted(seed, rows=1500, by=2.0):
    """Two classes whose log-odds are too small and too low by a constant, as of prompts."""
    rng = np.random.Generator(np.random.PCG64(seed))
    z = rng.normal(0, 2, rows)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(int)
    return ct.Predictions.from_logits(0.3 * z - by, labels)


def test_structured_scaling_tells_a_shift_that_its_penalty_holds_back():
    found = ct.fit("structured-vector", shifted(1))
    nll = {m: ct.fit(m, shifted(1))(shifted(2)) for m in ("structured-vector", "bias-corrected")}
    after = {m: ct.evaluate(p, ["nll"], ci="none")["nll"].value for m, p in nll.items()}
    assert after["structured-vector"] > after["bias-corrected"] + 0.005
    (note,) = found.fitted.notes
    assert note.startswith("the penalty holds back a shift of class shares: bias-corrected fits")
    assert ct.fit("structured-vector", shifted(1), strength=0.01).fitted.notes == ()


def test_structured_scaling_tells_none_by_chance():
    """Of 60 sets without a shift, chance explains three such notes."""
    told = [
        bool(ct.fit("structured-vector", simulate(400, 3, seed=s)).fitted.notes) for s in range(60)
    ]
    assert sum(told) <= 3


def test_a_probability_far_below_any_float32_counts_as_the_smallest_of_these():
    """A product of many probabilities, as of naive Bayes: 1e-300 for a label says no more."""
    p = np.array([[1 - 1e-9, 1e-9], [1e-9, 1 - 1e-9]] * 60)
    far = np.array([[1.0, 1e-300], [1e-300, 1.0]] * 60)
    labels = np.array([0, 1] * 50 + [1, 0] * 10)
    fits = [ct.fit("structured-vector", ct.Predictions.from_probs(x, labels)) for x in (p, far)]
    assert fits[1].map.floor == float(np.finfo(np.float32).tiny)
    single = np.float64(np.finfo(np.float32).tiny)
    near = np.array([[1.0, single], [single, 1.0]] * 60)
    same = ct.fit("structured-vector", ct.Predictions.from_probs(near, labels))
    assert fits[1].map.temperature == pytest.approx(same.map.temperature, rel=1e-12)


def test_of_logits_and_of_their_probabilities_structured_scaling_is_the_same():
    p = simulate(400, 4)
    probs = to_probs(p)
    a, b = (ct.fit("structured-matrix", x)(x) for x in (p, probs))
    np.testing.assert_allclose(to_probs(a).values, b.values, atol=1e-9)


def test_a_file_with_a_share_of_the_uniform_distribution_is_of_version_3(tmp_path):
    """Readers of version 2 would leave the share out, and give other numbers."""
    for method, version in (("structured-vector", 3), ("vector", 1)):
        assert ct.fit(method, simulate(300, 3)).document()["version"] == version
    p = replace(simulate(300, 3), extra={"group": np.arange(300) % 2})
    by_group = ct.fit("structured-vector", p, by="group")
    assert by_group.document()["version"] == 3
    path = tmp_path / "cal.json"
    by_group.save(path)
    np.testing.assert_array_equal(ct.load_calibrator(path)(p).values, by_group(p).values)
    text = path.read_text()
    path.write_text(text.replace('"uniform": 0.0', '"uniform": 7.0'))
    with pytest.raises(InputError, match="uniform"):
        ct.load_calibrator(path)
