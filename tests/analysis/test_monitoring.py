"""The evidence is an e-process, exactly, and it detects changes."""

from __future__ import annotations

import itertools
import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import binom

import calibtool as ct
from calibtool.analysis.monitoring import calibration_curve, evidence, period_names
from calibtool.analysis.monitoring.grid import FINE
from calibtool.analysis.monitoring.wording import e_text
from calibtool.errors import InputError, UsageError
from calibtool.metrics.cells import locate

CELLS = np.array([0.3, 0.7, 1.0])  # few enough to list every outcome


def outcomes(n):
    """Yield every (T, C) array of positive outcomes that rows `n` may have."""
    for flat in itertools.product(*(range(int(k) + 1) for k in n.ravel())):
        yield np.array(flat, float).reshape(n.shape)


def stream(seed, days, rows, truth, scores=None):
    """Return (T, C) rows and positive outcomes of days whose P(y = 1 | s) is truth(s, day)."""
    random = np.random.default_rng(seed)
    n, y = np.zeros((days, len(FINE))), np.zeros((days, len(FINE)))
    for day in range(days):
        s = expit(random.normal(-1, 1.5, rows)) if scores is None else scores(random, rows, day)
        hit = random.random(rows) < truth(s, day)
        at = locate(s, FINE)
        n[day] = np.bincount(at, minlength=len(FINE))
        y[day] = np.bincount(at, hit, len(FINE))
    return n, y


def predictions(seed, rows, truth=lambda s: s):
    random = np.random.default_rng(seed)
    s = expit(random.normal(-1, 1.5, rows))
    return ct.Predictions.from_probs(s, (random.random(rows) < truth(s)).astype(int))


def days(count, rows, truth):
    return {f"day {k}": predictions(k, rows, lambda s, k=k: truth(s, k)) for k in range(count)}


# ------------------------------------------------------------------ validity, exactly


@pytest.mark.parametrize("shape", [[[2, 1, 1], [1, 1, 0]], [[1, 1, 1], [1, 0, 1], [0, 1, 0]]])
def test_the_numerator_is_a_density(shape):
    """Over all possible outcomes, the likelihoods by curves chosen before them sum to 1."""
    n = np.array(shape, float)
    totals = np.zeros(len(n))
    for y in outcomes(n):
        chance = np.prod(binom.pmf(y, n, 0.5))
        found = evidence.of_change(CELLS, n, y)
        heap_n, heap_y = np.cumsum(n, 0), np.cumsum(y, 0)
        rate = np.divide(heap_y, heap_n, out=np.zeros_like(heap_y), where=heap_n > 0)
        # three cells and three knots: the best fixed curve is the rate of each cell
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = heap_y * np.log(rate), (heap_n - heap_y) * np.log1p(-rate)
        null = sum(np.nan_to_num(part, nan=0.0).sum(1) for part in parts)
        totals += chance * np.exp(found.log_e + null + np.cumsum(n.sum(1)) * math.log(2))
    # what the last step of the fit might still have gained is counted against the evidence
    np.testing.assert_allclose(totals, 1, rtol=2e-3)
    assert (totals <= 1 + 1e-9).all()


@pytest.mark.parametrize("q", [(0.1, 0.5, 0.8), (0.9, 0.2, 0.6), (0.5, 0.5, 0.5)])
def test_whatever_the_fixed_curve_the_expected_e_value_of_a_change_is_at_most_1(q):
    n = np.array([[1, 1, 1], [2, 0, 1], [0, 1, 0]], float)
    expected = np.zeros(len(n))
    for y in outcomes(n):
        expected += np.prod(binom.pmf(y, n, q)) * np.exp(evidence.of_change(CELLS, n, y).log_e)
    assert (expected <= 1).all()


@pytest.mark.parametrize("end", [0.0, 0.5, 1.0])
def test_wherever_scores_lie_in_their_cells_the_expected_e_value_of_calibrated_ones_is_at_most_1(
    end,
):
    n = np.array([[1, 1, 1], [2, 0, 1], [0, 1, 0]], float)
    low = np.concatenate([[0.0], CELLS[:-1]])
    q = low + end * (CELLS - low)
    expected = np.zeros(len(n))
    for y in outcomes(n):
        chance = np.prod(binom.pmf(y, n, q))
        expected += chance * np.exp(evidence.of_miscalibration(CELLS, n, y).log_e)
    assert (expected <= 1 + 1e-12).all()


