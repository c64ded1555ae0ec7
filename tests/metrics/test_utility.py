"""Net benefit and the O:E ratio against their definitions, and the p-value of Hosmer-Lemeshow."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import chi2

import calibtool as ct
from calibtool.metrics.cells import Cells
from calibtool.metrics.net_benefit import below, by_row, net_benefit
from calibtool.metrics.oe_ratio import log_interval, oe_ratio
from calibtool.metrics.spec import parse, parse_list

FEW = {"resamples": 200}


def draw(n, seed=0, rounded=False):
    rng = np.random.Generator(np.random.PCG64(seed))
    score = rng.beta(1, 4, n)
    if rounded:
        score = np.round(score, 1)
    return score, (rng.random(n) < 0.8 * score + 0.02).astype(int), rng.exponential(size=n)


def by_hand(score, outcome, weight, t, scale="plain", acted=None):
    """The definition, row by row."""
    acted = score >= t if acted is None else acted
    n = weight.sum()
    hits, false = (weight * acted * outcome).sum() / n, (weight * acted * (1 - outcome)).sum() / n
    rate = (weight * outcome).sum() / n
    net = hits - false * t / (1 - t)
    if scale == "standardised":
        return net / rate
    if scale == "avoided":
        return 100 * (net - (rate - (1 - rate) * t / (1 - t))) * (1 - t) / t
    return net


@pytest.mark.parametrize("rounded", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("t", [0.1, 0.3, 0.5, 0.7])
def test_net_benefit_is_that_of_its_definition(t, dtype, weighted, rounded):
    score, outcome, weight = draw(400, rounded=rounded)
    score, weight = score.astype(dtype), weight if weighted else np.ones(400)
    # a float32 0.7 reaches a threshold of 0.7
    acted = score.astype(np.float32) >= np.float32(t)
    p = ct.Predictions.from_probs(score, outcome, weights=weight if weighted else None)
    for scale in ("plain", "standardised", "avoided"):
        spec = f"net-benefit(threshold={t},scale={scale})"
        expected = by_hand(score, outcome, weight, t, scale, acted)
        for rows in (p, ct.cells(p, spec)):
            found = ct.evaluate(rows, [spec], ci="none").estimates[0]
            assert (found.value, found.missing) == (pytest.approx(expected, abs=1e-12), "")
    everybody = ct.evaluate(p, [f"net-benefit(threshold={t},of=all)"], ci="none").estimates[0]
    everyone = by_hand(score, outcome, weight, t, acted=np.ones(400))
    assert everybody.value == pytest.approx(everyone, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_score_at_the_threshold_is_acted_on(dtype):
    """As in dcurves, where it is `risk >= threshold`."""
    p = ct.Predictions.from_probs(np.array([0.25, 0.5, 0.5, 0.75], dtype), [0, 1, 0, 1])
    values = [
        ct.evaluate(p, [f"net-benefit(threshold={t})"], ci="none").estimates[0].value
        for t in (0.5, 0.51)
    ]
    assert values == pytest.approx([2 / 4 - 1 / 4, 1 / 4])


@pytest.mark.parametrize("t", [0.1, 0.29, 0.3, 0.7, 1 / 3])
def test_the_rounding_of_a_score_decides_nothing(t):
    near = [np.nextafter(t, 0), t, np.nextafter(t, 1), float(np.float32(t))]
    assert (np.array(near) > below(t)).all()
    assert below(t) == pytest.approx(t, rel=1e-6)


def test_the_ends_of_the_thresholds():
    cells = Cells.from_rows(np.array([0.0, 0.4, 1.0]), np.array([0, 1, 1]))
    assert float(net_benefit(cells, threshold=0.0)) == pytest.approx(2 / 3)  # all are acted on
    assert float(net_benefit(cells, threshold=1.0)) == pytest.approx(1 / 3)  # no false positive
    assert float(net_benefit(cells, threshold=0.0, scale="avoided")) == 0
    wrong = Cells.from_rows(np.array([1.0]), np.array([0]))
    assert float(net_benefit(wrong, threshold=1.0)) == -math.inf
    assert np.isnan(net_benefit(wrong, scale="standardised"))


def test_cells_that_do_not_end_at_the_threshold_say_which_do():
    score, outcome, _ = draw(300)
    p = ct.Predictions.from_probs(score, outcome)
    found = ct.evaluate(ct.cells(p), ["net-benefit(threshold=0.2)"], ci="none").estimates[0]
    assert found.value is None
    assert 'make them with --metrics "net-benefit(threshold=0.2)"' in found.missing
    assert ct.evaluate(ct.cells(p), ["net-benefit(of=all)"], ci="none").estimates[0].value


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_the_interval_of_a_net_benefit_is_about_that_of_its_variance(rate):
    """The mean of a value per row, whose standard error is known."""
    rng = np.random.Generator(np.random.PCG64(5))
    score = rng.beta(20 * rate, 20 * (1 - rate), 4000)
    outcome = (rng.random(4000) < score).astype(int)
    p = ct.Predictions.from_probs(score, outcome)
    found = ct.evaluate(p, [f"net-benefit(threshold={rate})"]).estimates[0]
    value = (score >= rate) * (outcome - (1 - outcome) * rate / (1 - rate))
    reach = 1.96 * value.std() / np.sqrt(4000)
    assert (found.low, found.high) == pytest.approx(
        (value.mean() - reach, value.mean() + reach), abs=0.2 * reach
    )
    assert found.low < found.value < found.high


def test_a_calibrator_changes_the_net_benefit_row_by_row():
    score, outcome, _ = draw(1500)
    p = ct.Predictions.from_probs(score**2, outcome)
    after = ct.fit("isotonic", p)
    report = ct.evaluate(p, ["net-benefit(threshold=0.2)"], calibrator=after, **FEW)
    change = report.change[0]
    assert change.value == pytest.approx(report.after[0].value - report.estimates[0].value)
    assert 0 < change.low < change.value < change.high


# ---------------------------------------------------------------- O:E


@pytest.mark.parametrize("weighted", [False, True])
def test_the_ratio_is_the_quotient_of_sums(weighted):
    score, outcome, weight = draw(400)
    weight = weight if weighted else np.ones(400)
    p = ct.Predictions.from_probs(score, outcome, weights=weight)
    expected = (weight * outcome).sum() / (weight * score).sum()
    for rows in (p, ct.cells(p)):
        for name in ("oe-ratio", "o:e", "O-E_ratio"):
            found = ct.evaluate(rows, [name], ci="none")["oe-ratio"]
            assert found.value == pytest.approx(expected)


def test_the_interval_is_symmetric_on_the_log_scale():
    score, outcome, _ = draw(3000)
    found = ct.evaluate(ct.Predictions.from_probs(score, outcome), ["oe-ratio"])["oe-ratio"]
    assert "|ci:log-95|" in found.signature
    assert found.low * found.high == pytest.approx(found.value**2)
    rows = outcome / outcome.sum() - score / score.sum()
    reach = NormalDist().inv_cdf(0.975) * np.sqrt((rows**2).sum())
    assert np.log(found.high / found.value) == pytest.approx(reach)
    cells = Cells.from_rows(score, outcome)
    assert (found.low, found.high) == pytest.approx(log_interval(cells, 0.95))


def test_without_an_outcome_the_ratio_is_0_and_has_an_upper_end():
    p = ct.Predictions.from_probs(np.linspace(0.01, 0.1, 200), np.zeros(200, int))
    found = ct.evaluate(p, ["oe-ratio"], **FEW)["oe-ratio"]
    assert (found.value, found.low) == (0, 0)
    assert 0 < found.high < 2  # three outcomes in 200 rows are not excluded; 11 were expected
    assert np.isnan(oe_ratio(Cells.from_rows(np.zeros(3), np.zeros(3))))
    never = ct.evaluate(ct.Predictions.from_probs(np.zeros(30), np.arange(30) == 7), ["oe-ratio"])
    assert "a score of exactly 0 has outcome 1 (row 7" in never["oe-ratio"].missing


# ---------------------------------------------------------------- Hosmer-Lemeshow


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("power", [1.0, 1.15])
def test_its_p_value_is_that_of_the_significance_test(power, weighted):
    """To four standard errors of 1,000 draws; both redraw the outcomes from the scores."""
    score, outcome, weight = draw(1000)
    score = score**power
    p = ct.Predictions.from_probs(score, outcome, weights=weight if weighted else None)
    theirs = ct.significance(p, tests="hosmer-lemeshow")["hosmer-lemeshow"].p_value
    for rows in (p, ct.cells(p)):
        found = ct.evaluate(rows, ["hosmer-lemeshow"]).estimates[0]
        assert found.p_value == pytest.approx(theirs, abs=0.06)
    if not weighted:
        assert found.p_value == pytest.approx(chi2.sf(found.value, 10), abs=0.06)


def test_the_p_values_of_calibrated_rows_are_about_uniform():
    p_values = []
    for seed in range(100):
        rng = np.random.Generator(np.random.PCG64(seed))
        score = rng.beta(0.3, 0.3, 300)  # many near 0 and 1, where chi-squared is wrong
        p = ct.Predictions.from_probs(score, (rng.random(300) < score).astype(int))
        p_values.append(ct.evaluate(p, ["hosmer-lemeshow"], **FEW).estimates[0].p_value)
    # of 100 uniform values: three standard errors of the mean, and of the share below 0.05
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.09)
    assert np.mean(np.array(p_values) <= 0.05) < 0.05 + 0.066


def test_refuted_scores_of_0_and_1_have_the_smallest_p_value():
    for outcome, wanted in (([0, 0, 1, 1] * 10, 1.0), ([1, 0, 1, 1] * 10, 1 / 201)):
        p = ct.Predictions.from_probs(np.array([0.0, 0, 1, 1] * 10), np.array(outcome))
        report = ct.evaluate(p, ["hosmer-lemeshow"], **FEW)
        assert report.estimates[0].p_value == pytest.approx(wanted)


def test_several_problems_and_no_intervals_have_no_p_value():
    score, outcome, _ = draw(300)
    p = ct.Predictions.from_probs(score, outcome)
    of_classes = ct.evaluate(p, ["hosmer-lemeshow(view=class)"], **FEW)
    assert of_classes.estimates[0].p_value is None
    assert ct.evaluate(p, ["hosmer-lemeshow"], ci="none").estimates[0].p_value is None


def test_tables_show_the_p_value_only_beside_a_statistic():
    score, outcome, _ = draw(300)
    p = ct.Predictions.from_probs(score, outcome)
    report = ct.evaluate(p, ["hosmer-lemeshow", "brier"], **FEW)
    text = " ".join(str(report).split())
    assert "interval p-value" in text
    assert f"{report.estimates[0].p_value:.3f}" in text
    assert "p-value" not in str(ct.evaluate(p, ["ece", "brier"], **FEW))
    after = ct.evaluate(p, ["hosmer-lemeshow"], calibrator=ct.fit("platt", p), **FEW)
    assert "before, p" in " ".join(str(after).split())
    # the sentences are about calibration errors, not about a statistic that grows with the rows
    assert "true hosmer-lemeshow" not in str(report)


# ---------------------------------------------------------------- names


def test_the_clinical_set_has_what_a_report_needs():
    names = [spec.name for spec in parse_list("clinical")]
    assert {"auroc", "oe-ratio", "net-benefit", "net-benefit(of=all)", "ici"} <= set(names)
    assert parse("c-statistic").metric.name == "auroc"
    assert parse("c-statistic").alias == "c-statistic"


@pytest.mark.parametrize(
    ("spec", "limits"),
    [
        ("net-benefit", (-1 / 9, 1)),
        ("net-benefit(threshold=0.5)", (-1, 1)),
        ("net-benefit(scale=standardised)", (-math.inf, 1)),
        ("net-benefit(scale=avoided)", (-900, 100)),
        ("net-benefit(threshold=1)", (-math.inf, 1)),
    ],
)
def test_ranges(spec, limits):
    assert parse(spec).limits == pytest.approx(limits)


# ---------------------------------------------------------------- one unseen row


def test_a_threshold_that_no_row_reaches_is_not_certain_to_be_reached_by_none():
    score = np.linspace(0.01, 0.2, 300)
    p = ct.Predictions.from_probs(score, (np.arange(300) % 10 == 0).astype(int))
    found = ct.evaluate(p, ["net-benefit(threshold=0.5)"], **FEW).estimates[0]
    assert found.value == 0
    # 3.7 of 300 rows more that are acted on: Clopper & Pearson's upper end of none in 300
    most = 1 - 0.025 ** (1 / 300)
    assert found.low == pytest.approx(-most, rel=0.2)
    assert found.high == pytest.approx(most, rel=0.2)
    everybody = ct.evaluate(p, ["net-benefit(threshold=0.005)"], **FEW).estimates[0]
    assert everybody.low < everybody.value < everybody.high


def test_a_change_is_that_of_its_rows_with_one_that_was_not_seen():
    score, outcome, _ = draw(600)
    p = ct.Predictions.from_probs(score, outcome)
    after = ct.fit("platt", p)
    for spec in ("net-benefit(threshold=0.2)", "net-benefit(threshold=0.2,scale=avoided)"):
        assert parse(spec).metric.by_row is not None
        change = ct.evaluate(p, [spec], calibrator=after, **FEW).change[0]
        assert change.low <= change.value <= change.high
        assert change.low < change.high
    standardised = "net-benefit(threshold=0.2,scale=standardised)"
    assert ct.evaluate(p, [standardised], calibrator=after, **FEW).change[0].low is not None


@pytest.mark.parametrize("scale", ["plain", "avoided"])
@pytest.mark.parametrize("of", ["model", "all"])
def test_what_a_row_adds_averages_to_the_metric(scale, of):
    score, outcome, _ = draw(300, rounded=True)
    options = {"threshold": 0.3, "scale": scale, "of": of}
    rows = by_row(score, outcome, **options)
    cells = Cells.from_rows(score, outcome)
    assert rows.mean() == pytest.approx(float(net_benefit(cells, **options)))
