"""Prediction sets: their definition, their promise, what is refused, and their file."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta, betabinom
from simulated import simulate

import calibtool as ct
from calibtool.data.rows import to_probs
from calibtool.data.slicing import with_extra
from calibtool.decisions.coverage_promise import Promise, fewest_rows, rank_of
from calibtool.decisions.prediction_sets import PredictionSets
from calibtool.decisions.set_scores import METHODS, RANDOMIZED, SetScore
from calibtool.intervals import beta_binomial

RULES = [
    (method, per_class, randomized)
    for method in METHODS
    for per_class in (False, True)
    for randomized in ((False, True) if method in RANDOMIZED else (False,))
]


def named(rows, names="abcd"):
    return replace(rows, class_names=tuple(names))


# ------------------------------------------------------------------ the definition


def by_definition(probs, method, share, penalty, k_reg):
    """The score of each class of one row, as the papers write it."""
    scores = []
    for k, p in enumerate(probs):
        above = [j for j, q in enumerate(probs) if q > p or (q == p and j < k)]
        rank = len(above) + 1
        aps = sum(probs[j] for j in above) + share * p
        raps = aps + penalty * max(0, rank - k_reg)
        scores.append({"lac": 1 - p, "aps": aps, "raps": raps}[method])
    return scores


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_those_of_the_papers(method):
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(6), 30)
    probs[0] = [0.25, 0.25, 0, 0, 0.25, 0.25]  # equal ones rank by their number
    shares = rng.random(30)
    score = SetScore(method, method in RANDOMIZED, penalty=0.3, k_reg=2)
    wanted = [
        by_definition(row, method, share, 0.3, 2) for row, share in zip(probs, shares, strict=True)
    ]
    np.testing.assert_allclose(score.of_probs(probs, shares), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("method", "per_class", "randomized"), RULES)
def test_the_threshold_is_the_smallest_score_that_covers_enough(method, per_class, randomized):
    rows = simulate(400, 4)
    sets = ct.fit_sets(rows, 0.85, method, per_class, randomized=randomized, k_reg=1)
    scores = sets.score.of_labels(rows, 0)
    for k, (threshold, count) in enumerate(zip(sets.quantiles, sets.rows, strict=True)):
        own = scores[rows.labels == k] if per_class else scores
        assert len(own) == count
        wanted = np.ceil(0.85 * (count + 1) - 1e-9)
        assert (own <= threshold).sum() >= wanted
        assert (own < threshold).sum() < wanted


def test_ranks_are_those_of_the_number_that_was_typed():
    for coverage, rows, rank in (
        (0.9, 9, 9),
        (0.9, 8, 9),
        (0.55, 99, 55),
        (0.7, 9, 7),
        (0.1, 9, 1),
    ):
        assert rank_of(coverage, rows) == rank
    for coverage in (0.5, 0.8, 0.9, 0.95, 0.99, 0.999):
        least = fewest_rows(coverage)
        assert rank_of(coverage, least) <= least
        assert rank_of(coverage, least - 1) > least - 1


def test_logits_probabilities_and_one_column_make_the_same_sets():
    fitted, other = simulate(300, 2), simulate(200, 2, seed=1)
    wide = [to_probs(rows) for rows in (fitted, other)]
    column = [replace(rows, values=rows.values[:, 1:]) for rows in wide]
    inside = [
        ct.fit_sets(first, 0.8).inside(second) for first, second in ((fitted, other), wide, column)
    ]
    assert inside[0].shape == (200, 2)
    for others in inside[1:]:
        assert (others != inside[0]).mean() < 0.01  # of scores that differ by rounding


def test_random_shares_come_from_the_seed_and_the_row():
    rows, other = simulate(300, 4), simulate(2000, 4, seed=1)
    sets = ct.fit_sets(rows, 0.8)
    again, others = ct.fit_sets(rows, 0.8), ct.fit_sets(rows, 0.8, seed=1)
    assert sets.quantiles == again.quantiles
    assert (sets.inside(other) == again.inside(other)).all()
    assert (sets.inside(other) != others.inside(other)).any()
    first = other.take(slice(0, 1500))  # however many rows follow
    assert (sets.inside(first) == sets.inside(other)[:1500]).all()
    shares = sets.score.shares(1000, 0)
    assert abs(np.corrcoef(shares, sets.score.shares(1000, 1))[0, 1]) < 0.1


# ------------------------------------------------------------------ the promise


def test_ranges_are_those_of_the_beta_and_the_beta_binomial_distribution():
    for coverage, rows in ((0.9, 9), (0.9, 100), (0.95, 1000), (0.5, 3)):
        promise = Promise(coverage, rows)
        k = rank_of(coverage, rows)
        np.testing.assert_allclose(
            promise.own(), beta.ppf([0.025, 0.975], k, rows + 1 - k), rtol=1e-9
        )
        wanted = betabinom.ppf([0.025, 0.975], 500, k, rows + 1 - k) / 500
        np.testing.assert_allclose(promise.observed(500), wanted)
        some = [betabinom.cdf(count, 500, k, rows + 1 - k) for count in (100, 450, 500)]
        own = [beta_binomial.at_most(count, 500, *promise.shape) for count in (100, 450, 500)]
        np.testing.assert_allclose(own, some, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("method", METHODS)
def test_coverage_is_kept_over_many_data_sets(method):
    """The mean over 300 data sets lies within four standard errors of k / (n + 1)."""
    covered = []
    rows = simulate(300 * 150, 4)
    for k in range(300):
        part = rows.take(slice(150 * k, 150 * k + 150))
        sets = ct.fit_sets(part.take(slice(0, 99)), 0.9, method, seed=k, k_reg=1)
        new = part.take(slice(99, 150))
        covered.append(sets.inside(new)[np.arange(51), new.labels].mean())
    error = np.std(covered) / np.sqrt(300)
    assert abs(np.mean(covered) - 0.9) < 4 * error
    assert error < 0.005


def test_equal_scores_are_taken_in_together():
    """20 labels have a score of 0.4 and 20 one of 0.6, of which the 21st smallest is the first."""
    probs = np.repeat([[0.6, 0.4], [0.4, 0.6]], 20, axis=0)
    rows = ct.Predictions.from_probs(probs, np.tile([0, 0, 0, 1], 10))
    sets = ct.fit_sets(rows, 0.5, "lac")
    assert sets.quantiles.tolist() == [0.6]
    assert sets.inside(rows).all()


# ------------------------------------------------------------------ measured


def test_a_report_counts_what_there_is():
    rows = with_extra(
        named(simulate(900, 4, seed=1)), {"place": np.array(["x", "y", "z"])[np.arange(900) % 3]}
    )
    sets = ct.fit_sets(named(simulate(500, 4)), 0.8)
    report = ct.evaluate_sets(rows, sets, ["place", "place,predicted"], resamples=100)
    inside = sets.inside(rows)
    covered, size = inside[np.arange(900), rows.labels], inside.sum(axis=1)
    assert report.whole.coverage.value == covered.mean()
    low, high = beta.ppf(
        [0.025, 0.975],
        [covered.sum(), covered.sum() + 1],
        [901 - covered.sum(), 900 - covered.sum()],
    )
    assert report.whole.coverage.low == pytest.approx(low, rel=1e-9)
    assert report.whole.coverage.high == pytest.approx(high, rel=1e-9)
    assert report.size.value == size.mean()
    assert report.size.low < size.mean() < report.size.high
    wide = 2 * 1.96 * size.std() / 30
    assert report.size.high - report.size.low == pytest.approx(wide, rel=0.2)
    assert report.whole.empty == (size == 0).mean()
    assert report.whole.single == (size == 1).mean()
    assert report.single_right == covered[size == 1].mean()
    by_class = {part.name: part for part in report.classes}
    for k, name in enumerate("abcd"):
        at = rows.labels == k
        assert by_class[name].rows == at.sum()
        assert by_class[name].coverage.value == covered[at].mean()
        assert by_class[name].size == size[at].mean()
    assert report.worst_class.coverage.value == min(part.coverage.value for part in report.classes)
    for part in report.sizes:
        assert part.coverage.value == covered[size == int(part.name)].mean()
    assert sum(part.rows for part in report.sizes) == 900
    assert [part.rows for part in report.groups if part.by == "place"] == [300, 300, 300]
    low, high = report.expected
    assert (low, high) == Promise(0.8, 500).observed(900)


def test_many_sizes_are_joined_in_ranges_that_double():
    """Row m has m equal classes, all of which have 1 - p of at most 0.98."""
    probs = np.tril(np.ones((40, 40))) / np.arange(1, 41)[:, None]
    rows = ct.Predictions.from_probs(probs, np.zeros(40, int))
    sets = PredictionSets(0.5, SetScore("lac", False), np.array([0.98]), (1,), 40)
    report = ct.evaluate_sets(rows, sets, resamples=0)
    assert {part.name: part.rows for part in report.sizes} == {
        **dict.fromkeys("12345", 1),
        "6 to 11": 6,
        "12 to 23": 12,
        "24 to 40": 17,
    }
    assert report.size.value == 20.5
    assert report.size.low is None


# ------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"coverage": 0}, "between 0 and 1, not 0"),
        ({"coverage": 1}, "between 0 and 1, not 1"),
        ({"coverage": 90}, "did you mean 0.9"),
        ({"coverage": float("nan")}, "between 0 and 1"),
        ({"method": "top-k"}, "one of lac, aps, raps (got 'top-k')"),
        ({"method": "lac", "randomized": True}, "no meaning for lac"),
        ({"method": "raps", "penalty": -1}, "--penalty must lie between 0 and"),
        ({"method": "raps", "penalty": float("nan")}, "--penalty must lie between 0 and"),
        ({"method": "raps", "k_reg": -1}, "--k-reg must not be negative"),
        ({"seed": -1}, "--seed must not be negative"),
        ({"coverage": 0.99}, "50 rows cannot promise a coverage of 99 %: at least 99 are needed"),
        ({"coverage": 0.97, "per_class": True}, "at least 33 rows of each class are needed"),
        ({"cross_fit": True}, "--cross-fit is for a calibrator"),
    ],
)
def test_what_cannot_be_promised(how, says):
    with pytest.raises(ct.CalibtoolError) as error:
        ct.fit_sets(named(simulate(50, 4)), **how)
    assert says in str(error.value)


def test_rows_that_cannot_set_a_threshold():
    rows = simulate(60, 3)
    calibrator = ct.fit("temperature", rows)
    for wrong, how, says in (
        (replace(rows, labels=None), {}, "has no labels"),
        (ct.Predictions.from_confidence([0.5] * 9, [1] * 9), {}, "whole rows"),
        (replace(rows, weights=np.arange(60.0)), {}, "its rows are weighted"),
        (rows, {"calibrator": calibrator}, "the calibrator was fitted on these rows"),
    ):
        with pytest.raises(ct.CalibtoolError, match=says):
            ct.fit_sets(wrong, 0.8, **how)
    alike = replace(rows, weights=np.full(60, 2.0))  # which weighs nothing
    assert ct.fit_sets(alike, 0.8).quantiles == ct.fit_sets(rows, 0.8).quantiles
    crossed = ct.fit_sets(rows, 0.8, calibrator=calibrator, cross_fit=True)
    assert "fits to the other four fifths" in crossed.notes[0]


def test_rows_that_cannot_be_measured():
    fitted = named(simulate(100, 4))
    sets = ct.fit_sets(fitted, 0.8)
    for wrong, says in (
        (fitted, "set by these very rows"),
        (simulate(100, 3, seed=1), "has 3 classes, the sets are of 4"),
        (named(simulate(100, 4, seed=1), "abdc"), "its class 'd' stands where the sets have 'c'"),
        (replace(simulate(100, 4, seed=1), labels=None), "has no labels"),
        (replace(simulate(100, 4, seed=1), weights=np.arange(100.0)), "its rows are weighted"),
        (ct.Predictions.from_confidence([0.5] * 9, [1] * 9), "whole rows"),
    ):
        with pytest.raises(ct.CalibtoolError, match=says):
            ct.evaluate_sets(wrong, sets)
    assert ct.evaluate_sets(simulate(5, 4, seed=1), sets).whole.coverage.low is None


# ------------------------------------------------------------------ the file


@pytest.mark.parametrize(("method", "per_class", "randomized"), RULES)
def test_a_file_holds_every_bit(method, per_class, randomized, tmp_path):
    calibrator = ct.fit("vector", simulate(200, 4, seed=5))
    sets = ct.fit_sets(
        named(simulate(300, 4)),
        0.8,
        method,
        per_class,
        randomized=randomized,
        seed=3,
        penalty=0.125,
        k_reg=2,
        calibrator=calibrator,
    )
    sets.save(tmp_path / "s.json")
    loaded = ct.load_sets(tmp_path / "s.json")
    written = json.loads((tmp_path / "s.json").read_text())
    assert [json.loads(json.dumps(one.document())) for one in (loaded, sets)] == [written] * 2
    other = simulate(100, 4, seed=1)
    assert (loaded.inside(other) == sets.inside(other)).all()
    assert loaded.describe() == sets.describe()
    assert [str(loaded), loaded.to_dict()] == [str(sets), sets.to_dict()]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "calibtool-calibrator"}, "format must be 'calibtool-sets'"),
        ({"version": 2}, "has version 2, this calibtool reads versions up to 1"),
        ({"method": "top"}, "method must be one of lac, aps, raps"),
        ({"method": "lac"}, "randomized must be false for lac"),
        ({"coverage": 1}, "coverage must be a number between 0 and 1"),
        ({"coverage": 0.999}, "rows[0] must be a whole number of at least 999"),
        ({"classes": 1}, "classes must be a whole number"),
        ({"class_names": ["a", "b"]}, "class_names must be a list of 4"),
        ({"class_names": list("abca")}, "class_names must be different names"),
        ({"quantiles": [0.5, 0.5]}, "quantiles must be a list of 1 numbers"),
        ({"quantiles": [1.5]}, "quantiles[0] must be a number from 0 to 1"),
        ({"quantiles": ["x"]}, "quantiles[0] must be a number"),
        ({"per_class": True}, "quantiles must be a list of 4 numbers"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"penalty": -1}, "penalty must be a number from 0"),
        ({"k_reg": 1.5}, "k_reg must be a whole number"),
        ({"rows": [3]}, "rows[0] must be a whole number of at least 4"),
        ({"calibrator": {"format": "x"}}, "calibrator.format must be 'calibtool-calibrator'"),
        ({"fitted": {}}, "fitted.kind is missing"),
    ],
)
def test_files_that_are_none(change, says, tmp_path):
    document = ct.fit_sets(named(simulate(100, 4)), 0.8).document()
    (tmp_path / "s.json").write_text(json.dumps(document | change))
    with pytest.raises(ct.CalibtoolError) as error:
        ct.load_sets(tmp_path / "s.json")
    assert says in str(error.value)
    assert "s.json" in str(error.value)


def test_a_calibrator_of_other_classes_in_the_file(tmp_path):
    document = ct.fit_sets(simulate(100, 4), 0.8).document()
    document["calibrator"] = ct.fit("temperature", simulate(100, 3)).document()
    (tmp_path / "s.json").write_text(json.dumps(document))
    with pytest.raises(ct.CalibtoolError, match=r"calibrator\.classes must be 4"):
        ct.load_sets(tmp_path / "s.json")
