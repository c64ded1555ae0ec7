"""The curves that binary calibrators fit, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import isotonic_regression

from calibtool.calibrators import bbq, enir, isotonic, spline, venn_abers
from calibtool.calibrators.curves import CURVES, Bend, Line, Parabola, Sigmoid, Steps
from calibtool.calibrators.fitting.bounded import bend_basis, minimise
from calibtool.data.files.document import Document, Entry
from calibtool.errors import InputError
from calibtool.metrics.cells import Cells


def scores(seed, rows=60, decimals=6):
    rng = np.random.Generator(np.random.PCG64(seed))
    s = np.round(rng.random(rows), decimals)
    return s, rng.random(rows) < s


def test_steps_are_closed_above_and_open_below():
    steps = Steps(np.array([0.2, 0.6]), np.array([0.1, 0.5, 0.9]))
    at = np.array([0.0, 0.2, np.nextafter(0.2, 1), 0.6, 0.7, 1.0])
    assert steps(at).tolist() == [0.1, 0.1, 0.5, 0.5, 0.9, 0.9]
    assert Steps(np.zeros(0), np.array([0.3]))(at).tolist() == [0.3] * 6


def test_a_float32_score_on_an_edge_lies_in_the_lower_bin():
    steps = Steps(np.array([0.3]), np.array([0.0, 1.0]))
    assert steps(np.array([0.3], np.float32)).tolist() == [0.0]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_a_line_is_interpolation_whether_or_not_it_rises(heights):
    x = np.linspace(0.1, 0.9, len(heights))
    at = np.linspace(0, 1, 57)
    np.testing.assert_array_equal(Line(x, np.array(heights))(at), np.interp(at, x, heights))


def test_a_bend_is_the_integral_of_its_slope():
    bend = Bend(np.array([-1.0, 0.5, 2.0]), np.array([0.2, 1.5, 0.7]), -0.4)

    def slope(x):
        return np.interp(x, bend.knots, bend.slopes)

    for x in (-3.0, -1.0, 0.1, 0.5, 1.7, 2.0, 6.0):
        area = quad(slope, -1.0, x, points=[0.5, 2.0] if x > 0.5 else None)[0]
        assert bend.height(np.array([x]))[0] == pytest.approx(area - 0.4, abs=1e-9)


def test_the_basis_of_a_bend_adds_up_to_it():
    bend = Bend(np.array([-1.0, 0.5, 2.0, 2.5]), np.array([0.2, 1.5, 0.7, 0.0]), 0.0)
    at = np.linspace(-4, 5, 91)
    np.testing.assert_allclose(bend.slopes @ bend_basis(at, bend.knots), bend.height(at))


def test_a_sigmoid_with_one_slope_is_platts():
    x = np.array([-800.0, -2.0, 0.0, 3.0, 800.0])
    expected = 1 / (1 + np.exp(-np.clip(1.5 * x + 0.2, -700, 700)))
    np.testing.assert_allclose(Sigmoid(1.5, 1.5, 0.2)(x), expected, atol=1e-15)
    p = 1 / (1 + np.exp(-x[1:4]))
    odds = p**0.5 / (1 - p) ** 2 * np.exp(0.1)
    np.testing.assert_allclose(Sigmoid(0.5, 2.0, 0.1)(x[1:4]), odds / (1 + odds))


def test_a_parabola_goes_on_straight_beyond_its_ends_or_level_if_that_falls():
    curve = Parabola(0.3, 1.0, 0.25, -3.0, 2.0)  # turns at -2
    inside = np.linspace(-3, 2, 11)
    np.testing.assert_allclose(curve.height(inside), 0.3 + inside + 0.25 * inside**2)
    low, high = curve.height(np.array([-3.0, 2.0]))
    assert curve.height(np.array([-50.0, -3.0])).tolist() == [low, low]
    np.testing.assert_allclose(curve.height(np.array([2.0, 5.0])), [high, high + 3 * 2.0])
    np.testing.assert_array_equal(curve(np.array([-900.0, 900.0])), [1 / (1 + np.exp(-low)), 1])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"low": 3.0}, "parameters.low must not be above high"),
        ({"c": 1e90, "high": 1e10}, "without finite heights"),
        ({"a": "x"}, "parameters.a must be a number"),
    ],
)
def test_a_parabola_that_is_none_is_an_error(changes, says):
    whole = {"a": 0.0, "b": 1.0, "c": 0.1, "low": -2.0, "high": 2.0}
    parameters = Entry(whole | changes, Document("x.json", "a calibrator file"), "parameters")
    with pytest.raises(InputError, match=says):
        Parabola.from_parameters(parameters)


@pytest.mark.parametrize("kind", list(CURVES))
def test_parameters_of_another_curve_are_an_error(kind):
    parameters = Entry({"colour": [1, 2]}, Document("x.json", "a calibrator file"), "parameters")
    with pytest.raises(InputError, match=r"^x.json: .*: parameters\.\w+ is missing$"):
        CURVES[kind].from_parameters(parameters)


@given(st.integers(0, 10_000), st.sampled_from([1, 6]))
def test_venn_abers_is_two_isotonic_regressions(seed, decimals):
    s, y = scores(seed, rows=1 + seed % 40, decimals=decimals)
    pair = venn_abers.curve(Cells.from_rows(s, y))
    rng = np.random.Generator(np.random.PCG64(seed))
    for score in [*s[:5], *rng.random(5), 0.0, 1.0]:
        for label in (0, 1):
            at, where = np.unique(np.append(s, score), return_inverse=True)
            n = np.bincount(where, minlength=len(at))
            ones = np.bincount(where, np.append(y, label), minlength=len(at))
            expected = isotonic_regression(ones / n, weights=n).x[where[-1]]
            found = pair.interval(np.array([score]))[label][0]
            assert found == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 10_000))
def test_isotonic_gives_its_rows_the_pooled_values(seed):
    s, y = scores(seed, decimals=2)
    cells = Cells.from_rows(s, y)
    expected = isotonic_regression(cells.y / cells.n, weights=cells.n).x
    if 0 < y.sum() < len(y):
        np.testing.assert_allclose(isotonic.curve(cells)(cells.at), expected, atol=1e-12)


def test_centred_isotonic_keeps_the_order_between_its_points():
    s, y = scores(3, rows=500)
    line = isotonic.curve(Cells.from_rows(s, y), centred=True)
    at = np.linspace(line.x[0], line.x[-1], 300)
    assert (np.diff(line(at)) > 0).all()


def test_an_average_of_binnings_stays_between_them():
    s, y = scores(5, rows=400)
    steps = bbq.curve(Cells.from_rows(s, y))
    assert (steps.values > 0).all()
    assert (steps.values < 1).all()


def test_enir_of_scores_in_order_is_smoothed_isotonic():
    cells = Cells.from_rows(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    line = enir.curve(cells)
    # two blocks: (0 * 2 + .15 * .85) / (2 + .85), and the same mirrored
    low = 0.15 * 0.85 / 2.85
    np.testing.assert_allclose(line(np.array([0.1, 0.2, 0.8])), [low, low, 1 - low])


def test_the_spline_moves_from_scores_far_from_zero():
    """Its first Newton step leads far out of bounds there; it must not take that for the end."""
    rng = np.random.Generator(np.random.PCG64(0))
    x = rng.normal(-12, 12, 2000)
    y = rng.random(2000) < 1 / (1 + np.exp(-(0.5 * x + 3)))
    cells = Cells.from_rows(x, y)
    bend = spline.curve(cells)
    p = bend(x)
    best = 1 / (1 + np.exp(-(0.5 * x + 3)))
    nll = [-np.log(np.where(y, q, 1 - q)).mean() for q in (p, best)]
    assert nll[0] < nll[1] + 0.003


def test_bounds_hold_where_the_best_lies_beyond_them():
    def objective(v):
        d = v - np.array([-1.0, 2.0])
        curve = np.array([[2.0, 0.9], [0.9, 2.0]])
        return float(d @ curve @ d) / 2, curve @ d, curve

    v, _, slope = minimise(objective, np.ones(2), np.zeros(2))
    assert v[0] == 0
    assert v[1] == pytest.approx(2 - 0.9 / 2)
    assert slope < 1e-9


def test_a_step_to_where_the_objective_is_infinite_is_cut():
    def objective(v):  # its second derivative is said to be next to nothing, so that steps are wild
        return float(v @ v), 2 * v, np.full((1, 1), 1e-300)

    v, value, _ = minimise(objective, np.full(1, 3.0), np.full(1, -np.inf))
    assert (v[0], value) == (0, 0)
