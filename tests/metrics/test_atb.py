"""Averaged two-bin calibration error, against its definition."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

import calibtool as ct
from calibtool.metrics.cells import Cells
from calibtool.metrics.cumulative import atb


def by_definition(scores, outcomes, weights=None):
    """The integral over q, split where the integrand changes, with sums over all rows at each q."""
    w = np.ones(len(scores)) if weights is None else np.asarray(weights, float)
    ends = np.unique([0.0, *scores, 1.0])
    total = 0.0
    for low, high in pairwise(ends):
        below = scores < (low + high) / 2
        gaps = w * (scores - outcomes) / w.sum()
        total += (high - low) * (gaps[below].sum() ** 2 + gaps[~below].sum() ** 2)
    return total


def value(scores, outcomes, **how):
    p = ct.Predictions.from_probs(scores, outcomes, **how)
    return ct.evaluate(p, ["atb"], ci="none")["atb"].value


@pytest.mark.parametrize("decimals", [1, 6])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_its_definition(seed, decimals):
    rng = np.random.Generator(np.random.PCG64(seed))
    scores = rng.random(60).round(decimals)
    outcomes = (rng.random(60) < scores**2).astype(int)
    weights = 1.0 + rng.integers(0, 4, 60)
    assert value(scores, outcomes) == pytest.approx(by_definition(scores, outcomes), rel=1e-12)
    expected = by_definition(scores, outcomes, weights)
    assert value(scores, outcomes, weights=weights) == pytest.approx(expected, rel=1e-12)


def test_many_thresholds_give_the_same_mean():
    scores, outcomes = np.array([0.1, 0.35, 0.35, 0.9]), np.array([0, 1, 0, 0])
    q = (np.arange(200_000) + 0.5) / 200_000
    below = (scores < q[:, None]) * (scores - outcomes)
    above = (scores >= q[:, None]) * (scores - outcomes)
    mean = np.mean(below.mean(axis=1) ** 2 + above.mean(axis=1) ** 2)
    assert value(scores, outcomes) == pytest.approx(mean, abs=1e-6)


def expected(reported, true):
    """The mean over all outcomes of independent rows with these true probabilities."""
    total = 0.0
    for outcome in product((0, 1), repeat=len(true)):
        y = np.array(outcome)
        chance = np.where(y == 1, true, 1 - true).prod()
        total += chance * float(atb(Cells.from_rows(np.asarray(reported), y)))
    return total


def test_on_average_no_report_beats_the_true_probabilities():
    """Truthfulness, by enumeration; the mean at the truth is sum of p (1 - p) / N^2."""
    true = np.array([0.15, 0.3, 0.5, 0.62, 0.9])
    honest = expected(true, true)
    assert honest == pytest.approx((true * (1 - true)).sum() / len(true) ** 2, rel=1e-12)
    rng = np.random.Generator(np.random.PCG64(0))
    for _ in range(40):
        other = np.clip(true + rng.normal(0, 0.15, len(true)), 0, 1)
        assert expected(other, true) > honest
    assert expected(np.full(5, true.mean()), true) > honest - 1e-12


def test_of_a_file_in_cells_it_is_nearly_that_of_the_rows():
    rng = np.random.Generator(np.random.PCG64(0))
    scores = rng.random(5000)
    p = ct.Predictions.from_probs(scores, rng.random(5000) < scores**1.5)
    spec = "atb(view=positive)"
    rows, cells = (ct.evaluate(x, [spec], ci="none")[spec].value for x in (p, ct.cells(p, spec)))
    assert cells == pytest.approx(rows, rel=1e-3)


def test_it_has_no_interval():
    rng = np.random.Generator(np.random.PCG64(0))
    scores = rng.random(500)
    p = ct.Predictions.from_probs(scores, rng.random(500) < scores)
    assert ct.evaluate(p, ["atb"], resamples=50)["atb"].low is None