@pytest.mark.parametrize("test", ["of_change", "of_miscalibration"])
def test_the_e_value_after_a_period_does_not_depend_on_those_that_follow(test):
    n, y = stream(0, 12, 200, lambda s, day: expit(logit(s) + 0.5 * (day > 7)))
    whole = getattr(evidence, test)(FINE, n, y).log_e
    for upto in (1, 2, 7, 11):
        part = getattr(evidence, test)(FINE, n[:upto], y[:upto]).log_e
        np.testing.assert_allclose(part, whole[:upto], atol=1e-3)


def test_false_alarms_ever_are_no_more_than_alpha():
    """Ville's inequality, on uncalibrated streams with moving scores and on calibrated ones."""

    def moving(random, rows, day):
        return expit(random.normal(np.sin(day) - 1, 1.5, rows))

    def bent(s, day):
        return expit(0.6 * logit(s) + 0.5)

    count = 40
    changed = wrong = 0
    for seed in range(count):
        found = evidence.of_change(FINE, *stream(seed, 10, 80, bent, moving))
        changed += found.log_e.max() >= math.log(10)
        calibrated = stream(seed, 10, 80, lambda s, day: s, moving)
        wrong += evidence.of_miscalibration(FINE, *calibrated).log_e.max() >= math.log(10)
    most = binom.ppf(0.999, count, 0.1)
    assert changed <= most
    assert wrong <= most


def test_the_best_fixed_curve_is_the_optimum():
    random = np.random.default_rng(0)
    z = np.linspace(-3, 3, 40)
    at = np.array([-2.0, -0.5, 0.5, 2.0])
    hats = calibration_curve.basis(z, at)
    n = random.integers(1, 30, 40).astype(float)
    y = random.binomial(n.astype(int), expit(0.5 * z + 0.3)).astype(float)

    def loss(beta):
        return -(y @ (hats @ beta) - n @ np.logaddexp(0, hats @ beta))

    best = -minimize(loss, at, method="BFGS").fun
    none = np.zeros((4, 4))
    _, found = calibration_curve.fit(hats, n[None], y[None], at[None], none, at[None])
    assert best - 1e-6 <= found[0] <= best + 1e-3


def test_a_curve_without_a_hit_is_fitted_too():
    at = np.array([-1.0, 0.0, 1.0])
    hats = calibration_curve.basis(np.linspace(-1, 1, 9), at)
    n, y = np.full((1, 9), 5.0), np.zeros((1, 9))
    _, found = calibration_curve.fit(hats, n, y, at[None], np.zeros((3, 3)), at[None])
    assert -1e-2 <= found[0] <= 1e-3  # the supremum is 0


# ------------------------------------------------------------------ what is found


def test_scores_that_move_are_no_change():
    """A wavy curve that does not change, while the scores move from one end to the other."""

    def wave(s, day):
        return expit(0.7 * logit(s) + 0.3 * np.sin(2 * logit(s)))

    def moving(random, rows, day):
        return expit(random.normal(-2 + day / 6, 1, rows))

    found = evidence.of_change(FINE, *stream(3, 24, 3000, wave, moving))
    assert found.log_e.max() < math.log(20)


@pytest.mark.parametrize(
    ("change", "within"),
    [
        (lambda s: expit(logit(s) / 1.5), 6),
        (lambda s: expit(logit(s) + 0.4), 6),
        (lambda s: expit(logit(s) + 0.8 * ((s > 0.3) & (s < 0.5))), 8),
    ],
)
def test_a_change_is_found_and_dated(change, within):
    found = ct.monitor(days(30, 1500, lambda s, k: change(s) if k >= 15 else s), ci="none")
    assert found.alarmed is not None
    assert 15 <= found.alarmed < 15 + within
    assert found.changed[1] <= 15 <= found.changed[2]
    assert abs(found.changed[0] - 15) <= 1
    assert not any(period.alarm for period in found.periods[: found.alarmed])
    assert all(period.alarm for period in found.periods[found.alarmed :])


