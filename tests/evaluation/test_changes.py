"""Changes: after minus before on the same rows, whose width goes to 0 with the change."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.maps import Power
from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Variant
from calibtool.evaluation.evaluate import evaluate_rows
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.measurement import Measurement, Settings
from calibtool.evaluation.pairs import reach
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.evaluation.results import change_of, estimate_of
from calibtool.intervals.inversion import Inverted
from calibtool.metrics.spec import parse

BINNED = (
    "ece,ada-ece,rmsce,ada-rmsce,mce,average-ce,overconfidence-error,underconfidence-error,"
    "classwise-ece,ace,top-label-ece,ece(view=label),rmsce(view=label),"
    "rmsce(view=class,profile=equal_mass),average-ce(view=class,profile=equal_mass)"
)
CURVES = (
    "ks,kuiper,mmce,smece,ks(view=class),kuiper(view=class),mmce(view=class),smece(view=class),"
    "smece(kernel=logit)"
)


def swapped(values, block):
    return replace(block, values=values)


def results(predictions, values, metrics=f"{BINNED},{CURVES}", resamples=20, **columns):
    """Return the results of some predictions and of the same rows with other logits."""
    predictions = replace(predictions, **columns)
    return evaluate_rows(
        Request.of(
            predictions,
            metrics,
            [Variant(), Variant(partial(swapped, values), "other")],
            resampling=Resampling(resamples=resamples),
            execution=Execution.of(1, None),
        )
    )


def reaches(found, level):
    """Return how far every error of the second variant may lie from the first."""
    before, after = found.collected
    return [
        reach(spec, before, after, (a.edges, b.edges), None, level)
        for spec, a, b in zip(found.specs, *found.measured, strict=True)
    ]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("other", ["temperature", "noise", "constant"])
def test_an_error_changes_by_at_most_the_norm_of_the_change_of_the_gap(other, weighted):
    """The triangle inequality of every error, in the numbers themselves."""
    for seed in range(2):
        p = simulate(200, 4, scale=1.5, seed=seed)
        rng = np.random.default_rng(seed)
        values = {
            "temperature": p.values / 1.3,
            "noise": p.values + rng.normal(size=p.values.shape),
            "constant": np.tile(p.values[:1], (p.rows, 1)),
        }[other]
        weights = {"weights": rng.lognormal(size=p.rows)} if weighted else {}
        found = results(p, values.astype(p.values.dtype), **weights)
        for spec, a, b, most in zip(
            found.specs, *found.measured, reaches(found, 1e-12), strict=True
        ):
            assert most is not None, spec.name
            # smooth ECE is solved to 1e-6
            assert abs(b.value - a.value) <= most + 3e-6, spec.name


def test_the_reach_goes_to_0_with_the_change():
    p = simulate(300, 3, scale=1.3)
    p = replace(p, values=p.values.astype(np.float64))
    found = results(p, p.values / 1.3)
    far = reaches(found, 0.95)
    near = reaches(results(p, p.values / (1 + 1e-7)), 0.95)
    none = reaches(results(p, p.values), 0.95)
    for spec, at_far, at_near, at_none in zip(found.specs, far, near, none, strict=True):
        assert at_none == 0, spec.name
        assert at_near < 0.02 * at_far, spec.name


def test_clusters_and_rows_one_each_reach_equally_far():
    p = simulate(300, 3, scale=1.3)
    found = results(p, p.values / np.float32(1.2))
    before, after = found.collected
    for spec, a, b in zip(found.specs, *found.measured, strict=True):
        pair = (spec, before, after, (a.edges, b.edges))
        alone = reach(*pair, None, 0.95)
        if spec.name in ("ks", "kuiper", "ks(view=class)", "kuiper(view=class)"):
            continue  # with clusters, the spread of a path is taken at 64 ranks
        assert reach(*pair, np.arange(300), 0.95) == pytest.approx(alone), spec.name
        assert reach(*pair, np.arange(300) // 10, 0.95) >= alone, spec.name


def test_a_change_of_a_hair_has_an_interval_of_a_hair():
    """Predictions against themselves at T = 1.0001: it was -0.00002 [-0.0483, +0.0483]."""
    p = simulate(500, 3, scale=1.0)
    cal = ct.fit("temperature", p)
    metrics = ["ece", "classwise-ece", "rmsce", "ada-ece"]
    for power, most in ((1.0, 0.0), (1 / 1.0001, 0.005)):
        report = ct.evaluate(p, metrics, calibrator=replace(cal, map=Power(power)), resamples=100)
        for change in report.change:
            assert change.low <= change.corrected <= change.high
            assert change.high - change.low <= most
            assert change.p_value > 0.01


def test_errors_that_are_0_in_every_replicate_may_still_differ():
    """Debiased errors are cut at 0: equal replicates say nothing of them."""
    inverse = Inverted(0.0, 0.02, 0.0, 1.0)
    a = Measurement(0.0, replicates=np.zeros(100), inverse=inverse)
    spec, info = parse("debiased-rmsce"), DataInfo("", 100, 2, "probs", False, "")
    settings = Settings(Resampling(), None, Execution.of(1, None))
    before = estimate_of(spec, a, settings, info)
    change = change_of(before, before, a, a, settings)
    assert (change.low, change.high) == pytest.approx((-0.02, 0.02), rel=0.2)


def test_accuracy_after_a_temperature_is_unchanged_for_certain():
    p = simulate(300, 3)
    (change,) = results(p, p.values / np.float32(2), "accuracy").change()
    assert (change.low, change.high, change.p_value) == (0, 0, 1)


def test_accuracies_that_differ_in_no_row_may_differ_in_the_next():
    """Two models that are wrong in the same rows, but not by the same class."""
    p = simulate(300, 4)
    wrong = p.values.argmax(axis=1) != p.labels
    values = p.values.copy()
    for row in np.flatnonzero(wrong):
        third = next(k for k in range(4) if k not in (p.labels[row], p.values[row].argmax()))
        values[row, third] = values[row].max() + 1
    (change,) = results(p, values, "accuracy").change()
    assert change.value == 0
    assert (change.low, change.high) == pytest.approx((-0.0122, 0.0122), abs=1e-4)
    assert change.p_value == 1


def test_a_change_of_a_loss_doubts_what_was_not_seen():
    """100 rows without an event do not show that sharper scores are better."""
    scores = np.full(100, 0.01)
    rows = ct.Predictions.from_probs(scores, np.zeros(100, int))
    sharper = Calibrator("temperature", Power(0.5), 2)
    nll, brier = ct.evaluate(rows, ["nll", "brier"], calibrator=sharper, resamples=300).change
    # each row without an event gains; one event costs about ln(0.01 / 0.0001) = 4.6
    assert nll.value < 0
    assert nll.low < 0 < nll.high
    assert nll.high > 0.02
    assert nll.p_value > 0.05
    assert brier.low <= brier.value <= brier.high


def test_what_no_label_changes_is_not_doubted():
    rng = np.random.default_rng(0)
    rows = ct.Predictions.from_probs(rng.random(100), rng.integers(0, 2, 100))
    same = Calibrator("temperature", Power(1.0), 2)
    for change in ct.evaluate(rows, ["nll", "brier"], calibrator=same, resamples=50).change:
        assert [change.value, change.low, change.high] == pytest.approx([0, 0, 0], abs=1e-12)


@pytest.mark.parametrize("ci", ["none", "inverted"])
def test_the_change_of_infinite_values_is_not_a_number_and_says_so(ci):
    labels = np.arange(40) % 2
    wrong = (np.eye(2)[np.where(np.arange(40) < k, 1 - labels, labels)] for k in (2, 4))
    several = [ct.Predictions.from_probs(p, labels) for p in wrong]
    compared = ct.compare(several, "nll", ci=ci)
    change = compared.to_dict()["metrics"][0]["systems"][1]["change"]
    assert (change["value"], change["missing"]) == (None, "both values are infinite")
    assert "nan" not in f"{compared}{json.dumps(compared.to_dict())}"


def test_predictions_that_share_no_entry_can_be_compared():
    certain = [np.tile(np.eye(3)[k], (60, 1)) for k in (0, 1)]
    systems = [ct.Predictions.from_probs(p, np.arange(60) % 3) for p in certain]
    (line,) = ct.compare(systems, metrics="classwise-ece", resamples=50).lines
    change = line.changes[1].estimate
    assert change.value == 0
    assert change.low < 0 < change.high
