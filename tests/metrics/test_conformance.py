"""CONFORMANCE: where libraries disagree, and goldens of those that agree with our definitions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from inputs import convention_inputs, sha256

import calibtool as ct

ARRAYS = convention_inputs()
FOLDER = Path(__file__).parents[1] / "goldens"
FILES = sorted(FOLDER.glob("*.json"))
ALSO = sorted((FOLDER / "conventions").glob("*.json"))


def predictions(name):
    arrays = ARRAYS[name]
    if "labels" in arrays:
        return ct.Predictions.from_logits(arrays["logits"], arrays["labels"])
    return ct.Predictions.from_probs(arrays["scores"], arrays["outcomes"])


def goldens():
    for file in FILES + ALSO:
        document = json.loads(file.read_text())
        for entry in document["values"]:
            if entry["agrees_with"]:
                label = f"{file.stem}-{entry['input']}-{entry['agrees_with']}"
                yield pytest.param(document["sha256"], entry, id=label)


def test_there_are_goldens_of_every_peer():
    names = {file.stem.rsplit("-", 1)[0] for file in FILES}
    peers = {"netcal", "scikit-learn", "torchmetrics", "uncertainty-calibration", "dcurves"}
    assert names == peers


@pytest.mark.parametrize(("hashes", "entry"), list(goldens()))
def test_agrees_with_the_peer(hashes, entry):
    name = entry["input"]
    for key, array in ARRAYS[name].items():
        assert sha256(array) == hashes[name][key], f"{name}.{key} is not what the peer was given"
    p = predictions(name)
    if entry["agrees_with"] == "temperature":
        ours = ct.fit("temperature", p).map.temperature
    else:
        ours = ct.evaluate(p, [entry["agrees_with"]], ci="none").estimates[0].value
    assert ours == pytest.approx(entry["value"], abs=entry["tolerance"])


def ece(scores, outcomes, spec="ece(bins=10)"):
    p = ct.Predictions.from_probs(np.asarray(scores), outcomes)
    return ct.evaluate(p, [spec], ci="none").estimates[0].value


def test_set_a_edges_are_right_closed_and_nothing_is_dropped():
    arrays = ARRAYS["tenths"]
    assert ece(arrays["scores"], arrays["outcomes"]) == pytest.approx(0.31666666666666665)


def test_set_a_of_the_shared_sets(conformance):
    sets = np.load(conformance / "sets.npz")
    found = ece(sets["A_scores"], sets["A_outcomes"])
    values = json.loads((conformance / "values.json").read_text())
    theirs = values["binary"]["A_edges"]["width"]["uncertainty-cal get_ece"]
    assert found == pytest.approx(theirs, abs=1e-12)


SET_B = [
    ("ece", "width", "netcal ECE"),
    ("ece", "width", "sklearn curve->ECE"),
    ("ada-ece", "mass", "netcal equal_intervals=False"),
    ("ada-ece", "mass", "sklearn quantile->ECE"),
]


@pytest.mark.parametrize(("spec", "kind", "library"), SET_B)
def test_set_b_of_the_shared_sets(conformance, spec, kind, library):
    sets = np.load(conformance / "sets.npz")
    values = json.loads((conformance / "values.json").read_text())
    theirs = values["binary"]["B_continuous"][kind][library]
    assert ece(sets["B_scores"], sets["B_outcomes"], spec) == pytest.approx(theirs, abs=1e-12)


# of ece-kde, by the first 1,000 rows: its marginal error is a sum over classes, its binary one
# twice the mean
ECE_KDE = [
    ("M", "kde-ece(bandwidth=0.05)", 1, "ece-kde top_label p=1 bw=.05 (n=1000)"),
    ("M", "kde-ece(bandwidth=0.05,view=class)", 5, "ece-kde marginal p=1 bw=.05 (n=1000)"),
    ("M", "canonical-kde-ece(bandwidth=0.05)", 1, "ece-kde canonical p=1 bw=.05 (n=1000)"),
    ("B", "kde-ece(bandwidth=0.05)", 2, "ece-kde binary p=1 (x2!)"),
]


@pytest.mark.parametrize(("name", "spec", "times", "library"), ECE_KDE)
def test_kernel_density_errors_of_the_shared_sets(conformance, name, spec, times, library):
    sets = np.load(conformance / "sets.npz")
    if name == "M":
        p = ct.Predictions.from_logits(sets["M_logits"], sets["M_labels"])
    else:
        p = ct.Predictions.from_probs(sets["B_scores"], sets["B_outcomes"])
    found = ct.evaluate(p.take(slice(1000)), [spec], ci="none").estimates[0].value
    values = json.loads((conformance / "values.json").read_text())
    assert times * found == pytest.approx(values["multiclass"]["M"][library], abs=1e-6)


def test_a_float32_score_of_three_tenths_lies_on_the_edge():
    """Alone in (0.2, 0.3]: were it above 3/10, it would share a bin with 0.35."""
    apart = (abs(1 - 0.3) + abs(0 - 0.35)) / 2
    for dtype in (np.float16, np.float32, np.float64):
        assert ece(np.array([0.3, 0.35], dtype), [1, 0]) == pytest.approx(apart, abs=1e-3)


def test_zero_joins_the_first_bin_and_one_the_last():
    assert ece([0.0, 0.05, 1.0, 0.95], [1, 0, 0, 1]) == pytest.approx(0.475)


def test_equal_mass_keeps_ties_together_whatever_the_order():
    rng = np.random.Generator(np.random.PCG64(0))
    scores, outcomes = ARRAYS["ties"]["scores"], ARRAYS["ties"]["outcomes"]
    expected = ece(scores, outcomes, "ada-ece")
    order = rng.permutation(len(scores))
    assert ece(scores[order], outcomes[order], "ada-ece") == pytest.approx(expected, abs=1e-14)


def test_a_constant_score_is_one_bin():
    assert ece([0.7] * 10, [1] * 5 + [0] * 5, "ada-ece") == pytest.approx(0.2)


def test_classes_are_counted_by_the_columns_not_by_the_labels():
    probs = np.full((4, 4), 0.25)
    p = ct.Predictions.from_probs(probs, [0, 1, 0, 1])
    found = ct.evaluate(p, ["classwise-ece"], ci="none")["classwise-ece"].value
    assert found == pytest.approx((0.25 + 0.25 + 0.25 + 0.25) / 4)


def test_an_infinite_nll_is_reported_and_its_rows_are_named():
    p = ct.Predictions.from_probs([[1.0, 0.0], [0.5, 0.5]], [1, 0])
    report = ct.evaluate(p.take(np.tile([0, 1], 20)), ["nll", "brier"], resamples=50)
    assert report["nll"].value == np.inf
    assert report["nll"].low is None
    assert report["brier"].low is not None
    assert "row 0" in report.warnings[0]
