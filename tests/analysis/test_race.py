"""Race: candidates that are certainly behind are fitted to no more folds, and the choice stays."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.analysis import race
from calibtool.analysis.candidate import NOTHING
from calibtool.analysis.trial import make_trial
from calibtool.calibrators import inputs
from calibtool.calibrators.crossfit import folds
from calibtool.calibrators.registry import finite_options
from calibtool.data.rows import reduce_rows
from calibtool.intervals.weighted_mean import variance_of_mean
from calibtool.metrics.proper import nll
from calibtool.reports.render import render

METHODS = ["temperature", "structured-vector", "histogram", "bbq"]


@pytest.fixture
def raced(monkeypatch):
    monkeypatch.setattr(race, "RACED", 1)


@pytest.fixture(scope="module")
def rows():
    return simulate(3000, 10)


@pytest.fixture(scope="module")
def whole(rows):
    return ct.select(rows, METHODS, resamples=200)


def test_files_of_fewer_values_are_not_raced(rows, whole):
    assert rows.values.size < race.RACED
    assert all(one.folds is None for one in whole.candidates)
    assert '"folds"' not in render(whole, "json")


def test_the_choice_is_that_of_all_folds(raced, rows, whole):
    found = ct.select(rows, METHODS, resamples=200)
    assert (found.chosen, found.best, found.why) == (whole.chosen, whole.best, whole.why)
    assert found.calibrator.map.parameters() == whole.calibrator.map.parameters()
    for one in found.candidates:
        if one.folds is None:  # fold times differ
            same = replace(one, fit_seconds=0, apply_seconds=0)
            assert same == replace(whole[one.method], fit_seconds=0, apply_seconds=0)


def test_those_that_left_are_measured_beside_the_best_on_the_rows_of_their_folds(raced, rows):
    found = ct.select(rows, METHODS, resamples=0)
    left = [one for one in found.candidates if one.folds is not None]
    assert {one.method for one in left} <= {"histogram", "bbq"}
    assert left
    fold = folds(rows)

    def losses(method, k):
        fitted = ct.fit(method, rows.take(np.flatnonzero(fold != k)), **smoothing(method))
        return nll(reduce_rows(fitted(rows.take(np.flatnonzero(fold == k)))))

    for one in left:
        own, best = (
            np.concatenate([losses(method, k) for k in range(one.folds)])
            for method in (one.method, found.best)
        )
        assert one.nll == pytest.approx(own.mean())
        assert one.behind == pytest.approx((own - best).mean())
        assert one.error == pytest.approx(np.sqrt(variance_of_mean(own - best)))
        assert one.behind > race.ERRORS * one.error
        assert one.score == pytest.approx(found[found.best].score + one.behind)
        assert one.phi == pytest.approx(found[NOTHING].score - one.score)


def smoothing(method):
    return {"smoothing": True} if method == "histogram" else {}


def test_intervals_of_those_that_left_are_of_the_rows_of_their_folds(raced, rows):
    found = ct.select(rows, METHODS, resamples=1000)
    one = next(one for one in found.candidates if one.folds is not None)
    assert one.low < one.behind < one.high
    assert (one.high - one.low) / one.error == pytest.approx(2 * 1.96, rel=0.15)


def test_every_format_says_who_left(raced, rows):
    found = ct.select(rows, METHODS, resamples=0)
    left = [one for one in found.candidates if one.folds is not None]
    told = json.loads(render(found, "json"))["candidates"]
    assert {one["method"]: one["folds"] for one in told} == {
        one.method: one.folds for one in found.candidates
    }
    assert "folds" in render(found, "csv").splitlines()[0].split(",")
    text = " ".join(render(found, "table").split())
    assert "only, and there more than 5 standard errors behind: " in text
    assert all(one.method in text for one in left)


def test_a_race_ends_with_one_calibrator_left(raced, rows):
    found = ct.select(rows, ["temperature", "histogram"], resamples=50)
    assert found.chosen == "temperature"
    assert found.how == "cross-fitted in 2 of 5 folds of 3,000 rows, until one was left"
    measured = np.flatnonzero(folds(rows) < 2)
    assert found.data.rows == len(measured) == 1200
    before = nll(reduce_rows(rows.take(measured))).mean()
    assert found[NOTHING].score == pytest.approx(before)
    assert found.calibrator.fitted.rows == 3000
    assert all(one.folds is None for one in found.candidates)


def test_how_far_behind_one_is_that_left_counts_weights(raced, rows):
    few = rows.take(slice(0, 1500))
    few = replace(few, weights=np.where(np.arange(1500) % 3 == 0, 2.0, 1.0))
    found = ct.select(few, METHODS, resamples=0)
    left = next(one for one in found.candidates if one.folds == 1)
    inside = folds(few) == 0
    fitted_on, measured = few.take(np.flatnonzero(~inside)), few.take(np.flatnonzero(inside))

    def loss(method):
        after = ct.fit(method, fitted_on, **finite_options(method))(measured)
        return nll(reduce_rows(after))

    behind = loss(left.method) - loss(found.candidates[0].method)
    assert left.behind == pytest.approx(np.average(behind, weights=measured.weights), rel=1e-6)


def test_with_a_test_set_there_is_no_race(raced, rows):
    found = ct.select(rows, METHODS, test=simulate(500, 10, seed=5), resamples=0)
    assert all(one.folds is None for one in found.candidates)


def test_progress_of_a_race_grows_to_the_end(raced, rows):
    told = []
    ct.select(rows, METHODS, resamples=50, progress=lambda *step: told.append(step))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] < 1
    assert {f"fitting {name}" for name in METHODS} < {stage for stage, _ in told}


def test_doing_nothing_that_may_be_the_choice_keeps_a_race_going(raced):
    right = simulate(3000, 10, scale=1.0)
    found = ct.select(right, ["temperature"], resamples=0)
    assert found.how == "cross-fitted in 5 folds"
    assert found.chosen == NOTHING


def test_candidates_of_a_fold_share_how_its_rows_look():
    rows = simulate(200, 4)
    split = make_trial(rows, None, of="", smoothing=True).holding(0).splits[0]
    held = split[0]()
    first = inputs.by_class(inputs.log_odds, held, 0.0)
    assert inputs.by_class(inputs.log_odds, held, 0.0) is first
    assert np.array_equal(inputs.by_class(inputs.log_odds, held.take(slice(0, None)), 0.0), first)
    alone, shared = (ct.fit("isotonic", one).map for one in (held.take(slice(0, None)), held))
    assert np.array_equal(alone(held).values, shared(held).values)
