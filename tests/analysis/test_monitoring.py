"""The evidence is an e-process, exactly, and it detects changes."""

from __future__ import annotations

import itertools
import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit, ndtr
from scipy.stats import binom, hypergeom, multivariate_normal

import calibtool as ct
from calibtool.analysis.monitoring import change_time, evidence, period_names, shape_bets
from calibtool.analysis.monitoring.grid import COARSE
from calibtool.analysis.monitoring.normal_scores import normal_scores
from calibtool.analysis.monitoring.score_groups import ScoreGroups
from calibtool.analysis.monitoring.wording import e_text, slices_reading
from calibtool.errors import InputError, UsageError
from calibtool.metrics.cells import locate

CELLS = np.array([0.3, 0.7, 1.0])  # few enough to list every outcome


def outcomes(n):
    """Yield every (T, C) array of positive outcomes that rows `n` may have."""
    for flat in itertools.product(*(range(int(k) + 1) for k in n.ravel())):
        yield np.array(flat, float).reshape(n.shape)


def stream(seed, days, rows, truth, scores=None):
    """Return (T, C) rows, score mass and positive outcomes of days whose P(y = 1 | s) is
    truth(s, day)."""
    random = np.random.default_rng(seed)
    n, p, y = np.zeros((3, days, len(COARSE)))
    for day in range(days):
        s = expit(random.normal(-1, 1.5, rows)) if scores is None else scores(random, rows, day)
        hit = random.random(rows) < truth(s, day)
        at = locate(s, COARSE)
        n[day] = np.bincount(at, minlength=len(COARSE))
        p[day] = np.bincount(at, s, len(COARSE))
        y[day] = np.bincount(at, hit, len(COARSE))
    return n, p, y


def predictions(seed, rows, truth=lambda s: s):
    random = np.random.default_rng(seed)
    s = expit(random.normal(-1, 1.5, rows))
    return ct.Predictions.from_probs(s, (random.random(rows) < truth(s)).astype(int))


def days(count, rows, truth):
    return {f"day {k}": predictions(k, rows, lambda s, k=k: truth(s, k)) for k in range(count)}


# ------------------------------------------------------------------ validity, exactly


@pytest.mark.parametrize("q", [(0.1, 0.5, 0.8), (0.9, 0.2, 0.6)])
def test_the_scores_of_all_periods_and_groups_are_independent_and_uniform(q):
    """P(every U <= u) is the product of the u, over all possible outcomes."""
    n = np.array([[2, 1, 1], [1, 1, 0], [1, 0, 2]], float)
    group = np.array([0, 0, 1])
    levels = np.array([0.1, 0.37, 0.8])[:, None, None]
    found = np.zeros(3)
    for y in outcomes(n):
        low, high = (ndtr(normal_scores(n, y, group, np.full((3, 2), v))) for v in (0.0, 1.0))
        inside = np.clip((levels - low) / (high - low), 0, 1)
        found += np.prod(binom.pmf(y, n, q)) * inside.prod((1, 2))
    np.testing.assert_allclose(found, levels.ravel() ** 6, rtol=1e-9)


def test_scores_are_those_of_hypergeometric_counts():
    random = np.random.default_rng(0)
    n = random.integers(0, 30, (6, 5)).astype(float)
    y = random.binomial(n.astype(int), 0.3).astype(float)
    group, uniform = np.array([0, 0, 0, 1, 1]), random.random((6, 2))
    found = normal_scores(n, y, group, uniform)
    for t, g in itertools.product(range(6), range(2)):
        chances = np.ones(1)
        for c in np.flatnonzero(group == g):
            rows, hits = n[: t + 1, c].sum(), y[: t + 1, c].sum()
            of_cell = hypergeom(rows, hits, n[t, c]).pmf(np.arange(n[t, c] + 1))
            chances = np.convolve(chances, of_cell)
        x = int(y[t, group == g].sum())
        u = chances[:x].sum() + uniform[t, g] * chances[x]
        assert ndtr(found[t, g]) == pytest.approx(np.clip(u, 1e-12, 1 - 1e-12), abs=1e-13)


def test_scores_of_many_rows_are_standard_normal():
    random = np.random.default_rng(0)
    n = np.full((60, 4), 30_000.0)
    y = random.binomial(30_000, [0.02, 0.3, 0.5, 0.9], n.shape).astype(float)
    z = normal_scores(n, y, np.arange(4), random.random((60, 4)))[1:]
    assert abs(z.mean()) < 3 / 236**0.5
    assert abs(z.std() - 1) < 3 / (2 * 236) ** 0.5
    moved = np.append(y[:-1], y[-1:] + 2000, 0)
    assert (normal_scores(n, moved, np.arange(4), np.full((60, 4), 0.5))[-1] > 7).all()


GROUPS = ScoreGroups(0, np.arange(3), np.array([-2.0, -0.5, 1.5]), -0.4)


