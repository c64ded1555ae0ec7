"""`estimate`, and class shares of a file without labels in `fit-NAME`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct


@pytest.fixture
def files(folder):
    """Labelled rows, and rows without labels in which class 1 is rarer."""
    p = simulate(1500, 2)
    np.savez("val.npz", logits=p.values, labels=p.labels)
    q = simulate(1500, 2, seed=1)
    kept = np.flatnonzero((q.labels == 0) | (np.arange(1500) % 4 == 0))
    np.savez("new.npz", logits=q.values[kept])
    three = simulate(300, 3)
    np.savez("three.npz", logits=three.values, labels=three.labels)
    return float(q.labels[kept].mean())


def test_metrics_without_labels(run, files):
    result = run("estimate", "new.npz")
    assert result.code == 0
    assert "95 % of measurements" in result.out
    assert "Assumed: the probabilities are calibrated" in " ".join(result.out.split())
    assert "measured\n" not in result.out
    document = json.loads(run("estimate", "new.npz", "--format", "json").out)
    assert document["format"] == "calibtool-implied"
    assert [one["name"] for one in document["metrics"]] == ["accuracy", "brier", "nll", "ece"]
    run("fit-temperature", "val.npz", "-o", "t.json", "--ci", "none")
    after = json.loads(run("estimate", "new.npz", "--calibrator", "t.json", "--format", "json").out)
    assert after["metrics"][0]["value"] < document["metrics"][0]["value"]  # less sure


def test_class_shares_without_labels(run, files):
    document = json.loads(
        run("estimate", "new.npz", "--labelled", "val.npz", "--format", "json").out
    )
    one = document["classes"][1]
    assert one["low"] < files < one["high"]
    assert one["before"] > one["high"]


def test_a_fit_is_moved_to_the_shares_of_another_file(run, files, folder):
    result = run("fit-platt", "val.npz", "--target", "new.npz", "-o", "c.json", "--ci", "none")
    assert result.code == 0
    assert "for other class shares" in result.out
    assert "class shares of new.npz, by EM" in result.err
    target = json.loads((folder / "c.json").read_text())["parameters"]["target"]
    expected = ct.estimate_prior("val.npz", "new.npz")
    np.testing.assert_allclose(target, expected.shares, atol=1e-12)
    mean = ct.load_calibrator("c.json")(ct.read("new.npz", need_labels=False).load())
    assert ct.estimate(mean, resamples=20)["accuracy"].value > 0.5


def test_undersampled_negatives_are_put_back(run, folder, files):
    options = ("-o", "c.json", "--ci", "none")
    result = run("fit-platt", "val.npz", "--undersampled", "0.1", *options)
    assert result.code == 0
    assert "class 1 is taken to be" in result.err
    parameters = json.loads((folder / "c.json").read_text())["parameters"]
    (zeros, ones), (fewer, more) = parameters["prior"], parameters["target"]
    assert (more / fewer) / (ones / zeros) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("fit-platt val.npz --target new.npz --target-prior 0.9,0.1", "cannot be combined"),
        ("fit-platt val.npz --target three.npz", "has 3 classes"),
        ("fit-platt val.npz --target none.npz", "none.npz"),
        ("fit-platt val.npz --undersampled 0", "above 0 and at most 1 (got 0)"),
        ("fit-platt val.npz --undersampled nan", "above 0 and at most 1"),
        ("fit-vector three.npz --undersampled 0.1", "class 0 of two; with 3 classes"),
        ("estimate new.npz --calibrator val.npz --labelled val.npz", "cannot be combined"),
        ("estimate new.npz --labelled three.npz", "has 2 classes"),
        ("estimate new.npz --labelled new.npz", "label"),
        ("estimate new.npz --resamples 3", "at least 20"),
        ("estimate nothing.npz", "nothing.npz"),
    ],
)
def test_what_cannot_be_is_refused_in_words(line, says, refused, files):
    refused(*line.split(), says=(says,))


def test_confidences_have_no_class_shares(run, refused, folder):
    rng = np.random.Generator(np.random.PCG64(0))
    confidence = rng.random(200)
    np.savez("conf.npz", confidence=confidence, correct=rng.random(200) < confidence)
    assert run("estimate", "conf.npz").code == 0
    refused("fit-platt", "conf.npz", "--target", "conf.npz", says=("only confidences are known",))
    refused("fit-platt", "conf.npz", "--undersampled", "0.1", says=("shares are of classes",))
