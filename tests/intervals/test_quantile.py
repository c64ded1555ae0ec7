"""Quantiles of sorted values are those of NumPy, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from calibtool.intervals.quantile import of_sorted, of_sorted_rows
from calibtool.types import Array

SHARES = (0.0, 0.025, 0.5, 0.75, 0.9975, 1.0)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 2, 3, 10, 401, 1000])
def test_every_bit_is_that_of_numpy(kind: type[np.floating], rows: int) -> None:
    rng = np.random.default_rng(rows)
    for share in [*SHARES, 1 - 1e-9, *rng.random(50).tolist()]:
        for values in (rng.standard_normal(rows), rng.integers(0, 3, rows) / 7):
            given: Array = values.astype(kind)
            assert of_sorted(np.sort(given), share) == float(np.quantile(given, share))


def test_a_value_that_is_not_defined_leaves_no_quantile() -> None:
    assert np.isnan(of_sorted(np.sort(np.array([1.0, np.nan, 0.0])), 0.5))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_rows_have_the_quantiles_of_each_alone(kind: type[np.floating]) -> None:
    values = np.sort(np.random.default_rng(0).standard_normal((5, 40)).astype(kind), axis=1)
    values[3, -1] = np.nan
    for share in SHARES:
        alone = [of_sorted(row, share) for row in values]
        np.testing.assert_array_equal(of_sorted_rows(values, share), np.array(alone))
