"""Published numbers, to the printed digit. CONTRIBUTING.md says how to take the files."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import calibtool as ct
from calibtool.calibrators.crossfit import cross_fit
from calibtool.diagrams import decision_curve
from calibtool.metrics.simplex import skce


def prior_entropy(labels):
    share = np.bincount(labels) / len(labels)
    return -(share[share > 0] * np.log(share[share > 0])).sum()


def numbers(report_after):
    return {estimate.name: estimate.value for estimate in report_after}


def hold(predictions, found, ce, top, positive):
    """The printed digits: normalised cross-entropy, and ECEs in per cent."""
    assert round(found["nll"] / prior_entropy(predictions.labels), 3) == ce
    assert round(100 * found["ece"], 1) == top
    if positive:
        assert round(100 * found["ece(view=positive)"], 1) == positive


RAW = [
    ("sst2_gpt2", 0.917, 20.0, 27.3),
    ("fvcaus_plda", 1.966, 1.8, 8.6),
    ("cifar10_resnet20", 0.122, 3.9, None),
    ("cifar100_resnet20", 0.266, 10.3, None),
]


@pytest.mark.parametrize(("name", "ce", "top", "positive"), RAW)
def test_raw_columns_of_ferrer_and_ramos(published, name, ce, top, positive):
    p = ct.load(published / f"{name}.npz")
    metrics = ["nll", "ece"] + (["ece(view=positive)"] if positive else [])
    found = numbers(ct.evaluate(p, metrics, ci="none"))
    hold(p, found, ce, top, positive)


CROSS_FITTED = [
    ("sst2_gpt2", 0.858, 18.9, 26.9),
    ("fvcaus_plda", 1.887, 0.2, 9.8),
    ("cifar10_resnet20", 0.101, 0.9, None),
    ("cifar100_resnet20", 0.244, 1.7, None),
]


@pytest.mark.parametrize(("name", "ce", "top", "positive"), CROSS_FITTED)
def test_cross_fitted_columns_of_ferrer_and_ramos(published, name, ce, top, positive):
    p = ct.load(published / f"{name}.npz")
    numbered, judge = cross_fit(partial(ct.fit, "temperature"), p, "temperature scaling")
    metrics = ["nll", "ece"] + (["ece(view=positive)"] if positive else [])
    found = numbers(ct.evaluate(numbered, metrics, calibrator=judge, ci="none").after)
    hold(p, found, ce, top, positive)


@pytest.mark.parametrize(
    ("name", "ece"),
    [
        ("toplabel_cifar10_resnet110", 0.047503518641),
        ("toplabel_cifar100_resnet110", 0.184804543945),
    ],
)
def test_twelve_digits_of_kull(published, name, ece):
    p = ct.load(published / f"{name}.npz")
    assert ct.evaluate(p, ["ece"], ci="none")["ece"].value == pytest.approx(ece, abs=1e-8)


TEMPERATURES = [
    ("cifar10_resnet20", 1.6701, 0.03896, 0.00842, 0.28152),
    ("cifar100_resnet20", 1.4403, 0.10339, 0.01680, 1.22526),
    ("sst2_gpt2", 1.8042, None, None, None),
    ("fvcaus_plda", 1.3182, None, None, None),
]


@pytest.mark.parametrize(("name", "temperature", "before", "after", "nll"), TEMPERATURES)
def test_temperatures_of_the_whole_files(published, name, temperature, before, after, nll):
    p = ct.load(published / f"{name}.npz")
    cal = ct.fit("temperature", p)
    assert round(cal.map.temperature, 4) == temperature
    if before is not None:
        report = ct.evaluate(p, ["ece", "nll"], calibrator=cal, ci="none")
        assert round(report["ece"].value, 5) == before
        assert round(report.after[0].value, 5) == after
        assert round(report["nll"].value, 5) == nll


def test_scaling_makes_the_binary_ece_worse_while_the_top_label_one_falls(published):
    p = ct.load(published / "fvcaus_plda.npz")
    cal = ct.fit("temperature", p)
    report = ct.evaluate(p, ["ece(view=top)", "ece(view=positive)"], calibrator=cal, resamples=200)
    top, positive = report.change
    assert top.high < 0 < positive.low


def test_one_column_and_two_columns_agree(published):
    p = ct.load(published / "sst2_gpt2.npz")
    one = ct.Predictions.from_logits(p.values[:, 1] - p.values[:, 0], p.labels)
    specs = ["nll", "brier", "accuracy", "ece(view=top)", "ece(view=positive)", "classwise-ece"]
    two, single = ct.evaluate(p, specs, ci="none"), ct.evaluate(one, specs, ci="none")
    for a, b in zip(two, single, strict=True):
        assert a.value == pytest.approx(b.value, abs=1e-6), a.name
    assert replace(one, labels=None).one_column


@pytest.mark.parametrize(("name", "ce"), [("sst2_gpt2", 0.478), ("fvcaus_plda", 0.006)])
def test_isotonic_on_the_same_data(published, name, ce):
    """The `calp` column: NLL over the entropy of the class shares, fitted and scored in-sample."""
    p = ct.load(published / f"{name}.npz")
    share = p.labels.mean()
    entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    report = ct.evaluate(p, ["nll"], calibrator=ct.fit("isotonic", p), ci="none")
    assert round(report.after[0].value / entropy, 3) == ce


# ---------------------------------------------------------------- printed in R and Julia

PUBLISHED = Path(__file__).parents[1] / "goldens" / "published"


def published(name):
    return json.loads((PUBLISHED / name).read_text())


def test_the_decomposition_that_reliabilitydiag_prints():
    """Dimitriadis et al. 2021, to three digits."""
    golden = published("reliabilitydiag-0.2.1.json")
    p = ct.Predictions.from_probs(golden["score"], golden["outcome"])
    found = numbers(ct.evaluate(p, ["brier", "mcb", "dsc", "unc"], ci="none"))
    found["mean_score"] = found.pop("brier")
    assert {name: float(f"{value:.3g}") for name, value in found.items()} == golden["printed"]


@pytest.mark.parametrize("case", published("CalibrationErrors.jl-21ec63e.json")["skce"])
def test_skce_of_two_corners_as_in_julia(case):
    known = {"0": 0, "0.5": 0.5, "-2 exp(-1)": -2 * math.exp(-1), "1 - exp(-1)": 1 - math.exp(-1)}
    corners, labels = np.eye(2), np.array(case["labels"])
    for estimator in ("unbiased", "biased"):
        value = skce(corners, labels, estimator=estimator, width=1.0)
        assert value == pytest.approx(known[case[estimator]], abs=1e-15)
    ten_times = np.tile(corners, (10, 1)), np.tile(labels, 10)
    linear = skce(*ten_times, estimator="linear", width=1.0)
    assert linear == pytest.approx(known[case["unbiased"]], abs=1e-15)


@pytest.mark.parametrize(
    "case",
    published("CalibrationErrors.jl-21ec63e.json")["ece, uniform binning of the simplex, 10"],
)
def test_ece_of_the_simplex_as_in_julia(case):
    p = ct.Predictions.from_probs(case["rows"], case["labels"])
    assert ct.evaluate(p, ["simplex-ece(bins=10)"], ci="none").estimates[0].value == case["value"]


@pytest.mark.parametrize("model", ["everybody", "cancerpredmarker", "famhistory"])
def test_net_benefits_of_the_dcurves_of_r(model):
    """Vickers & Elkin 2006, by the package that is most often used for it."""
    golden = published("dcurves-r.json")
    score = golden["cancerpredmarker" if model == "everybody" else model]
    p = ct.Predictions.from_probs(score, golden["outcome"])
    of = ",of=all" if model == "everybody" else ""
    for threshold, value in golden["printed"][model].items():
        spec = f"net-benefit(threshold={threshold}{of})"
        assert ct.evaluate(p, [spec], ci="none").estimates[0].value == pytest.approx(value)
        diagram = decision_curve.compute(p, thresholds=f"{threshold}-0.95", resamples=20)
        own = diagram.everybody[0] if model == "everybody" else diagram.curves[0]
        assert own.value[0] == pytest.approx(value)
