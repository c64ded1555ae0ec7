"""The reduction of a block: sums per class of the entries below the lowest bin edge."""

from __future__ import annotations

import numpy as np
import pytest

import calibtool as ct
from calibtool.data.blocks import Wanted, reduce_block


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rows", [1, 15, 16, 17, 31, 32, 33, 95, 1000])
@pytest.mark.parametrize("classes", [3, 40])
def test_sums_below_the_lowest_edge_are_those_of_float64(rows, classes, weighted):
    rng = np.random.default_rng(rows)
    probs = rng.dirichlet(np.full(classes, 0.3), rows).astype(np.float32)
    weights = rng.uniform(0.5, 2, rows) if weighted else None
    block = ct.Predictions.from_probs(probs, rng.integers(classes, size=rows), weights=weights)
    reduced = reduce_block(block, Wanted(lowest=0.1), lean=True)
    low = np.where(block.values > np.float32(0.1), 0, block.values.astype(np.float64))
    each = np.ones(rows) if weights is None else weights
    assert reduced.low == pytest.approx(each @ low, rel=1e-6, abs=1e-7 * rows)
    assert reduced.low_squares == pytest.approx(each @ low**2, rel=1e-6, abs=1e-7 * rows)
