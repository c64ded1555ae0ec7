"""Exact rules for single bins, held to SciPy's distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from calibtool.intervals import beta, single_bins
from calibtool.intervals.inversion import Inverted
from calibtool.intervals.order import lowered, parts, raised


def parameters(count=400, least=0.5):
    rng = np.random.Generator(np.random.PCG64(1))
    return (np.exp(rng.uniform(np.log(least), np.log(1e5), count)) for _ in range(2))


@pytest.mark.parametrize("share", [0.5, 0.025, 0.0017])
def test_beta_quantiles_are_scipys(share):
    a, b = parameters()
    np.testing.assert_allclose(beta.lower(a, b, share), stats.beta.ppf(share, a, b), rtol=1e-3)


@pytest.mark.parametrize("share", [0.5, 0.025, 0.0017])
def test_beta_chances_are_scipys(share):
    a, b = parameters()
    at = stats.beta.ppf(share, a, b)
    np.testing.assert_allclose(beta.below(a, b, at), share, rtol=5e-3)


def test_scores_of_0_and_1_leave_no_chance():
    one, two = np.array([1.0]), np.array([2.0])
    assert beta.below(one, two, np.array([0.0]))[0] == pytest.approx(0, abs=1e-12)
    assert beta.below(one, two, np.array([1.0]))[0] == pytest.approx(1, abs=1e-6)


def test_the_nearest_gap_is_clopper_and_pearsons_divided_by_the_bins():
    hits, count, score = np.array([9, 0, 40]), np.array([10, 0, 50]), np.array([0.3, 0.5, 0.78])
    delta = np.divide(hits, count, out=score.copy(), where=count > 0) - score
    gap, p_value = single_bins.nearest(delta, score, count, 0.95)
    tail = 0.025 / 2  # two bins hold rows
    expected = max(stats.beta.ppf(tail, 9, 2) - 0.3, 0)
    np.testing.assert_allclose(gap, [expected, 0, 0], atol=1e-4)
    assert p_value == pytest.approx(2 * stats.binom.sf(8, 10, 0.3), rel=1e-3)


def test_the_p_value_is_below_the_tail_exactly_where_a_gap_is_known():
    rng = np.random.Generator(np.random.PCG64(2))
    for _ in range(300):
        count, score = rng.integers(0, 40, 5).astype(float), rng.random(5)
        hits = rng.binomial(count.astype(int), np.clip(score + rng.normal(0, 0.2), 0, 1))
        delta = np.divide(hits, count, out=score.copy(), where=count > 0) - score
        gap, p_value = single_bins.nearest(delta, score, count, 0.95)
        assert (gap.max() > 1e-4) <= (p_value < 0.02502)
        assert (p_value < 0.02498) <= (gap.max() > 0)


def test_the_farthest_gap_is_jeffreys_of_bins_with_enough_outcomes():
    score, count = np.array([0.5, 0.5]), np.array([100.0, 4.0])
    far = single_bins.farthest(np.array([0.1, 0.1]), score, count, 0.95)
    np.testing.assert_allclose(far, [stats.beta.ppf(0.975, 60.5, 40.5) - 0.5, 0], atol=1e-5)


def test_outcomes_are_binomial_and_in_the_order_of_the_noise():
    rng = np.random.Generator(np.random.PCG64(3))
    noise = rng.standard_normal((4000, 3)).astype(np.float32)
    score, count = np.array([0.01, 0.5, 0.97]), np.array([30.0, 7.0, 50.0])
    ties = rng.standard_normal((3, 4000), np.float32)
    rates = single_bins.outcomes(noise, score, count, ties) + score
    for k in range(3):
        hits = np.rint(rates[:, k] * count[k]).astype(int)
        seen = np.bincount(hits, minlength=int(count[k]) + 1) / len(hits)
        chance = stats.binom.pmf(np.arange(int(count[k]) + 1), count[k], score[k])
        np.testing.assert_allclose(seen, chance, atol=3e-4)  # a replicate of 4,000
        order = np.argsort(noise[:, k])
        assert np.mean(np.diff(rates[order, k]) < -1e-6) < 2e-3  # but for ties parted at random


def test_a_part_of_a_row_scales_the_noise():
    noise, ties = np.array([[1.0], [-1.0]]), np.zeros((1, 2), np.float32)
    rates = single_bins.outcomes(noise, np.array([0.5]), np.array([1.4]), ties)
    np.testing.assert_allclose(rates.ravel(), [0.5 / 1.4**0.5, -0.5 / 1.4**0.5], rtol=1e-6)


def test_order_leaves_what_is_in_order():
    ece, mce = Inverted(0.1, 0.2, 0.15, 0.02), Inverted(0.12, 0.4, 0.2, 0.01)
    assert raised(mce, ece)[:3] == mce[:3]
    assert lowered(ece, mce)[:3] == ece[:3]


def test_parts_that_cannot_add_up_within_their_intervals_stretch_them():
    one, other = Inverted(0.1, 0.12, 0.11, 0.0), Inverted(0.1, 0.12, 0.11, 0.0)
    for part in parts(one, other, Inverted(0.3, 0.5, 0.4, 0.0)):
        assert part.corrected == pytest.approx(0.2)
        assert part.low <= 0.1
        assert part.high == part.corrected


def test_parts_of_nothing_are_nothing():
    none = Inverted(0.0, 0.0, 0.0, 1.0)
    assert parts(none, none, none) == (none, none)
