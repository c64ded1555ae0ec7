"""The compiled loops: the bits of NumPy's, chosen where there are enough rows and numba."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import calibtool as ct
from calibtool.evaluation import request
from calibtool.streaming import compiled
from calibtool.streaming.engines import worker
from calibtool.streaming.engines.engine import RunOptions
from calibtool.streaming.exact import LARGE, moments
from calibtool.streaming.grid import NAMED, Tally, grid, named

# the functions as they are written, where numba is not installed
PLAIN = compiled.Loops(compiled.count_rows, compiled.sum_powers)
LOOPS = compiled.compiled() or PLAIN
GRID = grid(named(*NAMED))
# where cells and intervals end, a step to either side, and the ends of every float type
ENDS = np.concatenate([GRID.at, np.arange(0, 65, 4) / (1 << 16), [0.0, -0.0, 5e-324, 1e-40, 6e-8]])


@pytest.fixture
def choice(monkeypatch):
    """What is chosen here is forgotten after the test."""
    monkeypatch.setattr(compiled, "_in_use", None)
    monkeypatch.setattr(compiled, "_rows", 0)
    return monkeypatch


def both(compute):
    """What NumPy computes, and what the loops do."""
    kept = compiled._in_use
    try:
        compiled._in_use = None
        by_numpy = compute()
        compiled._in_use = LOOPS
        return by_numpy, compute()
    finally:
        compiled._in_use = kept


def bits(*arrays):
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


def score_columns():
    """Columns of scores in [0, 1] of each float type: anything, and what lies at an edge."""

    def of(kind):
        width = 8 * np.dtype(kind).itemsize
        edges = ENDS.astype(kind)
        near = [edges, np.nextafter(edges, kind(0)), np.nextafter(edges, kind(1))]
        edge = st.sampled_from(np.unique(np.clip(np.concatenate(near), 0, 1)).tolist())
        value = st.floats(0, 1, width=width) | edge
        return hnp.arrays(kind, st.integers(0, 60), elements=value)

    return st.sampled_from([np.float16, np.float32, np.float64]).flatmap(of)


@given(st.lists(score_columns(), min_size=1, max_size=3), st.integers(0, 2**32))
def test_cells_have_the_bits_of_numpy(columns, seed):
    rng = np.random.default_rng(seed)
    outcomes = [rng.random(len(column)) < 0.4 for column in columns]

    def sums():
        tally = Tally(GRID)
        for column, outcome in zip(columns, outcomes, strict=True):
            tally.add(column, outcome)
        return [half for x in tally.result().values() for half in (x.high, x.low)]

    by_numpy, by_loop = both(sums)
    assert bits(*by_loop) == bits(*by_numpy)


@given(
    hnp.arrays(np.float64, st.integers(0, 60), elements=st.floats(0, 2 * LARGE) | st.just(-0.0))
    | hnp.arrays(np.float32, st.integers(0, 60), elements=st.floats(0, 1, width=32))
)
def test_moments_have_the_bits_of_numpy(values):
    by_numpy, by_loop = both(lambda: moments(values))
    assert bits(by_loop.high, by_loop.low) == bits(by_numpy.high, by_numpy.low)


def test_chunks_and_columns_of_a_matrix_have_the_bits_of_numpy():
    rng = np.random.default_rng(0)
    rows = 70_000 if LOOPS is not PLAIN else 7_000
    matrix = rng.random((rows, 3))
    outcome = rng.random((rows, 2)) < 0.5

    def sums():
        tally = Tally(GRID)
        tally.add(matrix[:, 1], outcome[:, 1])
        total = tally.result()["p"]
        return total.high, total.low, moments(matrix[:, 1]).high

    by_numpy, by_loop = both(sums)
    assert bits(*by_loop) == bits(*by_numpy)


def test_values_that_are_not_aligned_have_the_bits_of_numpy():
    """A mapped file may hold them so."""
    values = np.frombuffer(bytes(1) + np.linspace(0, 1, 50).tobytes(), np.float64, offset=1)
    assert not values.flags.aligned

    def sums():
        tally = Tally(GRID)
        tally.add(values, np.ones(50, bool))
        return tally.result()["p"].high, moments(values).high

    by_numpy, by_loop = both(sums)
    assert bits(*by_loop) == bits(*by_numpy)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_measured_values_are_the_same(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(request, "STREAMED_ROWS", 100)
    rng = np.random.default_rng(1)
    score = rng.beta(0.5, 2, 3000).astype(kind)
    score[:6] = [0, 1, 0.1, 0.5, 6e-8, 1]
    label = (rng.random(3000) < score).astype(np.int8)
    pq.write_table(pa.table({"score": score, "label": label}), tmp_path / "rows.parquet")
    by_numpy, by_loop = both(lambda: ct.evaluate(tmp_path / "rows.parquet", resamples=50).to_dict())
    assert by_loop == by_numpy


def test_the_loops_serve_a_pass(choice):
    """Cells and moments of a pass come from the loops once they are in use."""
    called = []

    def noted(function):
        return lambda *args: called.append(function.__name__) or function(*args)

    loops = compiled.Loops(noted(PLAIN.count_rows), noted(PLAIN.sum_powers))
    choice.setattr(compiled, "compiled", lambda: loops)
    choice.setattr(compiled, "PAYS", 200)
    rows = ct.Predictions.from_probs(np.linspace(0, 1, 150), [0, 1] * 75)
    ct.cells(rows)
    assert not called
    ct.cells(rows)  # 300 rows in this process
    assert {"count_rows", "sum_powers"} == set(called)


def test_a_value_that_is_no_score_stays_within_the_table():
    """NaN is refused before; a damaged value must not be written outside of the sums."""
    values = np.array([np.nan, -1.0, 2.0, np.inf, -np.inf])
    size = GRID.size + 1
    count, mass, lost = np.zeros(2 * size, np.int64), np.zeros(size), np.zeros(size)
    apart = np.empty(5, np.int64)
    with np.errstate(invalid="ignore"):
        args = (values, np.zeros(5, bool), GRID.table(values.dtype), count, mass, lost, apart)
        found = LOOPS.count_rows(*args)
    assert apart[:found].tolist() == [0, 1, 4]  # where 0 is
    assert count[2 * GRID.size] == 3
    assert count[2 * GRID.size - 2] == 2  # the last cell


def test_without_numba_or_a_folder_for_its_cache_numpy_goes_on(choice):
    uncached = compiled.compiled.__wrapped__
    choice.setitem(sys.modules, "numba", None)
    assert uncached() is None
    choice.setattr(compiled, "compiled", uncached)
    compiled.expect(compiled.PAYS)
    assert compiled.loops() is None


def test_an_install_that_cannot_be_written_to(choice):
    numba = pytest.importorskip("numba")

    def refuses(*args, **options):
        raise RuntimeError("cannot cache function: no locator available")

    choice.setattr(numba, "njit", refuses)
    assert compiled.compiled.__wrapped__() is None


def test_numba_is_chosen_by_itself(choice):
    pytest.importorskip("numba")
    compiled.expect(compiled.PAYS - 1)
    assert compiled.loops() is None
    compiled.expect(1)
    assert compiled.loops() is compiled.compiled() is not None


class Worker:
    """An engine whose only worker is this process."""

    def run(self, task, source, parts, root, done):
        yield root, worker.map_node((task, replace(source, run=None)), root, parts)


def test_a_worker_counts_the_rows_that_came_to_it(choice, tmp_path):
    """The command that asks counts none of them: it would load numba for nothing."""
    choice.setattr(compiled, "compiled", lambda: PLAIN)
    choice.setattr(compiled, "PAYS", 200)
    pq.write_table(
        pa.table({"score": np.linspace(0, 1, 150), "label": [0, 1] * 75}),
        tmp_path / "rows.parquet",
    )
    source = replace(ct.scan(tmp_path / "rows.parquet"), run=RunOptions(Worker()))
    first = ct.cells(source)
    assert compiled.loops() is None
    assert ct.cells(source).sums.keys() == first.sums.keys()  # 300 rows in this process
    assert compiled.loops() is PLAIN
