"""Intervals and p-values of errors of bins, on data whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

import calibtool as ct
from calibtool.data.slicing import with_extra


def step(rng, n):
    """Confidences that are right, but for 20 points between 0.6 and 0.7."""
    said = rng.uniform(0.5, 1, n)
    hit = rng.random(n) < np.where((said > 0.6) & (said < 0.7), said - 0.2, said)
    first, rest = rng.integers(0, 3, n), rng.beta(2, 2, n)
    probs, row = np.zeros((n, 3)), np.arange(n)
    probs[row, first] = said
    probs[row, (first + 1) % 3] = (1 - said) * rest
    probs[row, (first + 2) % 3] = (1 - said) * (1 - rest)
    other = np.where(rng.random(n) < rest, first + 1, first + 2) % 3
    return ct.Predictions.from_probs(probs, np.where(hit, first, other))


def rare(rng, n):
    """Two calibrated classes, one of which is seen once in 200 rows."""
    score = 1 / (1 + np.exp(6 - 1.2 * rng.standard_normal(n))) * 0.005 / 0.0048
    return ct.Predictions.from_probs(np.stack([1 - score, score], 1), rng.random(n) < score)


def drawn(make, n, metrics, sets):
    """The reports of data sets that are drawn one after the other."""
    rng = np.random.Generator(np.random.PCG64(n))
    return [
        ct.evaluate(make(rng, n), metrics, resamples=400, seed=seed, threads=1)
        for seed in range(sets)
    ]


OF_RARE = ["debiased-ece", "ada-rmsce", "mce", "average-ce"]


@pytest.fixture(scope="module")
def of_rare():
    return drawn(rare, 300, OF_RARE, 200)


@pytest.mark.parametrize("metric", OF_RARE)
def test_rare_events_are_rejected_no_more_often_than_they_should_be(metric, of_rare):
    """Normal noise took 9 to 15 % of them for miscalibrated."""
    p_values = np.array([report[metric].p_value for report in of_rare])
    assert np.mean(p_values < 0.05) < 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5


@pytest.mark.parametrize(
    ("metric", "truth", "n"),
    [("mce", 0.2, 500), ("mce(profile=equal_mass)", 0.2, 500), ("tace", 0.0278, 2000)],
)
def test_the_truth_of_a_step_is_covered(metric, truth, n):
    """MCE's intervals held it in 80 to 90 % of data sets, TACE's in 70 %."""
    found = [report[metric] for report in drawn(step, n, [metric], 100)]
    covered = np.mean([estimate.low <= truth <= estimate.high for estimate in found])
    assert covered > 0.95 - 3 * (0.05 * 0.95 / 100) ** 0.5 + 0.03


def test_two_classes_are_one_problem():
    """The class view of two classes sees every row twice, and knows no more for it."""
    p = rare(np.random.Generator(np.random.PCG64(7)), 2000)
    for name in ("ece", "rmsce"):
        one, both = (
            ct.evaluate(p, [f"{name}(view={view})"], resamples=400).estimates[0]
            for view in ("positive", "class")
        )
        assert both.high == pytest.approx(one.high, rel=0.15)
        assert both.p_value == pytest.approx(one.p_value, abs=0.08)


def test_weights_alike_change_nothing():
    rng = np.random.Generator(np.random.PCG64(8))
    plain = step(rng, 800)
    weighted = ct.Predictions.from_probs(plain.values, plain.labels, weights=np.full(800, 2.0))
    names = ["ece", "rmsce", "mce", "tace", "mce(view=class)", "mce(view=label)"]
    pairs = zip(*(ct.evaluate(p, names, resamples=200) for p in (plain, weighted)), strict=True)
    for a, b in pairs:
        for part in ("low", "corrected", "high"):
            assert getattr(a, part) == pytest.approx(getattr(b, part), rel=1e-3, abs=1e-4)


def test_unequal_weights_of_a_bin_count_as_fewer_rows():
    """A class of MCE bins whose rows weigh nearly nothing but for one."""
    rng = np.random.Generator(np.random.PCG64(9))
    p = step(rng, 800)
    heavy = np.where(np.arange(800) % 20 == 0, 1.0, 1e-3)
    few = ct.Predictions.from_probs(p.values, p.labels, weights=heavy)
    wide, narrow = (ct.evaluate(x, ["mce"], resamples=200)["mce"] for x in (few, p))
    assert wide.high - wide.low > narrow.high - narrow.low


@pytest.mark.parametrize("threshold", [0, 0.01, 0.3, 1])
@pytest.mark.parametrize("view", ["class", "label", "top"])
def test_tace_as_a_profile_is_tace(threshold, view):
    spec = f"tace(view={view},threshold={threshold})"
    p = step(np.random.Generator(np.random.PCG64(10)), 300)
    found = ct.evaluate(p, [spec], resamples=100).estimates[0]
    assert found.value == ct.evaluate(p, [spec], ci="none").estimates[0].value
    assert found.low <= found.corrected <= found.high


@pytest.mark.parametrize("rows", [300, 3000])
def test_tace_of_two_classes_may_be_as_large_as_a_shift_that_is_not_refuted(rows):
    """Both classes are shifted by as much, so that TACE is never far below the mean gap."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        score = rng.uniform(0.1, 0.9, rows)
        data = ct.Predictions.from_probs(score, (rng.random(rows) < score - 0.05).astype(int))
        report = ct.evaluate(data, ["tace", "bias"], resamples=100, seed=seed, threads=1)
        bias = max(abs(report["bias"].low), abs(report["bias"].high))
        assert report["tace"].high >= 0.95 * bias


def test_an_error_of_clusters_reaches_as_far_as_their_mean_gap():
    # outcomes of a cluster hang together over all bins, so that the mean gap varies far more than
    # those of single bins say
    sharp, rows, size = 1.5, 3000, 50
    for seed in range(5):
        rng = np.random.default_rng([20, seed])
        z = rng.normal(0, 1.5, rows)
        level = np.repeat(rng.random(rows // size), size)
        right = (level + rng.random(rows) / 4) % 1 < 1 / (1 + np.exp(-np.abs(z)))
        said = 1 / (1 + np.exp(-sharp * np.abs(z)))
        image = np.repeat(np.arange(rows // size), size)
        p = with_extra(ct.Predictions.from_confidence(said, right), {"image": image})
        means = (said - right).reshape(-1, size).mean(axis=1)
        error = means.std() / len(means) ** 0.5  # that of independent rows would be 0.008
        high = ct.evaluate(p, "ece", cluster="image", seed=seed)["ece"].high
        assert high >= abs(means.mean()) + 1.8 * error, seed
