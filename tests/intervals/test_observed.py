"""Observed profiles: how far a gap is from what noise makes, with few events too."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from calibtool.intervals.observed import STEADY, Observed, signed_root

# rows, expected rate, outcomes seen: 3 expected or fewer, and on the other side of outcomes
FEW = [(1000, 0.003, 0), (1000, 0.003, 6), (1000, 0.003, 3), (600, 0.0005, 2), (25, 0.9, 25)]


@pytest.mark.parametrize(("rows", "rate", "seen"), FEW)
def test_few_events_are_as_far_as_their_probability_says(rows, rate, seen):
    z = float(signed_root(np.array(seen / rows - rate), np.array(rate), np.array(rows)))
    # with the half of what was seen itself, as a continuous variable would have it
    below = binom.cdf(seen, rows, rate) - binom.pmf(seen, rows, rate) / 2
    assert z == pytest.approx(norm.ppf(below), abs=0.6)


def test_a_bin_of_many_events_has_deviations_and_one_of_few_has_roots():
    score, count = np.array([0.3, 0.003, 0.4]), np.array([1000.0, 1000.0, 0.0])
    mass = count / count.sum()
    delta = np.array([0.02, -0.003, 0.0])
    seen = Observed(delta * mass, mass, score, count)
    assert (score * count >= STEADY).tolist() == [True, False, False]
    assert seen.steady.tolist() == [True, False, False]
    assert seen.few.tolist() == [False, True, False]
    assert seen.z[0] == seen.delta[0] / seen.unit[0]
    assert seen.z[1] == signed_root(delta, score, count)[1]
    assert abs(seen.delta[1] / seen.unit[1]) > 40  # what it would be without
    assert np.allclose(seen.step * seen.z, seen.delta)
    assert seen.z[2] == 0


def test_a_refuted_score_is_far_but_not_infinitely():
    z = signed_root(np.array([1.0, -1.0]), np.array([0.0, 1.0]), np.array([1.0, 1.0]))
    assert np.isfinite(z).all()
    assert z[0] == pytest.approx(-z[1], rel=1e-6)
    assert z[0] > 5
