"""Fits to cells, held to fits to the rows that the cells were made of."""

from __future__ import annotations

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.calibrators.registry import METHODS
from calibtool.data.rows import to_probs
from calibtool.errors import FitError, NotAvailableError, UsageError

TO_CELLS = [name for name, line in METHODS.items() if line.to_cells]
ROWS = 40_000


def binary(rows=ROWS, seed=0):
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.normal(-1, 1.5, rows)
    labels = rng.random(rows) < 1 / (1 + np.exp(-(0.7 * x - 0.3)))
    return ct.Predictions.from_probs((1 / (1 + np.exp(-x))).astype(np.float32), labels)


TWO, THREE = binary(), to_probs(simulate(ROWS, 3))


def nll(fitted, p):
    probs = to_probs(fitted(p)).matrix()[np.arange(p.rows), p.labels]
    return -np.log(np.maximum(probs.astype(float), 1e-12)).mean()


@pytest.mark.parametrize("p", [TWO, THREE], ids=["two classes", "three classes"])
@pytest.mark.parametrize("method", TO_CELLS)
def test_a_fit_to_cells_is_nearly_that_to_rows(method, p, tmp_path):
    state = ct.cells(p)
    rows, cells = ct.fit(method, p), ct.fit(method, state)
    a, b = (to_probs(fitted(p)).matrix() for fitted in (rows, cells))
    limits = {"platt": 1e-5, "beta": 2e-5, "quadratic": 4e-5, "histogram": 0}
    limit = (limits | {"isotonic": 2e-3, "bbq": 6e-3})[method]
    assert np.abs(a - b).mean() <= limit
    assert nll(cells, p) == pytest.approx(nll(rows, p), abs=4e-4)
    assert cells.fitted.rows == ROWS
    assert cells.fitted.prior == pytest.approx(rows.fitted.prior, abs=1e-12)
    assert cells.fitted.notes == ("fitted on cells: a row counts as its cell's mean score",)
    cells.save(tmp_path / "cal.json")
    np.testing.assert_array_equal(
        ct.load_calibrator(tmp_path / "cal.json")(p).values, cells(p).values
    )


@pytest.mark.parametrize("method", [name for name in TO_CELLS if METHODS[name].zeros])
def test_smoothing_of_cells_is_nearly_that_of_rows(method):
    p = TWO.take(slice(0, 2000))
    a, b = (ct.fit(method, x, smoothing=True)(p).values for x in (p, ct.cells(p)))
    assert np.abs(a - b).mean() <= {"histogram": 1e-12, "isotonic": 2e-3}[method]
    assert 0 < b.min() < b.max() < 1


@pytest.mark.parametrize("method", TO_CELLS)
def test_the_order_of_merging_changes_no_digit(method):
    parts = [ct.cells(TWO.take(slice(k, None, 3))) for k in range(3)]
    one, other = parts[0] + parts[1] + parts[2], parts[2] + (parts[0] + parts[1])
    whole = ct.fit(method, ct.cells(TWO)).parameters()
    assert ct.fit(method, one).parameters() == whole
    assert ct.fit(method, other).parameters() == whole


def test_equal_width_bins_are_exact_where_scores_lie_on_their_edges():
    p = ct.Predictions.from_probs(np.arange(11, dtype=np.float32) / 10, np.arange(11) % 2)
    rows, cells = ct.fit("histogram", p, bins=10), ct.fit("histogram", ct.cells(p), bins=10)
    np.testing.assert_allclose(cells(p).values, rows(p).values, rtol=0, atol=1e-15)


def test_weights_are_those_of_the_cells():
    weights = 0.5 + np.arange(ROWS) % 4
    p = ct.Predictions.from_probs(TWO.values, TWO.labels, weights=weights)
    rows, cells = ct.fit("platt", p), ct.fit("platt", ct.cells(p))
    assert cells.map.curves[0].a == pytest.approx(rows.map.curves[0].a, abs=1e-4)
    assert cells.fitted.prior == pytest.approx(rows.fitted.prior, abs=1e-12)


def test_one_curve_of_the_confidence():
    how = {"multiclass": "confidence"}
    rows, cells = ct.fit("platt", THREE, **how), ct.fit("platt", ct.cells(THREE), **how)
    assert cells.map.curves[0].a == pytest.approx(rows.map.curves[0].a, abs=1e-3)


def test_what_cells_do_not_tell_is_said():
    state = ct.cells(TWO)
    with pytest.raises(UsageError, match="isotonic, histogram, bbq can be fitted to cells"):
        ct.fit("temperature", state)
    with pytest.raises(UsageError, match="--by needs rows"):
        ct.fit("platt", state, by="country")
    with pytest.raises(NotAvailableError, match="top-label needs the predictions"):
        ct.fit("platt", ct.cells(THREE), multiclass="top-label")
    with pytest.raises(NotAvailableError, match="wide bins"):
        ct.fit("platt", ct.cells(simulate(500, 20)))
    with pytest.raises(FitError, match="predictions: there are no negatives"):
        ct.fit("platt", ct.cells(ct.Predictions.from_probs([0.2, 0.7], [1, 1])))


def test_a_file_of_cells_is_fitted_by_the_command(tmp_path, capsys, monkeypatch):
    from calibtool.cli.main import main

    monkeypatch.chdir(tmp_path)
    np.savez("day.npz", probs=TWO.values[:, 0], labels=TWO.labels)
    assert main(["cells", "day.npz", "-o", "day.cells"]) == 0
    capsys.readouterr()
    assert main(["fit-isotonic", "day.cells", "-o", "cal.json"]) == 0
    out = capsys.readouterr()
    assert max(map(len, out.out.splitlines())) <= 80
    assert "Fitted on 40,000 rows" in out.out
    assert "Cells hold no rows to report on" in out.out
    assert "a row counts as its cell's mean score" in out.err
    assert main(["evaluate", "day.npz", "--calibrator", "cal.json", "--ci", "none"]) == 0
    assert main(["fit-isotonic", "day.cells", "--test", "day.npz", "--ci", "none"]) == 0
    assert "isotonic regression" in capsys.readouterr().out
    for line, says in (
        ("fit-isotonic day.cells --format json", "give some with --test FILE"),
        ("fit-isotonic day.cells --by country", "--by needs rows"),
        ("fit-temperature day.cells", "fit-temperature needs rows"),
        ("fit-spline day.cells", "can be fitted to cells"),
    ):
        assert main(line.split()) == 2
        assert says in " ".join(capsys.readouterr().err.split())
