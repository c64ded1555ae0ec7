"""Bootstrap weights, and sums of drawn rows by cell."""

import numpy as np
import pytest

import calibtool as ct
from calibtool.evaluation import collect, drawn_problems, one_vs_rest
from calibtool.evaluation.drawn_problems import RowsInCells, drawn_of_each
from calibtool.intervals import drawn_sums as summing
from calibtool.intervals import draws as module
from calibtool.intervals.drawn_sums import Counts, Targets, drawn_sums
from calibtool.intervals.draws import Draws, kept_by

ROWS, SIZE = 9000, 7  # more than the 8,192 rows that are worked on at a time


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return {
        "where": rng.integers(0, SIZE - 1, ROWS),  # the last cell is empty
        "one": np.ones(ROWS),
        "outcome": (rng.random(ROWS) < 0.02).astype(float),
        "count": rng.integers(-3, 200, ROWS).astype(float),
        "weight": rng.gamma(2, 1, ROWS),
    }


@pytest.mark.parametrize("column", ["one", "outcome", "count", "weight"])
@pytest.mark.parametrize("part", ["all rows", "every third"])
@pytest.mark.parametrize("matrices", [False, True])
def test_sums_by_cell_are_those_of_the_weights(rows, column, part, matrices, monkeypatch):
    monkeypatch.setattr(summing, "has_matrices", lambda rows: matrices)
    at = np.arange(ROWS) if part == "all rows" else np.arange(1, ROWS, 3)
    drawn = Draws(203, 5, ROWS)
    values, where = rows[column][at], rows["where"][at]
    (sums,) = drawn_sums(at, where, SIZE, [values], drawn, threads=2)
    weights = drawn.weights_of(at).astype(float) * values
    expected = np.stack([weights[:, where == cell].sum(axis=1) for cell in range(SIZE)], axis=1)
    if column == "weight":
        np.testing.assert_allclose(sums, expected, rtol=1e-6)  # of float32
    else:  # whole numbers: to the last digit
        np.testing.assert_array_equal(sums, expected)


def test_weights_that_are_kept_are_those_that_are_drawn(monkeypatch):
    kept = Draws(200, 5, ROWS)
    first = [kept.weights(0, ROWS, group) for group in kept.groups]
    monkeypatch.setattr(module, "KEPT", 0)
    drawn = Draws(200, 5, ROWS)
    for group, weights in zip(kept.groups, first, strict=True):
        np.testing.assert_array_equal(kept.weights(0, ROWS, group), weights)
        np.testing.assert_array_equal(drawn.weights(0, ROWS, group), weights)
    assert len(kept._kept) == 2 * 9  # groups of replicates, blocks of rows
    assert not drawn._kept


def test_weights_of_a_seed_are_drawn_once_while_they_are_held():
    held = kept_by(11)
    first = Draws(100, 11, ROWS).weights(0, ROWS, slice(0, 100))
    assert len(held) == 9  # the draws are gone, their blocks of rows are not
    for block in held.values():
        block[:] = 3
    again = Draws(200, 11, ROWS - 2000).weights(0, ROWS - 2000, slice(0, 128))
    assert (again == 3).all()
    held = None
    np.testing.assert_array_equal(Draws(100, 11, ROWS).weights(0, ROWS, slice(0, 100)), first)


