"""Levels: their metrics, their names, and the statements "at most level k"."""

from __future__ import annotations

import json

import numpy as np
import pytest

import calibtool as ct
from calibtool.cli.main import main
from calibtool.errors import CalibtoolError

N, K = 120, 5


@pytest.fixture
def levels() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    probs = rng.dirichlet(np.ones(K), N)
    return probs, np.array([rng.choice(K, p=row) for row in probs])


def values(report):
    return {estimate.name: estimate.value for estimate in report.estimates}


def test_metrics_of_levels_by_their_definitions(levels):
    probs, labels = levels
    found = values(ct.evaluate((probs, labels), "ordinal,rps(scale=mean)", ci="none"))
    below = probs.cumsum(axis=1)[:, :-1]
    least = labels[:, None] <= np.arange(K - 1)
    rps = ((below - least) ** 2).sum(axis=1).mean()
    off = probs.argmax(axis=1) - labels
    table = np.zeros((K, K))
    np.add.at(table, (labels, probs.argmax(axis=1)), 1)
    weights = np.subtract.outer(np.arange(K), np.arange(K)) ** 2
    chance = np.outer(table.sum(1), table.sum(0)) / N
    assert found["rps"] == pytest.approx(rps)
    assert found["rps(scale=mean)"] == pytest.approx(rps / (K - 1))
    assert found["level-distance"] == pytest.approx(np.abs(off).mean())
    assert found["within-accuracy"] == pytest.approx((np.abs(off) <= 1).mean())
    assert found["qwk"] == pytest.approx(1 - (weights * table).sum() / (weights * chance).sum())


def test_two_levels_are_two_classes():
    p = ct.Predictions.from_probs([0.9, 0.2, 0.6], [1, 0, 0])
    found = values(ct.evaluate(p, "rps,brier", ci="none"))
    assert found["rps"] == pytest.approx(found["brier"])


def written(probs, labels, path):
    """Write levels 1 to 5, keyed by level in falling order."""
    with path.open("w") as file:
        for row, label in zip(probs, labels, strict=True):
            keyed = {str(k + 1): row[k] for k in reversed(range(K))}
            file.write(json.dumps({"probabilities": keyed, "stars": int(label) + 1}) + "\n")


def test_levels_of_any_numbers_are_read_by_name(levels, tmp_path):
    probs, labels = levels
    written(probs, labels, tmp_path / "stars.jsonl")
    keys = {"probs": "probabilities", "labels": "stars", "ordinal": True}
    read = ct.load(tmp_path / "stars.jsonl", **keys)
    np.testing.assert_allclose(read.values, probs)
    np.testing.assert_array_equal(read.labels, labels)
    assert read.class_names == ("1", "2", "3", "4", "5")
    with pytest.raises(CalibtoolError, match="--ordinal"):
        ct.load(tmp_path / "stars.jsonl", probs="probabilities", labels="stars")


def test_a_level_is_one_number(levels, tmp_path):
    probs, labels = levels
    np.savez(tmp_path / "x.npz", probs=probs[:, :2], labels=np.stack([labels] * 3, axis=1))
    with pytest.raises(CalibtoolError, match="3 columns for 2 classes"):
        ct.load(tmp_path / "x.npz", ordinal=True, classes=("a", "b"), renormalize=True)


def test_every_cut_point_is_a_prediction(levels, tmp_path):
    probs, labels = levels
    written(probs, labels, tmp_path / "stars.jsonl")
    keys = {"probs": "probabilities", "labels": "stars", "ordinal": True, "cut_points": True}
    source = ct.scan(tmp_path / "stars.jsonl", **keys)
    read = source.also(["cut"]).load()
    below = probs.cumsum(axis=1)[:, :-1]
    np.testing.assert_allclose(read.values[:, 0], below.ravel())
    np.testing.assert_array_equal(
        read.labels, (labels[:, None] <= np.arange(K - 1)).ravel().astype(int)
    )
    assert read.extra["cut"][:4].tolist() == [f"at most {k}" for k in range(1, 5)]
    # the Brier score of the statements is the ranked probability score over their number
    brier = ct.evaluate(source, "brier", ci="none")["brier"].value
    rps = ct.evaluate((probs, labels), "rps(scale=mean)", ci="none").estimates[0].value
    assert brier == pytest.approx(rps)


def test_cut_points_are_resampled_by_row(levels, tmp_path):
    written(*levels, tmp_path / "stars.jsonl")
    keys = {"probs": "probabilities", "labels": "stars", "ordinal": True, "cut_points": True}
    source = ct.scan(tmp_path / "stars.jsonl", **keys)
    alone, named = ct.evaluate(source, "ece"), ct.evaluate(source, "ece", cluster="row")
    assert (alone["ece"].low, alone["ece"].high) == (named["ece"].low, named["ece"].high)


def test_the_command_line_shows_the_metrics_of_levels(levels, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(*levels, tmp_path / "stars.jsonl")
    flags = ["--probs", "probabilities", "--labels", "stars", "--ordinal"]
    assert main(["evaluate", "stars.jsonl", *flags, "--ci", "none"]) == 0
    assert "rps" in capsys.readouterr().out
    assert main(["evaluate", "stars.jsonl", *flags, "--cut-points", "--by", "cut"]) == 0
    out = capsys.readouterr().out
    assert "mean over cuts" in out
    assert "at most 4" in out
    assert main(["fit-temperature", "stars.jsonl", *flags, "-o", "t.json"]) == 0
    assert main(["apply", "t.json", "stars.jsonl", *flags, "--cut-points", "-o", "o.parquet"]) == 2
    assert "apply writes levels" in capsys.readouterr().err


def test_two_classes_have_no_cut_points(tmp_path):
    np.savez(tmp_path / "b.npz", probs=[0.2, 0.7], labels=[0, 1])
    with pytest.raises(CalibtoolError, match="three levels"):
        ct.scan(tmp_path / "b.npz", cut_points=True)
