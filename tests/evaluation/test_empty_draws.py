"""Replicates that draw no row: of few rows, few with a weight, a class seldom predicted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import calibtool as ct
from calibtool import Predictions

METRICS = ("mcb", "dsc", "smece", "kuiper", "ks", "ici", "mmce", "sharpness", "ece", "brier")


def ends(data, metric, **asked):
    found = ct.evaluate(data, [metric], **asked)[metric]
    return found.low, found.value, found.high


@pytest.fixture
def ten():
    score = np.linspace(0.05, 0.85, 10)
    return Predictions.from_probs(score, np.array([0, 0, 1, 0, 0, 1, 0, 1, 1, 1]))


@pytest.fixture
def two_weighted(ten):
    weights = np.zeros(10)
    weights[[3, 5]] = 1, 0.5
    return replace(ten, weights=weights)


@pytest.mark.parametrize("ci", ["inverted", "percentile", "bca"])
@pytest.mark.parametrize("metric", METRICS)
def test_intervals_where_two_rows_have_all_the_weight(two_weighted, metric, ci):
    low, _, high = ends(two_weighted, metric, resamples=200, ci=ci)
    assert 0 <= low <= high <= 1


@pytest.mark.parametrize("metric", ["mcb", "smece", "ks"])
def test_intervals_of_cells_where_two_rows_have_all_the_weight(two_weighted, metric):
    low, _, high = ends(ct.cells(two_weighted), metric, resamples=200)
    assert 0 <= low < high <= 1


@pytest.mark.parametrize("metric", ["mcb", "smece", "kuiper", "ks", "ici"])
def test_intervals_where_one_row_is_predicted_as_a_class(metric):
    rng = np.random.Generator(np.random.PCG64(0))
    probs = rng.dirichlet(np.ones(3), 40) * [1, 1, 0.01]
    probs[7] = [0.1, 0.1, 0.8]
    labels = rng.integers(0, 3, 40)
    probs /= probs.sum(axis=1, keepdims=True)
    assert (probs.argmax(axis=1) == 2).sum() == 1
    data, spec = Predictions.from_probs(probs, labels), f"{metric}(view=label)"
    low, value, high = ends(data, spec, resamples=200)
    assert 0 < low < value
    assert low < high <= 1
