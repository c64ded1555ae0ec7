"""Miscalibration and discrimination by isotonic recalibration."""

import numpy as np
from scipy.optimize import isotonic_regression

from calibtool.metrics import corp
from calibtool.metrics.cells import Cells


def test_replicates_are_recalibrated_apart_from_each_other():
    """Each as if it were alone, also where the next begins below its end, and with empty cells."""
    rng = np.random.default_rng(0)
    n = rng.integers(0, 4, (50, 20)) * rng.random((50, 20))
    n[:25] += 0.1  # without empty cells
    n[25, :3] = n[26, -3:] = 0
    y = n * rng.random(n.shape)
    cells = Cells(np.arange(1, 21) / 20, n, n / 2, y)
    found = corp.isotonic(cells)
    for row in range(len(n)):
        used = np.flatnonzero(n[row])
        fit = isotonic_regression(y[row, used] / n[row, used], weights=n[row, used]).x
        np.testing.assert_array_equal(found[row], np.interp(np.arange(20), used, fit))


def test_isotonic_recalibration_is_computed_once(monkeypatch):
    asked = []
    monkeypatch.setattr(corp, "_isotonic", lambda cells: asked.append(cells) or cells.p / cells.n)
    cells = Cells.from_rows(np.array([0.2, 0.8]), np.array([0, 1]))
    for metric in (corp.mcb, corp.dsc):
        metric(cells)
        metric(cells, score="log")
    assert len(asked) == 1