def test_the_scores_that_changed_are_named():
    def change(s, k):
        return expit(logit(s) + 1.0 * (k >= 10) * ((s > 0.3) & (s <= 0.4)))

    found = ct.monitor(days(20, 2000, change), ci="none")
    first = found.parts[0]
    assert (first.low, first.high) == (0.3, 0.4)
    assert first.was == pytest.approx(0.35, abs=0.03)
    assert first.was_since == pytest.approx(0.59, abs=0.03)
    assert found.reading.startswith("Calibration changed around day 10")
    assert "scores of 0.3 to 0.4 now come true 5" in found.reading


def test_scores_that_were_never_right_are_no_change_but_miscalibrated():
    data = days(12, 800, lambda s, k: expit(logit(s) / 1.6))
    still = ct.monitor(data, ci="none")
    wrong = ct.monitor(data, against="calibrated", ci="none")
    assert still.alarmed is None
    assert "No change visible in 12 periods" in still.reading
    assert wrong.alarmed is not None
    assert wrong.changed[0] == 0
    assert wrong.reading.startswith("The scores are not calibrated (alarm")


def test_two_large_periods_are_enough():
    data = {
        "old": predictions(1, 20_000),
        "new": predictions(2, 20_000, lambda s: expit(logit(s) + 0.3)),
    }
    assert ct.monitor(data, ci="none").alarmed == 1


def test_confidences_of_many_classes(overconfident):
    half = overconfident.rows // 2
    data = {"a": overconfident.take(slice(0, half)), "b": overconfident.take(slice(half, None))}
    found = ct.monitor(data, against="calibrated")
    assert (found.view, found.kind) == ("top", "logits")
    report = ct.evaluate(data["a"], ["ece"])
    assert found.periods[0].ece.value == pytest.approx(report["ece"].value)
    assert found.periods[0].bias.value == pytest.approx(report.bias.value)
    assert found.periods[0].ece.low == pytest.approx(report["ece"].low, abs=0.01)
    assert found.periods[0].ece.high == pytest.approx(report["ece"].high, abs=0.01)


# ------------------------------------------------------------------ what does not matter


def test_the_order_of_rows_changes_no_bit():
    one = predictions(0, 500)
    order = np.random.default_rng(0).permutation(500)
    data = {"a": one, "b": predictions(1, 500)}
    mixed = data | {"a": one.take(order)}
    assert ct.monitor(data, ci="none") == ct.monitor(mixed, ci="none")


def test_states_of_halves_add_up_to_their_day():
    data = days(4, 600, lambda s, k: expit(logit(s) + 0.5 * (k > 1)))
    halves = {
        name: ct.cells(one.take(slice(0, 200))) + ct.cells(one.take(slice(200, None)))
        for name, one in data.items()
    }
    whole, parted = ct.monitor(data, ci="none"), ct.monitor(halves, ci="none")
    for one, two in zip(whole.periods, parted.periods, strict=True):
        assert (one.rows, one.log10_e) == (two.rows, pytest.approx(two.log10_e, abs=1e-9))
        assert (one.said, one.ece.value) == pytest.approx((two.said, two.ece.value))


def test_more_edges_change_little():
    data = days(6, 800, lambda s, k: expit(logit(s) + 0.6 * (k > 2)))
    some, more = (ct.monitor(data, bins=bins, ci="none") for bins in (15, 37))
    gaps = [a.log10_e - b.log10_e for a, b in zip(some.periods, more.periods, strict=True)]
    assert np.abs(gaps).max() < 0.2


# ------------------------------------------------------------------ what cannot be


