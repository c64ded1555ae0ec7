"""Temperature scaling, exact."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from simulated import simulate

import calibtool as ct
from calibtool.calibrators import temperature as module
from calibtool.calibrators.maps import Power
from calibtool.errors import FitError, InputError


def nll(p, log_t):
    z = p.matrix().astype(np.float64) / np.exp(log_t)
    z = z - z.max(axis=1, keepdims=True)
    row = np.log(np.exp(z).sum(axis=1)) - z[np.arange(p.rows), p.labels]
    return np.average(row, weights=p.weights)


def reference(p):
    """Brent's method in float64 finds the minimum, Newton's on the slope sharpens it."""
    best = minimize_scalar(lambda t: nll(p, t), bracket=(-1, 1), tol=1e-12).x
    b = np.exp(-best)
    z = p.matrix().astype(np.float64)
    weight = np.ones(p.rows) if p.weights is None else p.weights
    for _ in range(5):
        e = np.exp(b * (z - z.max(axis=1, keepdims=True)))
        e /= e.sum(axis=1, keepdims=True)
        mean = (e * z).sum(axis=1)
        slope = weight @ (mean - z[np.arange(p.rows), p.labels])
        b -= slope / (weight @ ((e * z * z).sum(axis=1) - mean**2))
    return 1 / b


@given(
    st.integers(0, 10_000),
    st.sampled_from([2, 3, 40]),
    st.floats(0.3, 4),
    st.sampled_from([np.float32, np.float64]),
)
def test_the_optimum_is_exact(seed, classes, scale, dtype):
    p = simulate(400, classes, scale=scale, seed=seed)
    p = ct.Predictions.from_logits(p.values.astype(dtype), p.labels)
    assert ct.fit("temperature", p).map.temperature == pytest.approx(reference(p), rel=1e-8)


def test_the_optimum_is_exact_where_a_sample_gives_the_start():
    p = simulate(6 * module.START_ROWS, 5, scale=3.0)
    assert ct.fit("temperature", p).map.temperature == pytest.approx(reference(p), rel=1e-8)


def test_many_float32_logits_are_worked_on_as_they_are_and_exact(monkeypatch):
    p = simulate(30_000, 20, scale=3.0)
    p = ct.Predictions.from_logits(p.values.astype(np.float32), p.labels)
    double = ct.fit("temperature", p)
    monkeypatch.setattr(module, "SINGLE", 1000)
    single = ct.fit("temperature", p)
    assert single.map.temperature != double.map.temperature
    assert single.map.temperature == pytest.approx(double.map.temperature, rel=1e-8)
    assert single.fitted.nll_after == pytest.approx(double.fitted.nll_after, abs=1e-8)


@given(st.integers(0, 1000))
def test_weights_are_respected(seed):
    p = simulate(300, 3, seed=seed)
    weights = np.random.Generator(np.random.PCG64(seed)).random(p.rows)
    p = ct.Predictions.from_logits(p.values, p.labels, weights=weights)
    assert ct.fit("temperature", p).map.temperature == pytest.approx(reference(p), rel=1e-8)


def test_one_column_is_fitted_like_two():
    p = simulate(500, 2)
    one_column = ct.Predictions.from_logits(p.values[:, 1] - p.values[:, 0], p.labels)
    two = ct.fit("temperature", p)
    assert ct.fit("temperature", one_column).map.temperature == pytest.approx(
        two.map.temperature, rel=1e-10
    )


def test_probabilities_of_zero_are_no_obstacle_unless_they_are_the_labels():
    probs = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.8, 0.1, 0.1]] * 5)
    p = ct.Predictions.from_probs(probs, [0, 1, 0] * 5)
    cal = ct.fit("temperature", p)
    assert np.isfinite(cal(p).values).all()
    assert cal(p).values[0, 2] == 0
    with pytest.raises(FitError, match="probability of exactly 0"):
        ct.fit("temperature", ct.Predictions.from_probs(probs, [2, 1, 0] * 5))


def test_all_right_has_no_finite_optimum():
    p = ct.Predictions.from_logits([[2.0, 0.0], [0.0, 1.0]], [0, 1])
    with pytest.raises(FitError, match="every row is right"):
        ct.fit("temperature", p)


def test_all_wrong_has_no_finite_optimum():
    p = ct.Predictions.from_logits([[2.0, 0.0], [0.0, 1.0]], [1, 0])
    with pytest.raises(FitError, match="no better than the average class"):
        ct.fit("temperature", p)


def test_the_grid_of_the_paper_minimises_ece():
    p = simulate(3000, 5)
    cal = ct.fit("temperature", p, objective="ece")
    assert cal.map.temperature * 10 == pytest.approx(round(cal.map.temperature * 10))

    def ece(t):
        return (
            ct.evaluate(p, ["ece"], calibrator=replace(cal, map=Power(t)), ci="none").after[0].value
        )

    assert ece(cal.map.temperature) == min(ece(k / 10) for k in range(10, 40))


def test_the_file_says_how_it_was_fitted(tmp_path):
    p = simulate(300, 3)
    ct.fit("temperature", p).save(tmp_path / "t.json")
    document = json.loads((tmp_path / "t.json").read_text())
    assert document["format"] == "calibtool-calibrator"
    assert document["version"] == 1
    assert document["classes"] == 3
    assert document["fitted"]["rows"] == 300
    before, after = document["fitted"]["nll_before"], document["fitted"]["nll_after"]
    assert before == pytest.approx(nll(p, 0.0))
    assert after == pytest.approx(nll(p, np.log(document["parameters"]["temperature"])))
    assert document["fitted"]["fingerprint"].startswith("sha256:")


GOOD = {
    "format": "calibtool-calibrator",
    "version": 1,
    "method": "temperature",
    "classes": 3,
    "class_names": None,
    "parameters": {"temperature": 2.0},
    "fitted": {"rows": 10},
}
BAD = [
    ("", "the file is empty"),
    ("[1]", "not a calibrator file"),
    (json.dumps(GOOD)[:60], "truncated"),
    (json.dumps(GOOD | {"version": 9}), "update calibtool"),
    (json.dumps(GOOD | {"version": "1"}), "version must be a whole number"),
    (json.dumps(GOOD | {"method": "magic"}), "method must be one of"),
    (json.dumps(GOOD | {"classes": 1}), "at least 2"),
    (json.dumps(GOOD | {"class_names": ["a"]}), "class_names must be a list of 3"),
    (json.dumps(GOOD | {"parameters": {}}), "parameters.temperature is missing"),
    (
        json.dumps(GOOD | {"parameters": {"temperature": -1}}),
        "parameters.temperature must be a number from",
    ),
    (json.dumps(GOOD | {"parameters": {"temperature": float("nan")}}), "a finite number"),
    (json.dumps(GOOD | {"parameters": {"temperature": "x"}}), "must be a number"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_file_that_is_no_calibrator_is_a_clear_error(tmp_path, text, message):
    path = tmp_path / "cal.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"cal\.json") as error:
        ct.load_calibrator(path)
    assert message in str(error.value)


def test_a_file_of_version_1_is_read_for_ever(tmp_path):
    path = tmp_path / "cal.json"
    path.write_text(json.dumps(GOOD))
    cal = ct.load_calibrator(path)
    p = simulate(10, 3)
    np.testing.assert_array_equal(cal(p).values, p.values * 0.5)


@pytest.mark.parametrize("scale", [1e-110, 1e-160, 1e-200, 1e-320])
@pytest.mark.parametrize("method", ["temperature", "ensemble-temperature"])
def test_logits_too_small_for_any_temperature_are_refused(method, scale):
    labels = np.arange(60) % 3
    logits = np.random.default_rng(0).normal(size=(60, 3)) + np.eye(3)[labels]
    tiny = ct.Predictions.from_logits(scale * logits, labels)
    with pytest.raises(FitError, match=r"practically 0|did not converge"):
        ct.fit(method, tiny)
