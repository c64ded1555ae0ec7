"""Other libraries' numbers, held to goldens that the libraries gave, to the values printed in
CONFORMANCE for those that cannot be installed, and to what can be worked out by hand."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from inputs import convention_inputs, sha256

from calibtool import Predictions
from calibtool.data.rows import to_probs
from calibtool.errors import NotAvailableError, UsageError
from calibtool.metrics.conventions.evaluators import EVALUATORS
from calibtool.metrics.conventions.registry import CONVENTIONS, named
from calibtool.metrics.conventions.reproduce import reproduce, spread

FILES = sorted((Path(__file__).parents[1] / "goldens" / "conventions").glob("*.json"))
ARRAYS = convention_inputs()
NAMES = {"scikit-learn": "sklearn", "calzone-tool": "calzone"}


@lru_cache
def given(name):
    arrays = ARRAYS[name]
    if "labels" in arrays:
        return Predictions.from_logits(arrays["logits"], arrays["labels"])
    return Predictions.from_probs(arrays["scores"], arrays["outcomes"])


@lru_cache
def ours(library, name, bins):
    return {row.metric: row for row in reproduce(library, given(name), bins=bins)}


def entries():
    for file in FILES:
        document = json.loads(file.read_text())
        library = NAMES.get(document["library"], document["library"].replace("_", "-"))
        for entry in document["values"]:
            if entry.get("reproduces"):
                label = f"{library}-{entry['reproduces']}-{entry['input']}"
                yield pytest.param(library, entry, id=label)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_libraries_were_given_these_arrays(file):
    for name, hashes in json.loads(file.read_text())["sha256"].items():
        assert {key: sha256(array) for key, array in ARRAYS[name].items()} == hashes


@pytest.mark.parametrize(("library", "entry"), list(entries()))
def test_the_library_gave_the_same(library, entry):
    found = ours(library, entry["input"], entry["bins"])[entry["reproduces"]]
    if entry["value"] is not None:
        assert found.value == pytest.approx(entry["value"], rel=1e-6, abs=entry["tolerance"])
    elif entry["raises"] == "gives inf":
        assert found.value == math.inf
    else:
        assert found.value is None
        assert found.note


def test_every_library_that_can_be_installed_has_goldens():
    asked = {NAMES.get(n, n.replace("_", "-")) for n in (f.stem.rsplit("-", 1)[0] for f in FILES)}
    papers = {"guo", "focal", "nixon", "robustness-metrics"}
    papers |= {convention.name for convention in EVALUATORS}  # tests/metrics/test_evaluators.py
    assert set(CONVENTIONS) - papers <= asked
    for library in set(CONVENTIONS) - papers:
        held = {row.values[1]["reproduces"] for row in entries() if row.values[0] == library}
        assert held == set(CONVENTIONS[library].metrics)


# what is printed in CONFORMANCE, by set, table and name there; bins, our library and metric
WIDTH = {
    "guo/focal (lo,hi] f32 edges": ("guo", "ece-positive"),
    "netcal ECE": ("netcal", "ece"),
    "torchmetrics l1 (f64 in)": ("torchmetrics", "ece"),
    "uncertainty-cal get_ece": ("uncertainty-calibration", "ece"),
    "relplot binnedECE": ("relplot", "ece"),
    "calzone ECE-H": ("calzone", "ece-h"),
    "probcal width": ("probcal", "ece-width"),
    "calibre ECE": ("calibre", "ece"),
    "MAPIE ECE uniform num_bins=n": ("mapie", "ece"),
    "sklearn curve->ECE": ("sklearn", "ece"),
    "nixon gce even, 2col classwise": ("nixon", "sce"),
}
MASS = {
    "uncertainty-cal get_ece_em": ("uncertainty-calibration", "ece-em"),
    "calzone ECE-C": ("calzone", "ece-c"),
    "probcal mass": ("probcal", "ece"),
    "calibre plugin norm=1": ("calibre", "plugin-l1"),
    "MAPIE quantile num_bins=n": ("mapie", "ece-quantile"),
    "MAPIE array_split num_bins=n": ("mapie", "ece-array-split"),
    "sklearn quantile->ECE": ("sklearn", "ece-quantile"),
    "focal AdaptiveECE edges": ("focal", "ada-ece-positive"),
}
MULTICLASS = {
    "focal ECELoss": ("focal", "ece"),
    "focal AdaptiveECELoss": ("focal", "ada-ece"),
    "focal ClasswiseECELoss": ("focal", "classwise-ece"),
    "nixon ece": ("nixon", "ece"),
    "nixon sce": ("nixon", "sce"),
    "nixon ace": ("nixon", "ace"),
    "nixon tace .01": ("nixon", "tace"),
    "uc marginal L1": ("uncertainty-calibration", "ece-marginal"),
    "MAPIE top_label_ece n=15": ("mapie", "top-label-ece"),
    "calibre classwise_ece(debiased L2)": ("calibre", "classwise-ece"),
    "TU classwise": ("torch-uncertainty", "classwise-ece"),
    "TU adaptive": ("torch-uncertainty", "ace"),
}
ONE = {"A": ("A_edges", 10), "B": ("B_continuous", 15), "C": ("C_ties", 15)}


def one_value(library, metric, predictions, bins):
    found = {row.metric: row.value for row in reproduce(library, predictions, bins=bins)}
    return found[metric]


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize(("kind", "table"), [("width", WIDTH), ("mass", MASS)])
def test_the_printed_values_of_sets_a_b_and_c(conformance, name, kind, table):
    sets = np.load(conformance / "sets.npz")
    entry, bins = ONE[name]
    printed = json.loads((conformance / "values.json").read_text())["binary"][entry][kind]
    p = Predictions.from_probs(sets[f"{name}_scores"], sets[f"{name}_outcomes"])
    for label, (library, metric) in table.items():
        found = one_value(library, metric, p, bins)
        assert found == pytest.approx(printed[label], abs=1e-9), label


def test_the_printed_values_of_rows(conformance):
    sets = np.load(conformance / "sets.npz")
    printed = json.loads((conformance / "values.json").read_text())["multiclass"]["M"]
    p = Predictions.from_logits(sets["M_logits"], sets["M_labels"])
    for label, (library, metric) in MULTICLASS.items():
        found = one_value(library, metric, p, 15)
        assert found == pytest.approx(printed[label], abs=1e-6), label


def test_the_published_number_of_the_temperature_scaling_authors_kind(published):
    """Kull et al. print 0.047503518641 for a ResNet-110 on CIFAR-10, of confidences alone."""
    arrays = np.load(published / "toplabel_cifar10_resnet110.npz")
    correct = arrays["predictions"] == arrays["labels"]
    p = Predictions.from_confidence(arrays["confidence"], correct)
    for library in ("guo", "focal", "torchmetrics", "netcal", "uncertainty-calibration"):
        assert one_value(library, "ece", p, 15) == pytest.approx(0.047503518641, abs=1e-6)


def test_guo_drops_a_score_of_0_and_calzone_its_row_too():
    p = Predictions.from_probs([0.0, 0.0, 0.75, 0.75], [1, 1, 1, 1])
    assert one_value("guo", "ece-positive", p, 4) == 0.125
    assert one_value("calzone", "ece-h", p, 4) == 0.25
    assert one_value("netcal", "ece", p, 4) == pytest.approx(0.625)


def test_focal_counts_classes_up_to_the_highest_label():
    probs = np.full((4, 4), 0.25)
    p = Predictions.from_probs(probs, [0, 0, 0, 1])
    assert one_value("focal", "classwise-ece", p, 15) == 0.25
    assert one_value("torch-uncertainty", "classwise-ece", p, 15) == 0.25
    assert one_value("focal", "classwise-ece", p.take([0, 1, 2]), 15) == 0.75


def test_tace_rises_with_its_threshold():
    tace = CONVENTIONS["nixon"].metrics["tace"]
    p = to_probs(given("classes5"))
    found = [tace(p.values, p.labels, threshold=threshold) for threshold in (0, 0.01, 0.05)]
    assert found == sorted(found)
    assert found[0] < found[2]


def test_a_library_that_refuses_says_why_and_the_others_go_on():
    p = Predictions.from_probs([0.5] * 8, [0, 1] * 4)
    found = {row.metric: row for row in reproduce("netcal", p)}
    assert found["ece-equal-mass"].value is None
    assert found["ece-equal-mass"].note == "raises ValueError: quantiles meet"
    assert found["ece"].value == 0
    calzone = {row.metric: row for row in reproduce("calzone", p)}
    assert calzone["ece-c"].value is None
    assert calzone["ece-c"].note == "gives NaN"


def test_a_binary_number_asked_of_many_classes_is_not_made_up():
    found = {row.metric: row for row in reproduce("guo", given("classes5"))}
    assert found["ece-positive"].value is None
    assert found["ece-positive"].note == "does not accept 5 classes"


def test_confidences_stand_for_rows_where_rows_come_down_to_them():
    p = Predictions.from_confidence([0.75, 0.75], [1, 0])
    found = {row.metric: row for row in reproduce("focal", p)}
    assert found["ece"].value == 0.25
    assert found["ece"].view == "confidence"
    assert found["classwise-ece"].value is None


def test_weights_are_said_to_be_left_out():
    p = Predictions.from_probs([0.75, 0.25], [1, 0], weights=[1.0, 2.0])
    assert "without weights" in reproduce("relplot", p, bins=2)[0].note


def test_labels_are_needed():
    with pytest.raises(NotAvailableError, match="labels"):
        reproduce("netcal", Predictions.from_probs([0.5, 0.5], None))


def test_names_are_forgiving_and_an_unknown_one_lists_near_ones():
    assert named("Scikit-Learn").name == "sklearn"
    assert named("torch_uncertainty").name == "torch-uncertainty"
    with pytest.raises(UsageError, match="did you mean torchmetrics"):
        reproduce("torchmetric", given("tenths"))


def test_the_spread_of_continuous_scores_is_small_and_that_of_tenths_is_not():
    def values(name):
        rows = spread(given(name), bins=[10])
        return [row.low for row in rows if row.view == "positive" and "mass" not in row.rule]

    continuous, tenths = values("continuous"), values("tenths")
    assert max(continuous) - min(continuous) < 0.01
    assert max(tenths) - min(tenths) > 0.08


def test_the_spread_holds_its_value_at_15_bins():
    rows = spread(given("ties"), bins=range(5, 31, 5))
    assert [row.library for row in rows] == [n for n, library in CONVENTIONS.items() if library.ece]
    for row in rows:
        assert row.low <= row.value <= row.high
        assert row.rule


def test_rows_of_half_precision_are_widened():
    p = Predictions.from_probs(np.array([0.25, 0.75], np.float16), [0, 1])
    assert one_value("torchmetrics", "ece", p, 4) == pytest.approx(0.25)
