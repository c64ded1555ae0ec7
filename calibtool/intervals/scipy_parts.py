"""Compiled functions of SciPy, without the packages around them.

Importing scipy.sparse takes 0.15 s, a tenth of many commands, and scipy.optimize 0.4 s: both import
the tests of NumPy and its compiler of Fortran, all to serve other kinds of arrays. The compiled
functions take a hundredth of that, and are those that the packages call. A version of SciPy that
has them elsewhere is imported whole.
"""

from __future__ import annotations

import sys
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from itertools import accumulate
from threading import RLock
from types import ModuleType
from typing import Any

import numpy as np

from calibtool.types import Array

_LOADING = RLock()
ELSEWHERE = (ImportError, AttributeError)  # of a version of SciPy that keeps them elsewhere


@cache
def compiled(name: str) -> ModuleType:
    """Import a compiled module with packages around it that were found but not run.

    Raises ImportError, AttributeError where SciPy has no such module.
    """
    top, *inner = name.split(".")[:-1]
    with _LOADING:
        added = []
        try:
            for package in list(accumulate(inner, "{}.{}".format, initial=top))[1:]:
                if package not in sys.modules:
                    sys.modules[package] = _not_run(package)
                    added.append(package)
            return import_module(name)
        finally:
            for package in added:
                del sys.modules[package]


def _not_run(name: str) -> ModuleType:
    """Return a package that can be searched for modules, and has not run."""
    spec = find_spec(name)
    if spec is None:
        raise ImportError(name)
    package = module_from_spec(spec)

    def whole(attribute: str) -> Any:
        """Return what another thread asks of the package meanwhile, from the one that is run."""
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        with _LOADING:
            return getattr(import_module(name), attribute)

    vars(package)["__getattr__"] = whole
    return package


def isotonic_regression(y: Array, weights: Array) -> tuple[Array, Array]:
    """Return the non-decreasing values closest to y, (n,), and where their blocks begin, followed
    by n: scipy.optimize.isotonic_regression.

    >>> isotonic_regression(np.array([1.0, 3.0, 2.0]), np.ones(3))
    (array([1. , 2.5, 2.5]), array([0, 1, 3]))
    """
    try:
        pava = compiled("scipy.optimize._pava_pybind").pava
    except ELSEWHERE:
        from scipy.optimize import isotonic_regression as regression

        found = regression(y, weights=weights)
        return found.x, found.blocks
    values, mass = (np.array(x, np.float64) for x in (y, weights))  # both are overwritten
    values, _, ends, blocks = pava(values, mass, np.full(len(values) + 1, -1, np.intp))
    return values, ends[: blocks + 1]


def cosines(x: Array, *, overwrite: bool = False) -> Array:
    """Return the discrete cosine transform of type 1 of each row, (..., n), of float64:
    scipy.fft.dct. It takes the place of x where that may be overwritten.

    >>> cosines(np.array([[1.0, 0.0, 0.0]]))
    array([[1., 1., 1.]])
    """
    try:
        dct = compiled("scipy.fft._pocketfft.pypocketfft").dct
    except ELSEWHERE:
        from scipy.fft import dct as transform

        return np.asarray(transform(x, type=1, overwrite_x=overwrite))
    return np.asarray(dct(x, 1, (-1,), out=x if overwrite else None))


def city_block(a: Array, b: Array | None = None) -> Array:
    """Return the sums of absolute differences between the rows of a, (n, K), and b, (m, K), both
    float64: (n, m), scipy.spatial.distance.cdist. Without b, of each pair of rows of a:
    (n (n - 1) / 2,), scipy.spatial.distance.pdist.

    >>> city_block(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    array([[2., 0.]])
    """
    try:
        distances = compiled("scipy.spatial._distance_pybind")
        pdist, cdist = distances.pdist_cityblock, distances.cdist_cityblock
    except ELSEWHERE:
        from scipy.spatial import distance

        pdist, cdist = (partial(f, metric="cityblock") for f in (distance.pdist, distance.cdist))
    return np.asarray(pdist(a) if b is None else cdist(a, b))


class Columns:
    """A sparse matrix stored by column, of which products are made: scipy.sparse.csc_array.

    >>> matrix = Columns(np.array([2.0, 3.0]), np.array([0, 1]), np.array([1, 1]), (2, 2))
    >>> matrix @ np.array([[1.0, 2.0], [10.0, 20.0]])
    array([[20., 40.],
           [30., 60.]])
    """

    def __init__(self, values: Array, row: Array, column: Array, shape: tuple[int, int]) -> None:
        """Store `values` in a row and a column each; those in the same place add up."""
        self._tools = compiled("scipy.sparse._sparsetools")
        self.shape, self.dtype = shape, values.dtype
        self.starts = np.empty(shape[1] + 1, np.int32)
        self.rows, self.values = np.empty(len(values), np.int32), np.empty_like(values)
        placed = column.astype(np.int32), row.astype(np.int32), values
        stored = self.starts, self.rows, self.values
        self._tools.coo_tocsr(shape[1], shape[0], len(values), *placed, *stored)

    def __matmul__(self, other: Array) -> Array:
        """Return the product with a dense matrix of the same type."""
        out = np.zeros((self.shape[0], other.shape[1]), self.dtype)
        stored = self.starts, self.rows, self.values
        sizes = *self.shape, other.shape[1]
        self._tools.csc_matvecs(*sizes, *stored, other.ravel(), out.ravel())
        return out


def stored_by_column(values: Array, row: Array, column: Array, shape: tuple[int, int]) -> Any:
    """Return `Columns`, or SciPy's own where its compiled functions are elsewhere."""
    try:
        return Columns(values, row, column, shape)
    except ELSEWHERE:
        from scipy.sparse import csc_array

        return csc_array((values, (row, column)), shape=shape)