def test_bets_are_the_likelihood_ratio_of_normal_priors():
    """Against multivariate normal densities with the covariance of each shape and size."""
    w = np.array([[0.3, 0.5, 0.2], [0.4, 0.1, 0.6]])  # two periods, three groups
    z = np.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]])
    turn = GROUPS.centre - GROUPS.middle
    one = np.eye(3)
    shapes = [
        (0.4, np.ones((3, 1))),
        (0.1, turn[:, None]),
        (0.2, np.stack([np.ones(3), turn], 1)),
        *((0.15 / 5, np.array(row, float)[:, None]) for row in (*one, [1, 1, 0], [0, 1, 1])),
        (0.15, one),
    ]
    expected = 0.0
    for size, share in zip((0.1, 0.4, 1.6), (0.5, 0.35, 0.15), strict=True):
        for weight, shape in shapes:
            means = (w[:, :, None] * shape).reshape(6, -1)  # per unit of each delta
            covariance = np.eye(6) + size**2 * means @ means.T
            ratio = multivariate_normal(np.zeros(6), covariance).logpdf(z.ravel())
            ratio -= multivariate_normal(np.zeros(6)).logpdf(z.ravel())
            expected += share * weight * math.exp(ratio)
    found = shape_bets.log_ratio((w * z).sum(0), (w**2).sum(0), GROUPS)
    assert math.exp(found) == pytest.approx(expected, rel=1e-9)


def test_weights_of_all_times_and_what_is_left_are_one_after_every_period():
    for periods in (1, 2, 127, 128, 129, 131, 3000):
        starts, weights, left = change_time.candidates(periods)
        spent = np.array([weights[starts <= t].sum() for t in range(periods)])
        np.testing.assert_allclose(spent + left, 1, rtol=1e-12)
    assert left[100] == pytest.approx((32 / 132) ** 0.5)


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.25])
def test_wherever_scores_lie_in_their_cells_the_expected_e_value_of_calibrated_ones_is_at_most_1(
    spread, monkeypatch
):
    monkeypatch.setattr("calibtool.analysis.monitoring.score_groups._LEAST", 0.1)
    n = np.array([[2, 1, 1], [2, 0, 2], [0, 1, 0]], float)
    mean = np.array([[0.2, 0.5, 0.8], [0.25, 0.5, 0.9], [0.3, 0.45, 0.8]])
    # of two rows in a cell, one has a higher and one a lower score
    apart = np.where(n == 2, np.minimum(spread, 1 - mean), 0)
    chance = {
        1: lambda q, d: np.array([1 - q, q]),
        2: lambda q, d: np.convolve([1 - q - d, q + d], [1 - q + d, q - d]),
    }
    expected = np.zeros(len(n))
    for y in outcomes(n):
        probability = math.prod(
            chance[int(rows)](q, d)[int(hits)]
            for rows, q, d, hits in zip(n.flat, mean.flat, apart.flat, y.flat, strict=True)
            if rows
        )
        expected += probability * np.exp(evidence.of_miscalibration(CELLS, n, n * mean, y).log_e)
    assert (expected <= 1 + 1e-12).all()
    if not spread:
        np.testing.assert_allclose(expected, 1, rtol=1e-12)


@pytest.mark.parametrize("test", ["of_change", "of_miscalibration"])
def test_the_e_value_after_a_period_does_not_depend_on_those_that_follow(test):
    n, p, y = stream(0, 12, 200, lambda s, day: expit(logit(s) + 0.5 * (day > 7)))
    sums = (n, y) if test == "of_change" else (n, p, y)
    whole = getattr(evidence, test)(COARSE, *sums).log_e
    for upto in (1, 2, 7, 11):
        part = getattr(evidence, test)(COARSE, *(x[:upto] for x in sums)).log_e
        np.testing.assert_allclose(part, whole[:upto], atol=1e-9)


def test_false_alarms_ever_are_no_more_than_alpha():
    """Ville's inequality, on uncalibrated streams with moving scores and on calibrated ones."""

    def moving(random, rows, day):
        return expit(random.normal(np.sin(day) - 1, 1.5, rows))

    def bent(s, day):
        return expit(0.6 * logit(s) + 0.5)

    count = 40
    changed = wrong = 0
    for seed in range(count):
        n, _, y = stream(seed, 10, 80, bent, moving)
        changed += evidence.of_change(COARSE, n, y).log_e.max() >= math.log(10)
        calibrated = stream(seed, 10, 80, lambda s, day: s, moving)
        wrong += evidence.of_miscalibration(COARSE, *calibrated).log_e.max() >= math.log(10)
    most = binom.ppf(0.999, count, 0.1)
    assert changed <= most
    assert wrong <= most


def test_a_small_drift_is_found_soon():
    """0.1 log-odds at 1,000 rows a day, which took more than 40 days; 0.2 took 7 to 20."""
    for shift, within in ((0.1, 20), (0.2, 8)):
        waits = []
        for seed in range(5):
            n, _, y = stream(
                seed, 80, 1000, lambda s, day, by=shift: expit(logit(s) + by * (day >= 50))
            )
            alarms = np.flatnonzero(evidence.of_change(COARSE, n, y).log_e >= math.log(20))
            waits.append(alarms[0] - 49 if len(alarms) else math.inf)
        assert min(waits) > 0
        assert np.median(waits) <= within


