"""p-values of changes agree with their intervals, whatever the replicates are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibtool.analysis.comparison import compare
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
    assert all(line.best is None for line in found.lines)


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

    found = ct.compare([overconfident, overconfident], ["nll"], names=["a", "b"], resamples=50)
    assert found.names == ("a", "b")
    rows = with_extra(overconfident, {"half": np.arange(overconfident.rows) % 2})
    assert len(ct.evaluate_by(rows, "half", ["nll"], ci="none").parts[0].slices) == 2
    assert {one.by for one in ct.search_slices(rows).found} <= {
        *("half", "predicted", "confidence"),
        *("half,predicted", "half,confidence", "predicted,confidence"),
    }
