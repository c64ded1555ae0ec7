"""Every calibrator on data that calibrators find hard: a fit with finite probabilities, or an error
for people. Warnings are errors here, so that nothing overflows in silence either."""

from __future__ import annotations

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.calibrators.registry import METHODS
from calibtool.data.rows import to_probs

ROWS = 300
THREE, TWO = simulate(ROWS, 3), simulate(ROWS, 2)
PROBS = to_probs(THREE).values


def logits(values, labels=THREE.labels, **more):
    return ct.Predictions.from_logits(values, labels, **more)


def probs(values, labels):
    return ct.Predictions.from_probs(values, labels)


def heavy():
    weights = np.ones(ROWS)
    weights[5] = 1e12
    return logits(THREE.values, weights=weights)


CASES = {
    "a class absent": lambda: logits(THREE.values, THREE.labels % 2),
    "one class": lambda: logits(THREE.values, np.zeros(ROWS, int)),
    **{f"{n} rows": (lambda n=n: simulate(n, 3)) for n in (1, 2, 5, 12, 30)},
    "separated": lambda: logits(5 * np.eye(3)[np.arange(90) % 3], np.arange(90) % 3),
    "two separated": lambda: probs(np.where(np.arange(90) % 2, 0.9, 0.1), np.arange(90) % 2),
    "all alike": lambda: logits(np.tile([1.0, 2.0, 3.0], (90, 1)), np.arange(90) % 3),
    "no opinion": lambda: logits(np.zeros((90, 3)), np.arange(90) % 3),
    "zeros and ones": lambda: probs(
        np.where(np.arange(ROWS)[:, None] % 2, np.eye(3)[PROBS.argmax(axis=1)], PROBS), THREE.labels
    ),
    "one-hot": lambda: probs(np.eye(3)[np.arange(ROWS) % 3], THREE.labels),
    "one column with zeros and ones": lambda: probs(
        np.where(np.arange(ROWS) % 3, to_probs(TWO).values[:, 1], np.arange(ROWS) % 2), TWO.labels
    ),
    "votes of ten trees": lambda: probs(np.round(to_probs(TWO).values[:, 1], 1), TWO.labels),
    "float16": lambda: probs(PROBS.astype(np.float16), THREE.labels),
    "float16 logits": lambda: logits(THREE.values.astype(np.float16)),
    "ten thousand times": lambda: logits(1e4 * THREE.values),
    "1e30 times": lambda: logits(1e30 * THREE.values),
    "1e-30 times": lambda: logits(1e-30 * THREE.values),
    "weights of zero": lambda: logits(THREE.values, weights=np.arange(ROWS) % 2),
    "a heavy row": heavy,
    "light rows": lambda: logits(THREE.values, weights=np.full(ROWS, 1e-12)),
    "thirty copies": lambda: THREE.take(np.repeat(np.arange(10), 30)),
    "a rare class": lambda: probs(to_probs(TWO).values[:, 1] / 100, TWO.labels),
    "labels turned": lambda: logits(THREE.values, (THREE.labels + 1) % 3),
    "a thousand classes": lambda: simulate(60, 1000),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", METHODS)
def test_a_finite_fit_or_an_error_that_says_why(method, case, tmp_path):
    p = CASES[case]()
    try:
        fitted = ct.fit(method, p)
    except ct.CalibtoolError as error:
        text = str(error)
        assert text.startswith("predictions: ")
        assert len(text) > 60
        return
    fitted.save(tmp_path / "cal.json")
    after = to_probs(ct.load_calibrator(tmp_path / "cal.json")(p)).matrix()
    assert np.isfinite(after).all()
    assert (after >= 0).all()
    np.testing.assert_allclose(after.sum(axis=1), 1, atol=1e-6)
