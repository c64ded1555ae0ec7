"""Bootstrap weights, and sums of drawn rows by cell."""

import numpy as np
import pytest

import calibtool as ct
from calibtool.evaluation import collect
from calibtool.intervals import draws as module
from calibtool.intervals.draws import Draws, Targets, drawn_sums

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
    monkeypatch.setattr(module, "has_matrices", lambda rows: matrices)
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
    assert len(made) == 2  # of 8,192 rows, and of the rest
