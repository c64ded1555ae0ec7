"""Quantiles of the normal distribution are those of SciPy, and need no SciPy."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from calibtool.intervals.normal import NEAREST, quantiles


def test_the_quantiles_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    near = np.geomspace(NEAREST, 0.2, 20_001)
    shares = np.concatenate([rng.random(100_000), near, 1 - near, [0.5, np.exp(-2)]])
    shares = shares.clip(NEAREST, 1 - NEAREST)
    # to the bit where SciPy is compiled without fused multiplication, as on x86
    np.testing.assert_array_max_ulp(quantiles(shares), ndtri(shares), 4)
    assert quantiles(np.array([[0.5, 0.25]])).shape == (1, 2)
