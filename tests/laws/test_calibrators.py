"""Laws over the whole table of calibrators."""

from __future__ import annotations

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.calibrators import METHODS
from calibtool.views import to_probs

NAMES = list(METHODS)


@pytest.fixture(params=NAMES)
def method(request):
    return request.param


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("kind", ["logits", "probs"])
def test_what_comes_out_is_probabilities(method, classes, kind):
    p = simulate(2000, classes)
    p = p if kind == "logits" else to_probs(p)
    probs = to_probs(ct.fit(method, p)(p)).values
    assert np.isfinite(probs).all()
    assert (probs >= 0).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-12)


def test_survives_save_and_load_to_the_bit(method, tmp_path, overconfident):
    fitted = ct.fit(method, overconfident)
    fitted.save(tmp_path / "cal.json")
    loaded = ct.load_calibrator(tmp_path / "cal.json")
    assert loaded == fitted
    np.testing.assert_array_equal(loaded(overconfident).values, fitted(overconfident).values)


def test_a_calibrated_set_refits_to_about_the_identity(method, overconfident):
    once = ct.fit(method, overconfident)(overconfident)
    again = ct.fit(method, once)(once)
    np.testing.assert_allclose(to_probs(again).values, to_probs(once).values, atol=1e-6)


def test_monotone_ones_keep_the_predicted_class(method, overconfident):
    after = ct.fit(method, overconfident)(overconfident)
    np.testing.assert_array_equal(after.values.argmax(axis=1), overconfident.values.argmax(axis=1))


def test_logits_and_probabilities_lead_to_the_same_fit(method, overconfident):
    from_logits = to_probs(ct.fit(method, overconfident)(overconfident)).values
    probs = to_probs(overconfident)
    np.testing.assert_allclose(ct.fit(method, probs)(probs).values, from_logits, atol=1e-9)


def test_a_weight_of_k_equals_k_copies(method):
    p = simulate(500, 3)
    copies = np.random.Generator(np.random.PCG64(2)).integers(0, 4, p.rows)
    weighted = ct.Predictions.from_logits(p.values, p.labels, weights=copies)
    repeated = p.take(np.repeat(np.arange(p.rows), copies))
    np.testing.assert_allclose(
        ct.fit(method, weighted)(p).values, ct.fit(method, repeated)(p).values, rtol=1e-9
    )


def test_another_number_of_classes_is_an_error(method, overconfident):
    fitted = ct.fit(method, overconfident)
    with pytest.raises(ct.CalibtoolError, match="has 3 classes, the calibrator was fitted for 5"):
        fitted(simulate(10, 3))


def test_confidences_alone_are_an_error(method):
    with pytest.raises(ct.CalibtoolError, match="whole rows"):
        ct.fit(method, ct.Predictions.from_confidence([0.5, 0.6], [0, 1]))


def test_class_names_in_another_order_are_an_error(method):
    p = simulate(500, 3)
    named = ct.Predictions.from_logits(p.values, p.labels, class_names=("a", "b", "c"))
    turned = ct.Predictions.from_logits(p.values, p.labels, class_names=("a", "c", "b"))
    fitted = ct.fit(method, named)
    assert fitted(p).rows == 500
    with pytest.raises(ct.CalibtoolError, match="'c' stands where"):
        fitted(turned)
