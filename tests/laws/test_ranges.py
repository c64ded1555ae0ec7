"""The range and the ideal of every metric of the table: what is measured lies in the range."""

from __future__ import annotations

import math

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.data.rows import to_probs
from calibtool.metrics.registry import METRICS
from calibtool.metrics.spec import parse

ROWS = 240
OPTIONS = [
    *("mcb(score=log)", "dsc(score=log)", "unc(score=log)", "skce(estimator=unbiased)"),
    *("skce(estimator=biased)", "kde-ece(order=2)", "canonical-kde-ece(order=2)"),
    *("ece(norm=worst)", "ece(norm=debiased_l1)", "ece(norm=debiased_l2,view=class)"),
    *("ece(norm=average,profile=equal_mass)", "smece(kernel=logit)", "tace(denominator=all)"),
    *("ece(profile=equal_rows,rows=20)", "prr(rejected=0.5)"),
    *("calibration-lp(p=2)", "calibration-lp(p=inf)", "calibration-lp(view=top)"),
    *("calibration-lp(view=top,side=over)", "calibration-lp(view=top,side=under)"),
]
NAMES = [*METRICS, *OPTIONS]
# they take seconds a data set with replicates, and are clipped in the same place as all others
SLOW = {"canonical-kde-ece", "canonical-kde-ece(order=2)"}


def weights(rows):
    """Weights whose sums round, and that differ by seven powers of ten."""
    return np.random.Generator(np.random.PCG64(3)).lognormal(0, 3, rows)


def one_column(score, outcome, **more):
    return ct.Predictions.from_probs(np.asarray(score, np.float64), np.asarray(outcome), **more)


def right(rows=ROWS):
    """Every row right, with weights whose sum rounds."""
    probs = to_probs(simulate(rows, 3)).values
    return ct.Predictions.from_probs(probs, probs.argmax(axis=1), weights=weights(rows))


def wrong(rows=ROWS):
    """Every row wrong at a confidence of almost 1."""
    probs = np.full((rows, 3), 1e-9)
    probs[np.arange(rows), np.arange(rows) % 3] = 1 - 2e-9
    return ct.Predictions.from_probs(probs, (np.arange(rows) + 1) % 3)


DATA = {
    "five classes": lambda: simulate(ROWS, 5),
    "weighted": lambda: ct.Predictions.from_logits(
        simulate(ROWS, 3).values, simulate(ROWS, 3).labels, weights=weights(ROWS)
    ),
    "all right": right,
    "all wrong": wrong,
    "all positive at 0": lambda: one_column(np.linspace(0, 1e-3, ROWS), np.ones(ROWS, int)),
    "no positive at 1": lambda: one_column(1 - np.linspace(0, 1e-3, ROWS), np.zeros(ROWS, int)),
    "a step at 0": lambda: one_column(np.linspace(0, 0.01, ROWS), np.arange(ROWS) > 100),
    "turned round": lambda: one_column(
        np.linspace(0.01, 0.99, ROWS), np.arange(ROWS) < ROWS // 2, weights=weights(ROWS)
    ),
    "one row in reach": lambda: one_column(np.r_[np.zeros(ROWS - 1), 1.0], np.arange(ROWS) == 0),
}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # infinite log-scores
@pytest.mark.parametrize("case", DATA)
def test_values_intervals_and_corrected_estimates_lie_in_the_range(case):
    predictions = DATA[case]()
    names = [name for name in NAMES if name not in SLOW]
    report = ct.evaluate(predictions, names, resamples=60, ood=predictions.take(np.arange(60)))
    assert sum(estimate.value is not None for estimate in report) > 25
    for estimate in report:
        least, most = parse(estimate.name).limits
        assert (estimate.least, estimate.most) == (least, most)
        for shown in (estimate.value, estimate.low, estimate.corrected, estimate.high):
            assert shown is None or least <= shown <= most, estimate


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # infinite log-scores
@pytest.mark.parametrize("case", ["five classes", "weighted", "all right", "a step at 0"])
def test_the_same_of_cells(case):
    cells = ct.cells(DATA[case](), "all")
    report = ct.evaluate(cells, "all", resamples=60)
    assert sum(estimate.value is not None for estimate in report) > 25
    for estimate in report:
        for shown in (estimate.value, estimate.low, estimate.corrected, estimate.high):
            assert shown is None or estimate.least <= shown <= estimate.most, estimate


def test_the_mean_of_ones_is_one():
    """It was 1.0000000000000304: the weights of rows of weight 0 were added in another order."""
    drawn = weights(5000) * (np.arange(5000) % 7 > 0)
    p = ct.Predictions.from_probs(np.full((5000, 2), [0.1, 0.9]), np.ones(5000), weights=drawn)
    assert ct.evaluate(p, ["accuracy"]).estimates[0].value == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_says_what_is_better_and_within_what(name):
    spec = parse(name)
    metric, (least, most) = spec.metric, spec.limits
    assert metric.better in {"lower", "higher", "nearer", ""}
    assert least < most
    if metric.better == "nearer":
        assert least < metric.ideal < most
    if metric.better == "":
        assert metric.ideal is None
    if spec.is_error:
        assert (metric.better, metric.ideal) == ("lower", 0)
        if name not in {"debiased-reliability", "mcb(score=log)"}:
            assert (least, most) == (0, 1)
    if metric.better == "lower" and metric.ideal is not None and math.isfinite(least):
        assert metric.ideal in {least, 0}
    if metric.better == "higher" and metric.ideal is not None:
        assert metric.ideal == most