def test_what_cannot_be_monitored_is_refused():
    one = predictions(0, 50)
    with pytest.raises(InputError, match="there are no periods"):
        ct.monitor({})
    with pytest.raises(
        UsageError, match=r"--against must be one of first, calibrated \(got 'last'\)"
    ):
        ct.monitor({"a": one}, against="last")
    for alpha in (0.0, 1.0):
        with pytest.raises(UsageError, match="--alpha must lie between 0 and 1"):
            ct.monitor({"a": one}, alpha=alpha)
    with pytest.raises(UsageError, match="--resamples must be at least 20"):
        ct.monitor({"a": one}, resamples=5)
    with pytest.raises(UsageError, match="--bins must lie between 1 and 1,000"):
        ct.monitor({"a": one}, bins=0)
    weighted = ct.Predictions.from_probs([0.5, 0.2], [1, 0], weights=[1.0, 2.0])
    with pytest.raises(InputError, match="rows are weighted"):
        ct.monitor({"a": weighted})
    with pytest.raises(InputError, match="rows are weighted"):
        ct.monitor({"a": ct.cells(weighted)})
    logits = ct.Predictions.from_logits([[0.0, 1.0], [1.0, 0.0]], [1, 0])
    with pytest.raises(InputError, match="periods must be of one kind"):
        ct.monitor({"a": one, "b": logits})
    three = ct.Predictions.from_probs([[0.2, 0.3, 0.5]], [2])
    with pytest.raises(UsageError, match=r"needs two classes \(got 3 classes\)"):
        ct.monitor({"a": three}, view="positive")
    with pytest.raises(UsageError, match="do not end where 17 bins do"):
        ct.monitor({"a": ct.cells(one)}, bins=17)


def test_one_period_says_that_nothing_could_have_changed():
    found = ct.monitor({"a": predictions(0, 50)})
    assert found.reading == "One period: there is nothing yet that could have changed."
    assert found.periods[0].log10_e <= 0


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("pattern", "path", "every", "found"),
    [
        ("s/day=*", "s/day=2026-11-05/part-0.parquet", "day", date(2026, 11, 5)),
        ("s", "s/country=fr/day=20261105/x.parquet", "day", date(2026, 11, 5)),
        ("s", "s/year=2026/month=11/day=5/x.parquet", "day", date(2026, 11, 5)),
        ("s", "s/year=2026/month=11/x.parquet", "month", date(2026, 11, 1)),
        ("2020-01-01/s-*.csv", "2020-01-01/s-2026-11-05.csv", "day", date(2026, 11, 5)),
        ("s-*.csv", "s-2026-11.csv", "month", date(2026, 11, 1)),
        ("s-*.csv", "s-20261105T1200.csv", "day", date(2026, 11, 5)),
    ],
)
def test_dates_are_read_from_paths(pattern, path, every, found, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()
    (file,) = period_names.files_of(pattern)
    assert file.address == path
    assert period_names.date_of(path, file.parts, every) == found


@pytest.mark.parametrize(
    ("path", "every", "says"),
    [
        ("scores.parquet", "day", "no date such as 2026-11-01"),
        ("2026-13-01.parquet", "day", "no date such as 2026-11-01"),
        ("2026-11-01_2026-11-02.parquet", "day", "several dates, 2026-11-01 and 2026-11-02"),
        ("year=2026/x.parquet", "day", "its folders name no month"),
        ("year=2026/month=13/day=1/x.parquet", "day", "year=2026/month=13/day=1 is not a date"),
    ],
)
def test_paths_without_one_date_are_refused(path, every, says):
    with pytest.raises(UsageError, match=says):
        period_names.date_of(path, Path(path).parts, every)


def test_e_values_are_printed_short():
    assert [e_text(x) for x in (0.0, 1.301, 4.9999999, 5.0, 34.9999, -7.0, -400.0)] == [
        *("1", "20", "100000", "1.0e+5", "9.9e+34", "1e-07", "0"),
    ]


def test_a_day_without_an_event_does_not_claim_to_know_the_bias():
    scores = np.full(300, 0.005)
    quiet = ct.Predictions.from_probs(scores, np.zeros(300, int))
    result = ct.monitor({"a": quiet, "b": quiet}, against="calibrated", resamples=50)
    bias = result.periods[0].bias
    # no event in 300 rows does not exclude 1 - 0.025 ** (1 / 300) = 1.2 %
    assert bias.low == pytest.approx(0.005 - (1 - 0.025 ** (1 / 300)), abs=1e-9)
    assert bias.high == pytest.approx(0.005)
