"""Laws of the door: every public function takes data in every form, and refuses all else alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import calibtool as ct
from calibtool.decisions.costs import Costs
from calibtool.diagrams.registry import KINDS
from calibtool.errors import InputError, UsageError
from calibtool.streaming.read import EXPECTED
from calibtool.testing import assert_calibrated

RNG = np.random.Generator(np.random.PCG64(18))
SCORES = RNG.random(240).round(3)
LABELS = (RNG.random(240) < SCORES).astype(np.int64)
PLACES = np.array(["here", "there"] * 120)
COLUMNS: dict[str, Any] = {"p": SCORES, "clicked": LABELS, "place": PLACES, "day": np.arange(240)}
ROLES = {"score": "p", "labels": "clicked"}
FEW = {"resamples": 20}


class Stream:
    """All that an Arrow table offers to others."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


def _torch() -> Any:
    torch = pytest.importorskip("torch")
    return torch.tensor(SCORES), torch.tensor(LABELS)


def _jax() -> Any:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return jax.numpy.asarray(SCORES), jax.numpy.asarray(LABELS)


def _duckdb(path: Any) -> Any:
    return pytest.importorskip("duckdb").sql(f"select * from '{path}'")


# every form, made from the rows above, in a folder with their file; with the keys that it needs
FORMS: dict[str, tuple[Callable[[Any], Any], dict[str, str]]] = {
    "text": (str, ROLES),
    "path": (lambda path: path, ROLES),
    "pair": (lambda _: (SCORES, LABELS), {}),
    "lists": (lambda _: [SCORES.tolist(), LABELS.tolist()], {}),
    "mapping": (lambda _: dict(COLUMNS), ROLES),
    "lists by name": (lambda _: {"p": SCORES.tolist(), "clicked": LABELS.tolist()}, ROLES),
    "arrow": (lambda _: pa.table(COLUMNS), ROLES),
    "batch": (lambda _: pa.RecordBatch.from_pydict(COLUMNS), ROLES),
    "stream": (lambda _: Stream(pa.table(COLUMNS)), ROLES),
    "pandas": (lambda _: pytest.importorskip("pandas").DataFrame(COLUMNS), ROLES),
    "torch": (lambda _: _torch(), {}),
    "predictions": (lambda _: ct.Predictions.from_probs(SCORES, LABELS), {}),
    "source": (lambda path: ct.scan(path, **ROLES), {}),
    # not in the test extra: run where they happen to be installed
    "polars": (lambda _: pytest.importorskip("polars").DataFrame(COLUMNS), ROLES),
    "polars, lazy": (lambda _: pytest.importorskip("polars").LazyFrame(COLUMNS), ROLES),
    "duckdb": (_duckdb, ROLES),
    "jax": (lambda _: _jax(), {}),
}


def _page(data: Any, keys: dict[str, str]) -> Any:
    return ct.write_report([data], "page.md", methods=[], **FEW, **keys).subjects[0].verdict


def _gate(data: Any, keys: dict[str, str]) -> Any:
    return ct.check(data, ["delta(brier) <= 0.1"], baseline=data, **FEW, **keys).decision


# every public function that takes predictions, and of its result what is compared
FUNCTIONS: dict[str, Callable[[Any, dict[str, str]], Any]] = {
    "choose_threshold": lambda data, k: (
        ct.choose_threshold(data, target="risk <= 50 %", **k).threshold
    ),
    "decision_costs": lambda data, k: ct.decision_costs(data, costs=COSTS, **k).gains,
    "estimate": lambda data, k: ct.estimate(data, **FEW, **k).metrics,
    "estimate_prior": lambda data, k: ct.estimate_prior(data, data, **FEW, **k).classes,
    "evaluate_sets": lambda data, k: ct.evaluate_sets(data, SETS, **FEW, **k).whole,
    "fit_sets": lambda data, k: ct.fit_sets(data, **k).quantiles,
    "evaluate": lambda data, k: ct.evaluate(data, ["brier"], ci="none", ood=data, **k).estimates,
    "evaluate_by": lambda data, k: (
        ct.evaluate_by(data, "confidence", ["brier"], ci="none", **k).parts
    ),
    "check": _gate,
    "compare": lambda data, k: [
        (e.value, e.low, e.high)
        for e in ct.compare([data, data], ["brier"], **FEW, **k).lines[0].estimates
    ],
    "cells": lambda data, k: ct.evaluate(ct.cells(data, **k), ["ece"], ci="none")["ece"].value,
    "fit": lambda data, k: ct.fit("platt", data, **k).map,
    "monitor": lambda data, k: [
        period.ece for period in ct.monitor({"a": data, "b": data}, ci="none", **k).periods
    ],
    "read": lambda data, k: ct.read(data, **k).rows,
    "search_slices": lambda data, k: ct.search_slices(data, ["confidence"], **k).found,
    "select": lambda data, k: [
        (c.method, c.score) for c in ct.select(data, ["platt"], test=data, **FEW, **k).candidates
    ],
    "significance": lambda data, k: ct.significance(data, tests="cox", **FEW, **k).results,
    "write_report": _page,
    "testing": lambda data, k: assert_calibrated(data, "brier <= 0.9", **FEW, **k).decision,
}
# the other public names: classes, files that calibtool wrote, and functions of a file alone
OTHERS = {
    *("CalibtoolError", "Estimate", "Predictions", "Report", "State", "Summary"),
    *("from_dask", "load", "load_calibrator", "load_cells", "save_cells", "side_by_side", "scan"),
    *("PredictionSets", "load_sets", "load_threshold", "read_costs"),
}
PLOTS = [kind.replace("-", "_") for kind in KINDS]
NO_DATA: list[Any] = [7, None, object(), b"test.npz", {1, 2}, (SCORES,), (SCORES, LABELS, LABELS)]
# what decisions need beside predictions
SETS = ct.fit_sets((RNG.random(240), RNG.integers(0, 2, 240)), 0.8)
COSTS = Costs("<costs>", {"0": {"1": 1.0}, "1": {"0": 5.0}}, 0.5)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table(COLUMNS), "rows.parquet")
    return tmp_path


