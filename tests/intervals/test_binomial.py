"""Binomial counts by quantiles of uniform variables."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom

from calibtool.intervals.binomial import quantiles

U = (np.arange(20_000) + 0.5)[:, None] / 20_000


def counts(trials, rate):
    shape = np.full((len(U), 1), float(trials))
    return quantiles(U, lambda: ndtri(U), shape, np.array([rate]))[:, 0]


@pytest.mark.parametrize("rate", [0.001, 0.03, 0.2, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("variance", [0.3, 3.9, 4.1, 30])
def test_counts_are_binomial(rate, variance):
    trials = max(round(variance / rate / (1 - rate)), 1)
    hits = counts(trials, rate)
    assert (np.diff(hits) >= 0).all()
    ranks = np.unique(hits)
    shares = np.searchsorted(hits, ranks, side="right") / len(hits)
    assert np.abs(shares - binom.cdf(ranks, trials, rate)).max() < 0.003


def test_no_trial_and_certain_outcomes():
    assert not counts(0, 0.4).any()
    assert not counts(50, 0.0).any()
    assert (counts(50, 1.0) == 50).all()


def test_counts_move_as_little_as_their_rates():
    assert (counts(20, 0.3) != counts(20, 0.3 + 1e-6)).mean() < 1e-3
    assert (counts(900, 0.3) != counts(900, 0.3 + 1e-6)).mean() < 1e-3
