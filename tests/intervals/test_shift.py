"""Upper ends of curve errors, by the mean gap; the interval of the coverage at a risk."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom, binomtest, norm

import calibtool as ct
from calibtool.errors import UsageError
from calibtool.gate.decide import decide
from calibtool.gate.requirement import parse_requirement
from calibtool.intervals import risk_coverage, shift


def generator(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def shifted(n, by, seed, **how):
    rng = generator(seed)
    p = by + (1 - by) * rng.beta(2, 2, n)
    return ct.Predictions.from_probs(p, (rng.random(n) < p - by).astype(int), **how)


def test_the_largest_shift_of_many_rows_is_that_of_a_folded_normal():
    score = generator().random(20_000)
    error = np.sqrt((score * (1 - score)).sum()) / len(score)
    for gap in (0.5 * error, 2 * error, 10 * error):
        found = shift.largest(score, np.ones(len(score)), gap, 0.95)
        refuted = norm.cdf((gap - found) / error) - norm.cdf((-gap - found) / error)
        assert refuted == pytest.approx(0.025, rel=0.1)


@pytest.mark.parametrize(("score", "seen"), [(0.5, 0.1), (0.02, -0.01), (0.98, 0.01), (0.3, 0.0)])
def test_shifts_end_where_the_interval_of_the_outcome_rate_does(score, seen):
    # one score: the rates are those of Clopper and Pearson
    n = 200
    cells = np.array([score]), np.array([float(n)])
    found = shift.ends(*cells, seen, 0.95)
    hits = round(n * (score + seen))
    expected = binomtest(hits, n).proportion_ci(0.95, "exact")
    assert found.seen == seen
    assert (found.low, found.high) == pytest.approx((expected.low - score, expected.high - score))
    assert shift.largest(*cells, seen, 0.95) == max(abs(found.low), abs(found.high))


def test_a_shift_of_log_odds_ends_where_its_gain_is_too_small():
    rng = generator()
    score, rows = rng.beta(0.5, 20, 400), np.full(400, 50.0)
    outcome = rng.binomial(50, score) / 50
    for rate in shift.of_odds(score, rows, outcome, 0.95):
        odds = np.log(rate / (1 - rate)) - np.log(score / (1 - score))
        assert np.ptp(odds) < 1e-6
        # in data sets of these rates, 2.5 % gain as little as was seen
        drawn = rng.binomial(50, rate, (20_000, 400)) / 50

        def gain(y, rate=rate):
            return (y - score) ** 2 @ rows - (y - rate) ** 2 @ rows

        assert np.mean(gain(drawn) <= gain(outcome)) == pytest.approx(0.025, abs=0.008)


@pytest.mark.parametrize("events", [0, 1, 3])
def test_the_largest_shift_of_few_events_is_that_of_a_binomial(events):
    # scores far below any rate that explains the events: the other direction ends at 0
    found = shift.largest(np.array([1e-9]), np.array([60.0]), events / 60, 0.95)
    assert binom.cdf(events, 60, found) == pytest.approx(0.025, rel=1e-3)


def test_shifts_end_where_rates_do():
    # all scores next to 1 and all outcomes 1: the scores cannot be too low by more than 1e-6
    rows = np.array([1000.0])
    assert shift.largest(np.array([1 - 1e-6]), rows, 1e-6, 0.95) == pytest.approx(
        1 - 0.025 ** (1 / 1000), rel=1e-2
    )


def refuted(t, gap, error):
    """How far a folded normal is from refuting a shift by t at 95 %."""
    return norm.cdf((gap - t) / error) - norm.cdf((-gap - t) / error) - 0.025


ERRORS = ["ks", "kuiper", "smece", "ici"]


@pytest.mark.parametrize("by", [0.0, 0.02, 0.05])
@pytest.mark.parametrize("weighted", [False, True])
def test_no_upper_end_lies_below_that_of_the_mean_gap(by, weighted):
    weights = generator(9).lognormal(size=400) if weighted else None
    data = shifted(400, by, 3, weights=weights)
    names = [f"{name}(view=positive)" for name in (*ERRORS, "reliability", "bias")]
    for source in (data, ct.cells(data)):
        report = ct.evaluate(source, names, resamples=200)
        *found, squared, bias = report.estimates
        gap, error = abs(bias.value), (bias.high - bias.low) / (2 * 1.96)
        reach = brentq(lambda t, at=(gap, error): refuted(t, *at), 0, 1)
        assert all(estimate.high > 0.85 * reach for estimate in found)  # 200 replicates of bias
        assert squared.high > (0.85 * reach) ** 2


def test_shifts_of_both_signs_in_the_classes_do_not_cancel():
    rng = generator(4)
    p = rng.dirichlet(np.ones(3), 600)
    moved = np.maximum(p + np.array([0.06, -0.06, 0.0]), 0)
    moved /= moved.sum(axis=1, keepdims=True)
    labels = (moved.cumsum(1) < rng.random((600, 1))).sum(1).clip(0, 2)
    data = ct.Predictions.from_probs(p, labels)
    report = ct.evaluate(data, ["ks(view=class)", "ks(view=label)"], resamples=200)
    for estimate in report.estimates:
        assert estimate.low <= estimate.corrected <= estimate.high
    assert report.estimates[0].high > 0.05


def test_a_shift_of_two_points_is_within_the_intervals():
    names = [f"{name}(view=positive)" for name in ("ks", "kuiper")]
    inside = np.zeros(2)
    for seed in range(40):
        found = ct.evaluate(shifted(1000, 0.02, seed), names, resamples=200, seed=seed).estimates
        inside += [e.low <= 0.02 <= e.high for e in found]
    assert (inside >= 37).all()  # of 40; 33 and 32 before


def test_coverage_at_risk_where_no_share_is_good_enough():
    # the risk is 6 % at any share: the true share at 5 % is 0, whatever the first rows do
    reached = []
    for seed in range(200):
        rng = generator(seed)
        wrong = (rng.random(1000) < 0.06) * 1.0
        reached.append(risk_coverage.interval(wrong, np.ones(1000), 0.05, 0.95)[0])
    assert np.mean(np.array(reached) > 0) <= 0.03


def test_coverage_at_risk_without_equal_rows_of_one_problem_has_no_interval():
    data = shifted(200, 0.1, 1)
    spec = "coverage-at-risk(view=class,risk=0.3)"
    estimate = ct.evaluate(data, [spec], resamples=100).estimates[0]
    assert estimate.value is not None
    assert estimate.low is None
    with pytest.raises(UsageError, match="has no interval"):
        decide(parse_requirement(f"{spec} >= 0.2"), estimate, "prove", 0.95, 200)


def test_an_error_whose_candidates_do_not_cover_has_no_interval_and_proves_nothing():
    data = shifted(200, 0.1, 1)
    estimate = ct.evaluate(data, ["kde-ece"], resamples=100).estimates[0]
    assert estimate.value is not None
    assert (estimate.low, estimate.high, estimate.corrected) == (None, None, None)
    with pytest.raises(UsageError, match="has no interval"):
        decide(parse_requirement("kde-ece <= 0.2"), estimate, "prove", 0.95, 200)


def test_errors_of_rows_without_an_event_reach_as_far_as_the_rows_can_tell():
    """No event in 100 rows does not exclude 1 - 0.025 ** (1 / 100) = 3.6 %."""
    scores = np.full(100, 0.005)
    report = ct.evaluate(
        ct.Predictions.from_probs(scores, np.zeros(100, int)),
        ["ece", "ada-ece", "rmsce", "mce", "classwise-ece", "tace", "ks", "smece"],
        resamples=100,
    )
    most = 1 - 0.025 ** (1 / 100) - 0.005
    assert {e.name: e.high > 0.98 * most for e in report} == {e.name: True for e in report}
