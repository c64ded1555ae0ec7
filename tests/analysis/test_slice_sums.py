"""Sums over slices: those of all slices at once are those of each slice alone, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from calibtool.analysis.slice_sums import Grouping, Sums

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
