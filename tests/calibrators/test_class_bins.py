"""Bins of every class's probability: exact, whatever float32 says, and the same curves by them."""

from __future__ import annotations

import numpy as np
import pytest

import calibtool as ct
from calibtool.calibrators import class_bins, inputs
from calibtool.calibrators.class_bins import beyond_first

EDGES = np.arange(1, 20) / 20


def on_the_edges(dtype, seed=0):
    """Logits whose probabilities are multiples of 1/20, but for rounding."""
    rng = np.random.Generator(np.random.PCG64(seed))
    shares = rng.multinomial(20, rng.dirichlet(np.full(7, 0.5), 2000)) / 20
    z = np.log(shares + 1e-30) + rng.normal(scale=5, size=(2000, 1))
    return ct.Predictions.from_logits(z.astype(dtype), rng.integers(7, size=2000))


def bins_of(block):
    row, label, bins = beyond_first(block, EDGES)
    found = np.zeros((block.rows, block.classes), int)
    found[row, label] = bins
    return found


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_bins_of_logits_are_those_of_their_probabilities_in_float64(dtype, monkeypatch):
    block = on_the_edges(dtype)
    exact = np.searchsorted(EDGES, inputs.probs(block))
    np.testing.assert_array_equal(bins_of(block), exact)
    if dtype != np.float16:  # whose rounding moves the logits off the edges
        monkeypatch.setattr(class_bins, "ROUGH", 0.0)
        assert (bins_of(block) != exact).any()  # what float32 alone would say


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bins_of_probabilities_are_in_their_own_precision(dtype):
    probs = np.array([[0.05, 0.35, 0.6], [0.15, 0.25, 0.6]], dtype)
    block = ct.Predictions.from_probs(probs, None)
    np.testing.assert_array_equal(bins_of(block), [[0, 6, 11], [2, 4, 11]])


@pytest.mark.parametrize("options", [{}, {"bins": 20}, {"bins": 7, "smoothing": True}])
def test_histograms_of_all_classes_at_once_are_those_of_each(options):
    block = on_the_edges(np.float32)
    weights = np.ones(block.rows)  # rows with weights are sorted class by class
    weighted = ct.Predictions.from_logits(block.values, block.labels, weights=weights)
    at_once = ct.fit("histogram", block, **options)
    one_by_one = ct.fit("histogram", weighted, **options)
    assert at_once.parameters() == one_by_one.parameters()
    values = at_once.map.by_class(block)
    np.testing.assert_array_equal(at_once(block).values, (values / values.sum(axis=0)).T)


def test_a_row_whose_bins_are_all_zero_becomes_the_shares_of_the_classes():
    probs = np.array([[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.2, 0.2, 0.6], [0.3, 0.3, 0.4]])
    calibrator = ct.fit("histogram", ct.Predictions.from_probs(probs, [0, 1, 2, 2]), bins=2)
    # 1 in the bin of the label, 0 in the other; class 2 has one label in its lower bin
    third = ct.Predictions.from_probs([[0.3, 0.3, 0.4], [0.55, 0.25, 0.2]], None)
    np.testing.assert_allclose(calibrator(third).values[0], [0, 0, 1])
    without = ct.fit("histogram", ct.Predictions.from_probs(probs[:3], [0, 1, 2]), bins=2)
    np.testing.assert_allclose(without(third).values, [[1 / 3] * 3, [1, 0, 0]])