# ------------------------------------------------------------------ what is found


def test_scores_that_move_are_no_change():
    """A wavy curve that does not change, while the scores move from one end to the other."""

    def wave(s, day):
        return expit(0.7 * logit(s) + 0.3 * np.sin(2 * logit(s)))

    def moving(random, rows, day):
        return expit(random.normal(-2 + day / 6, 1, rows))

    n, _, y = stream(3, 24, 3000, wave, moving)
    found = evidence.of_change(COARSE, n, y)
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


def test_miscalibration_in_a_few_places_is_dated():
    def change(s, k):
        return expit(logit(s) + 0.8 * (k >= 15) * ((s > 0.3) & (s < 0.6)))

    found = ct.monitor(days(30, 600, change), against="calibrated", ci="none")
    assert found.changed == (15, *found.changed[1:])
    assert 14 <= found.changed[1] <= 15 <= found.changed[2] <= 16


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
        *("1", "20", "100000", "1.0e+5", "> 1e6", "1e-07", "0"),
    ]


def test_many_slices_with_alarms_are_named_and_the_first_are_told():
    data = {"old": predictions(1, 9000), "new": predictions(2, 9000, lambda s: s**2)}
    found = ct.monitor(data, ci="none")
    told = slices_reading([(name, found) for name in "abcde"], 0.05)
    assert told.startswith(f"Alarm in 5 of 5 slices. a: {found.reading} b: ")
    assert " Alarms also in d and e. If nothing changes, the probability" in told
    assert slices_reading([("a", found)], 0.05).startswith("Alarm in the only slice. a: ")


def test_a_day_without_an_event_does_not_claim_to_know_the_bias():
    scores = np.full(300, 0.005)
    quiet = ct.Predictions.from_probs(scores, np.zeros(300, int))
    result = ct.monitor({"a": quiet, "b": quiet}, against="calibrated", resamples=50)
    bias = result.periods[0].bias
    # no event in 300 rows does not exclude 1 - 0.025 ** (1 / 300) = 1.2 %
    assert bias.low == pytest.approx(0.005 - (1 - 0.025 ** (1 / 300)), abs=1e-9)
    assert bias.high == pytest.approx(0.005)


def slice_days():
    """Days of two countries, of which one changes on the third day."""
    found = {}
    for k in range(4):
        random = np.random.default_rng(k)
        s, country = random.random(500), random.choice(["fr", "it"], 500)
        wrong = (country == "it") & (k >= 2)
        hits = random.random(500) < np.where(wrong, 0.4 * s, s)
        found[f"day {k}"] = {"score": s, "label": hits.astype(int), "country": country}
    return found


def test_slices_are_monitored_in_python_as_on_the_command_line(tmp_path):
    data = slice_days()
    found = ct.monitor(data, by="country", ci="none")
    assert (found.by, found.alarms, found.names) == ("country", ["it"], tuple(data))
    (_, changed), (_, same) = found.slices
    assert (changed.alarmed, same.alarmed) == (2, None)
    assert changed.alpha == pytest.approx(0.05 / 3)
    paths = {}
    for name, day in data.items():
        paths[name] = tmp_path / f"{name}.csv"
        columns = zip(*day.values(), strict=True)
        lines = [",".join(day), *(",".join(map(str, row)) for row in columns)]
        paths[name].write_text("\n".join(lines), encoding="utf-8")
    assert ct.monitor(paths, by="country", ci="none") == found
    loaded = {name: ct.load(path, extra=["country"]) for name, path in paths.items()}
    assert ct.monitor(loaded, by="country", ci="none") == found
    alone = ct.monitor(
        {
            name: {x: v[day["country"] == "it"] for x, v in day.items()}
            for name, day in data.items()
        },
        alpha=0.05 / 3,
        ci="none",
    )
    assert alone.periods == changed.periods


@pytest.mark.parametrize(
    ("change", "by", "says"),
    [
        (dict, "city", "there is no column 'city'; the file has score, label, country"),
        (dict, "score", "score: holds numbers with fractions"),
        (dict, "", "by '': expected names of columns"),
        (lambda day: ct.read(day).load(), "country", "there is no further column 'country'"),
        (lambda day: ct.cells(ct.read(day)), "country", "holds cells, no rows; slices need rows"),
    ],
)
def test_slices_that_cannot_be_told_are_refused(change, by, says):
    data = {name: change(day) for name, day in slice_days().items()}
    with pytest.raises((InputError, UsageError), match=says):
        ct.monitor(data, by=by)


def test_no_periods_are_refused():
    for by in (None, "country"):
        with pytest.raises(InputError, match="there are no periods"):
            ct.monitor({}, by=by)