@pytest.mark.parametrize("clustered", [False, True])
def test_problems_are_drawn_together_as_alone(rows, clustered, monkeypatch):
    rng = np.random.default_rng(3)
    draws = Draws(150, 5, ROWS, np.arange(ROWS) // 3 if clustered else None)
    problems = []
    for size in (3, SIZE, 40):
        at = np.flatnonzero(rng.random(ROWS) < 0.7)
        columns = [rows[name][at] for name in ("one", "outcome", "weight")]
        problems.append(RowsInCells(at, rng.integers(0, size, len(at)), size, columns))
    called = []

    def counted(*args):
        called.append(args)
        return drawn_sums(*args)

    monkeypatch.setattr(drawn_problems, "drawn_sums", counted)
    together = list(drawn_of_each(problems, draws, threads=1))
    assert len(called) == (3 if clustered else 1)
    alone = [next(drawn_of_each([one], draws, threads=1)) for one in problems]
    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(found, expected)  # to the last digit


def test_matrices_count_as_words_do(rows):
    rng = np.random.default_rng(4)
    target, row = rows["where"], np.sort(rng.permutation(3 * ROWS)[:ROWS] // 3)
    draws, order = Draws(203, 5, ROWS), np.argsort(target, kind="stable")
    counts = Counts(target, row, SIZE, ROWS)
    one = np.ones(ROWS, np.float32)
    words = Targets(target[order], row[order], [one], SIZE, at_once=4096)
    for group in draws.groups:
        (expected,) = words.sums(draws.words(0, ROWS, group), group)
        np.testing.assert_array_equal(counts.sums(draws, group), expected)


def test_sums_that_two_bytes_do_not_hold_take_four():
    target, source = np.zeros(9, int), np.arange(9)
    found = {}
    for value in (1.0, 1456.0, 1457.0, 0.5, -1.0):  # 5 * 9 * 1456 = 65,520
        matrix = summing.sparse_sums(target, source, np.full(9, value, np.float32), (1, 9))
        found[value] = matrix.dtype.name
        assert (matrix @ np.full((9, 1), 5, matrix.dtype)).item() == 45 * value
    narrow, wide = "uint16", "float32"
    assert found == {1: narrow, 1456: narrow, 1457: wide, 0.5: wide, -1: wide}


def test_classes_of_many_rows_are_counted_as_those_of_few(monkeypatch):
    rng = np.random.default_rng(6)
    rows = ct.Predictions.from_logits(2 * rng.standard_normal((ROWS, 4)), rng.integers(0, 4, ROWS))

    def found():
        report = ct.evaluate(rows, "classwise-ece", resamples=100)
        return [(each.low, each.high, each.error) for each in report.estimates]

    monkeypatch.setattr(one_vs_rest, "has_matrices", lambda rows: False)
    by_words = found()
    monkeypatch.setattr(one_vs_rest, "has_matrices", lambda rows: True)
    made = []
    monkeypatch.setattr(one_vs_rest, "Counts", lambda *args: made.append(args) or Counts(*args))
    assert found() == by_words  # to the last digit
    assert len(made) == 1


@pytest.mark.parametrize("at_once", [7, 100, 4096])
def test_entries_are_summed_in_parts(rows, at_once):
    """Targets may end within a part or go on in the next; some have no entries."""
    target = np.sort(3 * rows["where"])
    drawn = Draws(203, 5, ROWS)
    values = [rows[name].astype(np.float32) for name in ("one", "count", "weight")]
    sums = Targets(target, np.arange(ROWS), values, 3 * SIZE, at_once=at_once)
    for group in drawn.groups:
        weights = drawn.weights(0, ROWS, group).astype(float)
        found = sums.sums(drawn.words(0, ROWS, group), group)
        for value, one in zip(values, found, strict=True):
            product = weights * value[:, None]
            expected = [product[target == at].sum(axis=0) for at in range(3 * SIZE)]
            # of float32: 7e-7 in parts of 7, where sums grow part by part
            np.testing.assert_allclose(one, expected, rtol=0 if value is not values[2] else 2e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_bins_of_many_rows_are_summed_as_those_of_few(weighted, monkeypatch):
    rng = np.random.default_rng(2)
    score = rng.random(ROWS)
    weights = rng.gamma(2, 1, ROWS) if weighted else None
    rows = ct.Predictions.from_probs(score, rng.random(ROWS) < score, weights=weights)

    def found():
        report = ct.evaluate(rows, "brier,ece,ece(view=top),ada-ece", resamples=100)
        return [(each.low, each.high, each.error) for each in report.estimates]

    monkeypatch.setattr(collect, "has_matrices", lambda rows: False)
    one_by_one = found()
    made = []
    sparse = collect.sparse_sums
    monkeypatch.setattr(collect, "has_matrices", lambda rows: True)
    monkeypatch.setattr(collect, "sparse_sums", lambda *args: made.append(args) or sparse(*args))
    assert found() == one_by_one  # to the last digit
    assert len(made) == 4  # of 8,192 rows and of the rest, each of gaps and of rows
