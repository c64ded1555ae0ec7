"""Sums of short rows have the digits of NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from calibtool.metrics.norms import sums


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, 7, 8, 9, 15, 16, 20, 23, 24, 200])
def test_sums_of_rows_are_those_of_numpy(columns, dtype):
    rng = np.random.default_rng(columns)
    shape = (30, 4, columns)
    rows = (rng.standard_normal(shape) * 10.0 ** rng.integers(-4, 4, shape)).astype(dtype)
    for some in (rows, rows[0], rows[0, 0], rows[:0], rows.transpose(1, 0, 2), rows[..., ::2]):
        found = sums(some)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, some.sum(-1))
