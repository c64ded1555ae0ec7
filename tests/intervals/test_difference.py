"""Differences: intervals and p-values of a change agree, and go to 0 where they should."""

from __future__ import annotations

import numpy as np
import pytest

from calibtool.intervals.difference import (
    Discordant,
    difference,
    of_shares,
    p_of_difference,
    p_of_shares,
)
from calibtool.intervals.inversion import Inverted
from calibtool.intervals.shift import Drift


def errors(seed):
    """Two errors that may or may not be 0, and the correlation of their replicates."""
    rng = np.random.default_rng(seed)
    pair = []
    for _ in range(2):
        corrected, down, up = rng.exponential(0.05, 3)
        low = max(corrected - down, 0.0)
        p_value = float(rng.uniform(0.03, 1)) if low == 0 else 0.025 * float(rng.random() ** 3)
        shape, drift = rng.uniform(0, 0.4) * up, None
        if seed % 2:  # a mean gap of either sign, no larger than the error
            drift = Drift(*np.sort(rng.uniform(-1, 1, 3) * (corrected + up)).tolist())
        pair.append(Inverted(low, corrected + up, corrected, p_value, shape, drift))
    return *pair, float(rng.uniform(-1, 1))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.995])
def test_the_p_value_of_a_change_agrees_with_its_interval(level):
    excluded = 0
    for seed in range(60):
        before, after, correlation = errors(seed)
        low, high = difference(before, after, correlation, level)
        p_value = p_of_difference(before, after, correlation, level)
        assert (p_value < round(1 - level, 12)) == (low > 0 or high < 0)
        assert low <= after.corrected - before.corrected <= high
        excluded += p_value < 1 - level
    assert 5 < excluded < 55


def test_a_change_is_cut_where_paired_rows_say():
    before, after = Inverted(0.0, 0.05, 0.02, 0.3), Inverted(0.0, 0.05, 0.02, 0.3)
    assert difference(before, after, 1.0, 0.95, reach=1e-4) == (-1e-4, 1e-4)
    assert difference(before, after, 1.0, 0.95, reach=0.0) == (0.0, 0.0)


def test_an_error_that_may_be_0_lets_the_change_reach_the_end_of_the_other():
    before, after = Inverted(0.0, 0.05, 0.04, 0.2), Inverted(0.06, 0.1, 0.08, 0.001)
    assert difference(before, after, 0.9, 0.95)[1] >= after.high
    assert difference(after, before, 0.9, 0.95)[0] <= -after.high


def test_a_change_reaches_what_a_shift_makes_of_it_where_a_gap_may_be_of_either_sign():
    # 13 errors of 1,000 rows where 5.3 were expected before, and 14.5 are after: with 7 to 22, the
    # change may be 0.0145 - 0.007 - (0.007 - 0.0053)
    before = Inverted(0.0016, 0.0169, 0.0077, 0.005, drift=Drift(-0.0169, -0.0077, -0.0016))
    after = Inverted(0.0, 0.008, 0.0015, 0.9, drift=Drift(-0.0076, 0.0015, 0.0076))
    alone = [error._replace(drift=None) for error in (before, after)]
    assert difference(before, after, 0.0, 0.95)[1] >= 0.0059 > difference(*alone, 0.0, 0.95)[1]
    # where both signs are known, noise moves both as the replicates say
    after = Inverted(0.004, 0.03, 0.017, 0.001, drift=Drift(-0.03, -0.017, -0.004))
    alone[1] = after._replace(drift=None)
    assert difference(before, after, 0.9, 0.95) == difference(*alone, 0.9, 0.95)


def test_two_errors_known_to_be_above_0_that_vary_together_differ_by_little():
    before, after = Inverted(0.10, 0.20, 0.15, 1e-4), Inverted(0.101, 0.201, 0.151, 1e-4)
    low, high = difference(before, after, 1.0, 0.95)
    assert high - low < 1e-6
    # with p-values near 0.5 noise may cancel in one error and not in the other
    unsure = [error._replace(p_value=0.5) for error in (before, after)]
    low, high = difference(*unsure, 1.0, 0.95)
    assert high - low > 0.05


def test_errors_of_unknown_shapes_do_not_cancel_unless_they_are_of_the_same_gaps():
    def width(shape, correlation):
        before, after = (Inverted(0.02 + x, 0.08 + x, 0.05 + x, 1e-4, shape) for x in (0, 0.01))
        return np.ptp(difference(before, after, correlation, 0.95))

    # a fifth of both intervals is of the shape of an error: that is usual
    assert width(0.012, 0.5) == width(0.0, 0.5)
    # half: the ends of the one are subtracted from those of the other
    assert width(0.03, 0.5) == pytest.approx(0.12, rel=1e-4)
    assert width(0.0, 0.5) < width(0.014, 0.5) < width(0.016, 0.5) < 0.12
    assert width(0.03, 1.0) < 1e-6
    # an interval that is one point has no shape
    point = Inverted(0.05, 0.05, 0.05, 1e-4, 0.01)
    assert difference(point, point, 0.5, 0.95) == (0.0, 0.0)


@pytest.mark.parametrize("shape", [0.0, 0.0145, 0.03])
def test_the_correlation_counts_without_jumps(shape):
    before, after = Inverted(0.02, 0.08, 0.05, 0.02, shape), Inverted(0.03, 0.09, 0.06, 0.02, shape)
    rhos = np.linspace(-1, 0.95, 400)  # near 1 the width goes as the root of 1 - rho
    widths = np.array([np.ptp(difference(before, after, rho, 0.95)) for rho in rhos])
    assert np.abs(np.diff(widths)).max() < 0.003
    assert (np.diff(widths) <= 1e-12).all()


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_p_value_of_a_share_agrees_with_its_interval(level):
    for gained in range(0, 30, 3):
        for lost in range(12):
            seen = Discordant(gained, lost, 200)
            low, high = of_shares(seen, level)
            assert low <= (gained - lost) / 200 <= high
            assert low < high
            assert (p_of_shares(seen, level) < round(1 - level, 12)) == (low > 0 or high < 0)


def test_no_discordant_row_is_no_proof_that_there_are_none():
    low, high = of_shares(Discordant(0, 0, 60), 0.95)
    assert high == pytest.approx(1 - 0.025 ** (1 / 60))
    assert low == -high


def test_the_change_of_a_share_covers():
    rng = np.random.default_rng(5)
    for gain, loss, rows in (
        (0.005, 0.005, 300),
        (0.01, 0.0, 300),
        (0.1, 0.05, 200),
        (0.5, 0.45, 80),
    ):
        drawn = rng.multinomial(rows, [gain, loss, 1 - gain - loss], size=600)
        ends = np.array([of_shares(Discordant(a, b, rows), 0.95) for a, b, _ in drawn])
        truth = gain - loss
        assert ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean() > 0.935
