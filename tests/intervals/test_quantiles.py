"""Quantiles of replicates are those of NumPy."""

import math
import subprocess
import sys

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


def test_intervals_of_the_default_metrics_do_without_masked_arrays():
    # numpy.unique and numpy.quantile import numpy.ma, a twentieth of a short command
    code = """
import sys, numpy as np, calibtool as ct
rng = np.random.default_rng(0)
z = rng.standard_normal((5000, 3))
ct.evaluate((z, (z + rng.gumbel(size=z.shape)).argmax(axis=1)), resamples=100)
print([name for name in sys.modules if name.split(".")[:2] in (["numpy", "ma"], ["scipy"])])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
