"""Quantiles of replicates are those of NumPy."""

import math

import numpy as np
import pytest

from calibtool.intervals.quantiles import quantiles

SHARES = [0.0, 0.025, 0.05, 1 / 3, 0.5, 0.9, 0.975, 1 - 1e-9, 1.0]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 3, 10, 999, 1000])
def test_quantiles_are_those_of_numpy_to_the_digit(kind, count):
    rng = np.random.default_rng(count)
    for values in (rng.standard_normal(count), rng.integers(0, 3, count) / 7):
        given = values.astype(kind)
        assert quantiles(given, SHARES) == [float(np.quantile(given, s)) for s in SHARES]
        np.testing.assert_array_equal(given, values.astype(kind))  # not sorted in place


def test_a_value_that_is_not_a_number_leaves_no_quantile():
    assert all(map(math.isnan, quantiles(np.array([1.0, math.nan, 2.0]), [0.0, 0.5])))
