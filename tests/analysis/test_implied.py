"""Metrics without labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct

FORMS = {
    "three classes": lambda: simulate(600, 3, scale=1.0),
    "two columns": lambda: simulate(600, 2, scale=1.0),
    "one column": lambda: ct.Predictions.from_probs(np.linspace(0.02, 0.98, 600), None),
    "confidences": lambda: ct.Predictions.from_confidence(np.linspace(0.5, 1, 600), None),
    "weighted": lambda: replace(simulate(600, 3, scale=1.0), weights=1.0 + np.arange(600) % 3),
}


@pytest.mark.parametrize("form", FORMS)
def test_means_are_those_of_drawn_labels(form):
    p = FORMS[form]()
    found = ct.estimate(p, resamples=200)
    for name in ("accuracy", "brier", "nll"):
        one = found[name]
        assert one.low < one.value < one.high
        # the middle of the range is the mean, but for sampling errors of a few per cent of it
        assert (one.low + one.high) / 2 == pytest.approx(one.value, abs=(one.high - one.low) / 5)


def test_calibrated_rows_are_measured_inside_the_ranges_and_others_outside():
    inside = [
        not any(m.off for m in ct.estimate(simulate(800, 3, scale=1.0, seed=s)).metrics)
        for s in range(5)
    ]
    assert sum(inside) >= 4
    off = ct.estimate(simulate(2000, 3, scale=2.0))
    assert all(one.off for one in off.metrics)
    assert "not calibrated on these rows" in " ".join(str(off).split())


def test_ranges_cover_what_is_measured():
    """Over many files of calibrated rows, the share of each metric that lies in its range."""
    covered = np.array(
        [
            [not m.off for m in ct.estimate(simulate(300, 2, scale=1.0, seed=s), seed=s).metrics]
            for s in range(60)
        ]
    )
    assert (covered.mean(axis=0) > 0.85).all()


def test_a_calibrator_is_applied_first():
    p = simulate(3000, 3)
    cal = ct.fit("temperature", p)
    assert ct.estimate(p, cal, resamples=20).metrics == ct.estimate(cal(p), resamples=20).metrics
    assert not ct.estimate(p, cal)["accuracy"].off


def test_the_same_digits_again_and_no_labels_needed():
    p = simulate(200, 3)
    bare = ct.estimate(replace(p, labels=None), resamples=20)
    for one, other in zip(bare.metrics, ct.estimate(p, resamples=20).metrics, strict=True):
        assert (one.value, one.low, one.high) == (other.value, other.low, other.high)
        assert one.measured is None
    with pytest.raises(KeyError, match="implied metrics"):
        bare["ace"]
    with pytest.raises(ct.CalibtoolError, match="at least 20"):
        ct.estimate(p, resamples=3)