@pytest.fixture(scope="module")
def expected():
    """What each function says of Predictions."""
    return {}


def test_every_public_function_is_here():
    public = {name for name in ct.__all__ if not name.startswith("_")}
    assert public == (set(FUNCTIONS) - {"testing"}) | OTHERS


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_takes_every_form(folder, expected, name, form):
    make, keys = FORMS[form]
    data = make(folder / "rows.parquet")
    found = FUNCTIONS[name](data, keys)
    if name not in expected:
        expected[name] = FUNCTIONS[name](ct.Predictions.from_probs(SCORES, LABELS), {})
    assert repr(found) == repr(expected[name])


@pytest.mark.parametrize("data", NO_DATA, ids=lambda data: type(data).__name__)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_no_data_is_one_error(name, data):
    with pytest.raises(InputError) as error:
        FUNCTIONS[name](data, {})
    assert EXPECTED in str(error.value)
    assert str(error.value).startswith(type(data).__name__)


@pytest.mark.parametrize("form", ["text", "mapping", "pair"])
@pytest.mark.parametrize("name", PLOTS)
def test_every_diagram_takes_every_form(folder, name, form):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.close("all")  # the last diagram's axes may have other scales
    make, keys = FORMS[form]
    data: Any = make(folder / "rows.parquet")
    plot = getattr(ct.plot, name)
    more = FEW if "shared" in str(inspect.signature(plot)) else {}
    if name == "compare":
        data = {"one": data, "other": data}
    required = []
    if name == "shift":
        if form == "pair":
            return  # it has no column to be drawn over
        required = ["day"]
    if name == "sets":
        required = [SETS]
    if name == "gain":
        more = {**more, "methods": ["platt"], "test": data}
    assert plot(data, *required, **more, **keys).data[0].rows == len(SCORES)


@pytest.mark.parametrize("name", PLOTS)
def test_no_diagram_of_what_is_no_data(name):
    required: list[Any] = {"shift": ["day"], "sets": [SETS]}.get(name, [])
    with pytest.raises(InputError, match="int: expected a path"):
        getattr(ct.plot, name)(7, *required)


def test_slices_of_a_data_frame():
    table = pa.table(COLUMNS)
    report = ct.evaluate(table, **ROLES, by="place", ci="none")
    assert report == ct.evaluate_by(table, "place", **ROLES, ci="none")
    assert [part.name for part in report.parts[0].slices] == ["here", "there"]
    names = [estimate.name.partition("(")[0] for estimate in report.whole]
    assert list(dict.fromkeys(names)) == ["accuracy", "mean-confidence", "nll", "ece"]
    drawn = ct.plot.reliability(table, by="place", **ROLES, **FEW)
    assert {curve.panel for curve in drawn.curves} == {"place here", "place there"}
    with pytest.raises(UsageError, match="ood="):
        ct.evaluate(table, **ROLES, by="place", ood=table)


def test_roles_are_not_given_twice():
    p = ct.Predictions.from_probs(SCORES, LABELS)
    for name, function in FUNCTIONS.items():
        with pytest.raises(UsageError, match="have their roles already"):
            function(p, {"score": "p"})
        assert name
