"""Compiled functions of SciPy without the packages around them: the same bits as with them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.fft
import scipy.optimize
import scipy.sparse
from scipy.spatial import distance

from calibtool.intervals import scipy_parts as module

HEAVY = ("scipy.fft", "scipy.optimize", "scipy.sparse", "scipy.spatial", "scipy._lib._util")
CALLS = f"""
import sys
import numpy as np
from calibtool.intervals import scipy_parts as module
module.isotonic_regression(np.ones(3), np.ones(3))
module.cosines(np.ones((2, 3)))
module.city_block(np.ones((2, 3)))
module.stored_by_column(np.ones(2), np.arange(2), np.arange(2), (2, 2)) @ np.ones((2, 2))
assert not set(sys.modules) & {set(HEAVY)!r}
import scipy.fft, scipy.optimize, scipy.sparse, scipy.spatial.distance
assert scipy.optimize.isotonic_regression([2.0, 1.0]).x.tolist() == [1.5, 1.5]
assert scipy.fft.dct([1.0, 0.0, 0.0], type=1).tolist() == [1, 1, 1]
"""


@pytest.fixture(params=["alone", "elsewhere"], autouse=True)
def place(request, monkeypatch):
    """Where SciPy has its compiled functions: as they are known, or elsewhere."""

    def missing(name):
        raise ImportError(name)

    if request.param == "elsewhere":
        monkeypatch.setattr(module, "compiled", missing)


def test_isotonic_regression():
    rng = np.random.default_rng(0)
    y, weights = rng.random(500).cumsum() + 3 * rng.random(500), rng.random(500)
    y[200] = np.nan  # as rows that are fitted at once are kept apart
    before = y.copy()
    fitted, blocks = module.isotonic_regression(y, weights)
    expected = scipy.optimize.isotonic_regression(y, weights=weights)
    np.testing.assert_array_equal(fitted, expected.x)
    np.testing.assert_array_equal(blocks, expected.blocks)
    np.testing.assert_array_equal(y, before)


@pytest.mark.parametrize("overwrite", [False, True])
def test_cosines(overwrite):
    x = np.random.default_rng(1).standard_normal((3, 259))[:, 1:-1]
    before, expected = x.copy(), scipy.fft.dct(x, type=1)
    np.testing.assert_array_equal(module.cosines(x, overwrite=overwrite), expected)
    assert (x == before).all() != overwrite


def test_city_block():
    a, b = np.random.default_rng(2).random((2, 40, 7))
    np.testing.assert_array_equal(module.city_block(a, b), distance.cdist(a, b, "cityblock"))
    np.testing.assert_array_equal(module.city_block(a), distance.pdist(a, "cityblock"))


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_products_of_sparse_matrices(kind):
    rng = np.random.default_rng(3)
    values = rng.integers(1, 9, 60).astype(kind)
    row, column = rng.integers(0, 5, 60), rng.integers(0, 30, 60)  # some twice
    matrix = module.stored_by_column(values, row, column, (5, 30))
    dense = rng.integers(0, 6, (30, 4)).astype(kind)
    expected = scipy.sparse.coo_array((values, (row, column)), shape=(5, 30)) @ dense
    found = matrix @ dense
    assert found.dtype == matrix.dtype == kind
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(matrix @ dense.T.copy().T, expected)  # in any order in memory


def test_the_packages_are_not_imported_and_can_be_afterwards():
    run = [sys.executable, "-c", CALLS]
    done = subprocess.run(run, check=False, capture_output=True, text=True)
    assert not done.returncode, done.stderr
