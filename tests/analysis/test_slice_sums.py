"""Sums over slices: those of all slices at once are those of each slice alone, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from calibtool.analysis import slice_sums
from calibtool.analysis.slice_sums import Grouping, Sums
from calibtool.metrics import multicalibration
from calibtool.metrics.multicalibration import by_slice

ROWS = 3000


def made(weighted, clustered):
    rng = np.random.default_rng(1)
    score = rng.beta(1, 2, ROWS).astype(np.float32)
    outcome = rng.random(ROWS) < score**1.2
    weights = rng.exponential(size=ROWS) if weighted else None
    cluster = rng.integers(0, 300, ROWS) if clustered else None
    codes = rng.choice(5, ROWS, p=[0.5, 0.3, 0.1, 0.1, 0])  # the last has no rows
    return Sums.of(score, outcome, weights, cluster), Grouping.of("x", tuple("abcde"), codes)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_slice_among_others_has_the_sums_that_it_has_alone(weighted, clustered):
    sums, part = made(weighted, clustered)
    every = sums.over(part)
    for k in range(4):
        inside = np.flatnonzero(part.codes == k)
        own = sums.take(inside)
        one = Grouping("", ("slice",), np.zeros(len(inside), np.uint8))
        alone = own.over(one)
        for name in ("gap", "count", "rows", "error", "clusters"):
            among, by_itself = getattr(every, name), getattr(alone, name)
            assert (among is None) == (by_itself is None)
            if among is not None:
                np.testing.assert_array_equal(among[k], by_itself[0])
        assert sums.means(part, k, every, 0.95) == own.means(one, 0, alone, 0.95)


def test_the_sums_are_those_of_the_rows():
    sums, part = made(weighted=False, clustered=False)
    for k in range(5):
        at = part.codes == k
        found = sums.over(part)
        gap = (sums.outcome[at] - sums.score[at].astype(float)).sum()
        assert found.gap[k] == pytest.approx(gap, abs=1e-9)
        assert found.rows[k] == found.count[k].sum() == at.sum() == part.count()[k]
        expected = np.bincount(sums.bin[at], minlength=len(sums.centres))
        np.testing.assert_array_equal(found.count[k], expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_in_blocks_are_to_the_bit_those_of_all_rows_at_once(weighted, monkeypatch):
    monkeypatch.setattr(slice_sums, "BLOCK", 700)
    sums, part = made(weighted, clustered=False)
    at_once = np.sqrt(np.bincount(part.codes, sums.variance, 5))
    np.testing.assert_array_equal(sums.deviation(part), at_once)


def test_rows_are_sorted_by_slice_in_blocks(monkeypatch):
    monkeypatch.setattr(multicalibration, "BLOCK", 700)
    sums, part = made(weighted=False, clustered=False)
    rows = np.bincount(part.codes, minlength=5)
    found = by_slice(sums.score, part.codes, rows)
    np.testing.assert_array_equal(found, sums.score[np.argsort(part.codes, kind="stable")])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bins_and_their_means_are_those_of_distinct_scores(dtype):
    score = np.random.default_rng(2).beta(1, 2, ROWS).astype(dtype).round(2)
    sums = Sums.of(score, score < 0.5)
    at, n = np.unique(score, return_counts=True)
    for k, centre in enumerate(sums.centres):
        inside = np.unique(score[sums.bin == k])
        share = n[np.isin(at, inside)] / n[np.isin(at, inside)].sum()
        assert centre == pytest.approx(share @ inside, rel=1e-6)
