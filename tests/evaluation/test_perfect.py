"""Outcomes of single rows under perfect calibration, and the p-values that they give."""

from __future__ import annotations

import numpy as np
import pytest

import calibtool as ct
from calibtool.evaluation import perfect
from calibtool.intervals.draws import Draws

DRAWS = Draws(20_000, 0, 4)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 2.0, 0.5, 1.0])])
def test_drawn_labels_are_those_of_the_rows(weights):
    probs = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.05, 0.05, 0.9], [0.4, 0.3, 0.3]])
    bins = (probs > 0.35).astype(np.int64)
    drawn = perfect.of_labels([(probs, bins + 2 * np.arange(3))], 6, weights, DRAWS)
    assert np.abs(drawn.sum(axis=1)).max() < 1e-6  # a row has one label
    # a label is in one of three cells; rows are independent
    shares = np.full(4, 0.25) if weights is None else weights / weights.sum()
    covariance = np.zeros((6, 6))
    for p, at, share in zip(probs, bins + 2 * np.arange(3), shares, strict=True):
        covariance[np.ix_(at, at)] += share**2 * (np.diag(p) - np.outer(p, p))
    assert np.allclose(drawn.mean(axis=0), 0, atol=0.006)
    assert np.allclose(np.cov(drawn.T), covariance, atol=0.002)


def test_drawn_outcomes_of_problems_are_those_of_their_rows():
    rng = np.random.default_rng(0)
    rows = [(rng.random(30), rng.integers(0, 3, 30), None), (rng.random(5), np.full(5, 2), None)]
    drawn = perfect.of_scores(rows, 4, DRAWS)
    assert drawn.shape == (20_000, 2, 4)
    for k, (score, where, _) in enumerate(rows):
        variance = np.bincount(where, score * (1 - score), 4) / 35**2
        assert np.allclose(drawn[:, k].mean(axis=0), 0, atol=1e-3)
        assert np.allclose(drawn[:, k].var(axis=0), variance, rtol=0.05)


def test_rows_of_a_cluster_and_many_rows_are_not_drawn_one_by_one():
    assert perfect.few(Draws(1_000, 0, 524))
    assert not perfect.few(Draws(1_000, 0, 525))
    assert not perfect.few(Draws(100, 0, 100, np.arange(100)))


OF_FEW_ROWS = ["classwise-ece", "tace", "ece", "rmsce(view=label)"]


@pytest.fixture(scope="module")
def of_few_rows():
    rng, reports = np.random.default_rng(1), []
    for seed in range(60):
        z = 4 * rng.standard_normal((60, 6))
        labels = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
        data = ct.Predictions.from_logits(z, labels)
        reports.append(ct.evaluate(data, OF_FEW_ROWS, resamples=100, seed=seed))
    return reports


@pytest.mark.parametrize("metric", OF_FEW_ROWS)
def test_of_few_rows_p_values_are_as_small_as_the_rows_make_them(metric, of_few_rows):
    small = sum(report[metric].p_value <= 0.2 for report in of_few_rows)
    # 12 of 60; 20 or more have a chance of 0.9 %, 4 or fewer of 0.3 %
    assert 4 < small < 20
