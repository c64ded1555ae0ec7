"""The multicalibration error: against mcgrad, against sums row by row, and its tail."""

from __future__ import annotations

import json

import make_mcgrad_goldens as mcgrad
import numpy as np
import pytest

from calibtool import Predictions
from calibtool.analysis.slice_error import slice_error
from calibtool.analysis.slice_sums import Grouping, Sums
from calibtool.data.rows import Rows, reduce_rows
from calibtool.data.slicing import crossed, partition, with_extra
from calibtool.metrics.multicalibration import (
    in_sigmas,
    kuiper_ranges,
    range_quantile,
    range_tail,
)

GOLDEN = json.loads(mcgrad.OUT.read_text())


def by_definition(score, outcome, weight):
    """Kuiper's range over its standard deviation, one row after the other."""
    sums, order = [0.0], np.argsort(score, kind="stable")
    for k, row in enumerate(order):
        step = weight[row] * (outcome[row] - score[row])
        tied = k and score[row] == score[order[k - 1]]
        sums.append(sums[-1] + step)
        if tied:  # rows of one score are one step
            del sums[-2]
    deviation = np.sqrt(sum(w * w * p * (1 - p) for w, p in zip(weight, score, strict=True)))
    return (max(*sums, 0.0) - min(*sums, 0.0)) / deviation


def sliced(of):
    """The predictions of golden rows, and each slice of at least FEWEST rows."""
    p = Predictions.from_probs(of["score"], of["outcome"].astype(int), weights=of["weight"])
    p = with_extra(p, {name: of[name] for name in ("country", "device")})
    parts = []
    for name in ("country", "device"):
        part = partition(p, name)
        parts.append(Grouping(name, part.names, part.codes))
    a, b = parts
    codes, names = crossed(a.codes, a.names, b.codes, b.names)
    parts.append(Grouping("country,device", names, codes))
    return p, [
        (part, int(k)) for part in parts for k in np.flatnonzero(part.count() >= mcgrad.FEWEST)
    ]


@pytest.mark.parametrize("name", mcgrad.SIZES)
def test_it_is_mcgrads(name):
    p, slices = sliced(mcgrad.rows(name))
    sums = Sums.of(*reduce_rows(p).view("positive"), p.weights)
    found = slice_error(sums, slices)
    assert found.value == pytest.approx(GOLDEN[name]["largest"], rel=1e-9)
    each = [slice_error(sums, []).value]
    for part, k in slices:
        inside = Grouping("", ("rest", "slice"), (part.codes == k).astype(np.int64))
        at = inside.codes == 1
        score, gap, variance = _sorted(sums, at)
        ranges = kuiper_ranges(score, gap, np.zeros(at.sum(), int), 1)
        each.append(float(in_sigmas(ranges, np.sqrt(variance.sum()))[0]))
    np.testing.assert_allclose(sorted(each), GOLDEN[name]["slices"], rtol=1e-9)


def _sorted(sums, at):
    order = np.argsort(sums.score[at])
    return sums.score[at][order], sums.residual[at][order], sums.variance[at][order]


def test_the_tail_is_mcgrads():
    np.testing.assert_allclose(range_tail(np.array(mcgrad.RANGES)), GOLDEN["p"], atol=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_each_slice_is_its_sums_row_by_row(ties):
    rng = np.random.default_rng(3)
    n, slices = 400, 5
    score = np.sort(rng.random(n).round(1) if ties else rng.random(n))
    outcome, weight = (rng.random(n) < 0.4).astype(float), rng.exponential(size=n)
    codes = rng.choice([0, 1, 3], n)  # slices 2 and 4 have no rows
    deviation = np.sqrt(np.bincount(codes, weight**2 * score * (1 - score), slices))
    ranges = kuiper_ranges(score, weight * (outcome - score), codes, slices)
    found = in_sigmas(ranges, deviation)
    for k in range(slices):
        at = codes == k
        expected = by_definition(score[at], outcome[at], weight[at]) if at.any() else 0.0
        assert found[k] == pytest.approx(expected, rel=1e-9)


def test_the_tail_is_that_of_random_walks():
    """Ranges of walks of 4,000 steps of size 1; the binomial error of 4,000 walks is 0.008."""
    steps = np.random.default_rng(0).choice([-1.0, 1.0], (4000, 4000))
    path = np.cumsum(steps, axis=1) / np.sqrt(4000)
    ranges = np.maximum(path.max(axis=1), 0) - np.minimum(path.min(axis=1), 0)
    for x in (1.0, 1.5, 2.0, 2.5):
        assert (ranges >= x).mean() == pytest.approx(range_tail(np.array(x)), abs=0.03)


def test_the_series_meet_and_the_quantile_inverts_the_tail():
    x = np.linspace(0, 12, 500)
    tail = range_tail(x)
    assert (np.diff(tail) <= 1e-12).all()
    assert ((tail >= 0) & (tail <= 1)).all()
    assert range_tail(np.array(1e6)) < 1e-290
    for share in (0.5, 0.05, 1e-4, 1e-12):
        assert range_tail(np.array(range_quantile(share))) == pytest.approx(share, rel=1e-9)


def test_scores_of_0_and_1_allow_no_gap():
    ranges = np.array([0.0, 2.0, 1.0])
    assert in_sigmas(ranges, np.array([0.0, 0.0, 0.5])).tolist() == [0.0, np.inf, 2.0]


def test_calibrated_scores_stay_below_the_corrected_p_value():
    """Of 200 calibrated sets, at most a few may have p < 0.05 for all slices together."""
    small = 0
    for seed in range(200):
        rng = np.random.default_rng([7, seed])
        score = rng.random(300)
        rows = Rows(score, rng.random(300) < score)
        group = Grouping("g", tuple("abcd"), rng.integers(0, 4, 300))
        sums = Sums.of(*rows.view("top"))
        small += slice_error(sums, [(group, k) for k in range(4)]).p_value < 0.05
    assert small <= 17  # of 200 with a probability of 5 %, at most 17 in 97.5 % of cases
