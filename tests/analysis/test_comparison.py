"""p-values of changes agree with their intervals, whatever the replicates are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibtool.analysis.comparison import compare
from calibtool.data.predictions import Predictions
from calibtool.intervals.bootstrap import plain
from calibtool.intervals.difference import difference, p_of_difference, p_of_replicates
from calibtool.intervals.inversion import Inverted
from calibtool.intervals.multiple import benjamini_hochberg, holm

SHARES = st.floats(0, 0.2)


@given(
    st.integers(20, 400),
    st.floats(-4, 4),
    st.sampled_from([0, 1, 6]),
    st.sampled_from([0.8, 0.9, 0.95, 0.99]),
)
def test_replicates(count, centre, digits, level):
    drawn = np.random.default_rng(count).normal(centre, 1, count).round(digits)
    low, high = plain("percentile", 0.0, drawn, level)
    p = p_of_replicates(drawn, level)
    assert 0 <= p <= 1
    if min(abs(low), abs(high)) > 1e-9:  # an end on 0 itself is rounding
        assert (low > 0 or high < 0) == (p < round(1 - level, 12))


@given(SHARES, SHARES, SHARES, SHARES, SHARES, SHARES, st.floats(-1, 1), st.floats(0, 1))
def test_calibration_errors(low_a, a, high_a, low_b, b, high_b, correlation, p):
    one = Inverted(low_a, low_a + a + high_a, low_a + a, 0.001 if low_a > 0 else p)
    two = Inverted(low_b, low_b + b + high_b, low_b + b, 0.001 if low_b > 0 else p)
    low, high = difference(one, two, correlation, 0.95)
    found = p_of_difference(one, two, correlation, 0.95)
    assert 0 <= found <= 1
    if abs(found - 0.05) > 1e-4:
        assert (low > 0 or high < 0) == (found < 0.05)
    assert p_of_difference(two, one, correlation, 0.95) == pytest.approx(found, abs=0.02)


def test_a_file_and_itself_do_not_differ(overconfident):
    found = compare([overconfident, overconfident], ["nll", "ece", "accuracy"], resamples=100)
    assert [line.changes[1].estimate.p_value for line in found.lines] == [1.0, 1.0, 1.0]
    assert all(line.best == (0, 1) for line in found.lines)  # neither is worse than the other


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture(scope="module")
def logits():
    """Logits of class 1, and labels drawn by them."""
    rng = np.random.Generator(np.random.PCG64(5))
    true = rng.normal(0, 1.5, 4000)
    return true, (rng.random(4000) < sigmoid(true)).astype(int)


def verdicts(before, after, labels, metrics):
    files = [Predictions.from_probs(sigmoid(z), labels) for z in (before, after)]
    found = compare(files, metrics, names=["before", "after"], resamples=200)
    return {line.spec: line.changes[1].verdict for line in found.lines}, found


def test_what_moves_to_its_ideal_is_better_from_either_side(logits):
    true, labels = logits
    metrics = ["cox-slope", "citl", "bias", "cox-intercept"]
    found, _ = verdicts(3 * true, true, labels, metrics)  # a slope of 0.33 to one of 1
    assert found["cox-slope"] == "better"
    found, _ = verdicts(true / 3, true, labels, metrics)  # a slope of 3 to one of 1
    assert found["cox-slope"] == "better"
    for shift in (4.1, -4.1):  # citl of -4.1 and 4.1 to 0
        found, _ = verdicts(true + shift, true, labels, metrics)
        assert (found["citl"], found["bias"]) == ("better", "better")
        found, _ = verdicts(true, true + shift, labels, metrics)
        assert (found["citl"], found["bias"]) == ("worse", "worse")


def test_what_crosses_its_ideal_is_neither_better_nor_worse(logits):
    true, labels = logits
    found, _ = verdicts(true + 0.5, true - 0.52, labels, ["citl"])
    assert found == {"citl": "higher"}
    found, _ = verdicts(true + 2, true - 0.5, labels, ["citl"])  # it ends clearly nearer
    assert found == {"citl": "better"}
    found, _ = verdicts(true + 0.5, true - 2, labels, ["citl"])
    assert found == {"citl": "worse"}


def test_a_fall_of_sharpness_is_not_praised(logits):
    true, labels = logits
    found, comparison = verdicts(3 * true, true, labels, ["sharpness", "nll"])
    assert found == {"sharpness": "lower", "nll": "better"}
    assert comparison.reading.startswith("after is better in nll than before")


def test_harm_is_named_first(logits):
    true, labels = logits
    _, found = verdicts(true + 1, 3 * true, labels, ["citl", "nll", "cox-slope"])
    assert found.reading.startswith("after is worse in nll and cox-slope, better in citl")


def test_the_best_are_all_that_are_not_worse_than_the_best(logits):
    """Pairs without the reference count too: here it is the worst file."""
    true, labels = logits
    noise = np.random.Generator(np.random.PCG64(6)).normal(0, 0.01, len(true))
    scores = [3 * true, true, true + noise, 2 * true]
    files = [Predictions.from_probs(sigmoid(z), labels) for z in scores]
    (line,) = compare(files, ["nll"], names=list("abcd"), resamples=200).lines
    assert set(line.best) == {1, 2}
    assert line.leader == line.best[0]
    (line,) = compare(files, ["sharpness"], names=list("abcd"), resamples=200).lines
    assert line.best == ()
    (line,) = compare(files, ["cox-slope"], names=list("abcd"), resamples=200).lines
    assert set(line.best) == {1, 2}


def test_corrections_never_make_a_p_value_smaller():
    p = [0.2, 0.001, 0.03, 0.5, 0.011, 0.03]
    for adjusted in (holm(p), benjamini_hochberg(p)):
        assert all(q >= own for q, own in zip(adjusted, p, strict=True))
        order = np.argsort(p, kind="stable")
        assert (np.diff(np.array(adjusted)[order]) >= 0).all()
    assert all(h >= b for h, b in zip(holm(p), benjamini_hochberg(p), strict=True))


def test_from_python(overconfident):
    import calibtool as ct
    from calibtool.data.slicing import with_extra

    found = compare([overconfident, overconfident], ["nll"], names=["a", "b"], resamples=50)
    assert found.names == ("a", "b")
    rows = with_extra(overconfident, {"half": np.arange(overconfident.rows) % 2})
    assert len(ct.evaluate_by(rows, "half", ["nll"], ci="none").parts[0].slices) == 2
    assert {one.by for one in ct.search_slices(rows).found} <= {
        *("half", "predicted", "confidence"),
        *("half,predicted", "half,confidence", "predicted,confidence"),
    }


def test_two_classes_are_compared_whichever_way_they_are_given():
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 2, 300)
    labels = (rng.random(300) < 1 / (1 + np.exp(-logit))).astype(int)
    one = Predictions.from_logits(logit, labels)
    two = Predictions.from_logits(np.stack([0 * logit, 1.3 * logit], axis=1), labels)
    either = [
        compare([one, two], ["ece(view=top)", "ece(view=positive)", "brier"], resamples=50),
        compare([two, one], ["ece(view=top)", "ece(view=positive)", "brier"], resamples=50),
    ]
    for a, b in zip(either[0].lines, either[1].lines, strict=True):
        assert a.estimates[0].value == pytest.approx(b.estimates[1].value, abs=1e-9)
        assert a.estimates[1].value == pytest.approx(b.estimates[0].value, abs=1e-9)
