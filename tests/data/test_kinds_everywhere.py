"""Rows of several predictions in diagrams, pages, slices and monitors."""

from __future__ import annotations

import json

import numpy as np
import pytest

import calibtool as ct
from calibtool.cli.main import main
from calibtool.intervals.shares import design_effects


@pytest.fixture
def copies():
    """A label of 200 rows, and the same label four times."""
    rng = np.random.default_rng(6)
    probs = rng.random((200, 1))
    targets = (rng.random((200, 1)) < probs**1.5).astype(int)
    one = probs[:, 0], targets[:, 0]
    return one, ct.read((np.tile(probs, 4), np.tile(targets, 4)), multilabel=True)


def test_bars_of_copies_are_those_of_one(copies):
    one, four = (ct.plot.reliability(data).panels[""][0] for data in copies)
    mixed = (one.outcome > 0) & (one.outcome < 1)  # bins whose outcomes vary show the copies
    np.testing.assert_allclose(four.low[mixed], one.low[mixed], atol=1e-9)
    np.testing.assert_allclose(four.high[mixed], one.high[mixed], atol=1e-9)
    np.testing.assert_allclose(four.least, one.least, atol=1e-9)


def test_design_effects_are_ratios_of_variances():
    rng = np.random.default_rng(7)
    where, cluster = rng.integers(0, 3, 600), rng.integers(0, 40, 600)
    weights, outcome = rng.random(600), rng.integers(0, 2, 600)
    found = design_effects(where, outcome, weights, cluster, 4)
    for group in range(3):
        at = where == group
        rate = np.average(outcome[at], weights=weights[at])
        off = weights[at] * (outcome[at] - rate)
        sums = [off[cluster[at] == c].sum() for c in range(40)]
        assert found[group] == pytest.approx(max(1, np.square(sums).sum() / np.square(off).sum()))
    assert found[3] >= 1  # of no rows


def test_classes_of_images_resample_images():
    rng = np.random.default_rng(8)
    z = rng.normal(size=(40, 3, 1, 1)) + rng.normal(size=(40, 3, 6, 6))
    labels = (0.5 * z + rng.gumbel(size=(40, 3, 1, 1))).argmax(axis=1)
    images = ct.read((z, labels)).load()
    pixels = ct.Predictions.from_logits(images.values, images.labels)
    of_images, of_pixels = ct.plot.classwise(images), ct.plot.classwise(pixels)
    for one, other in zip(of_images.curves, of_pixels.curves, strict=True):
        assert one.estimates[0].value == pytest.approx(other.estimates[0].value)
        assert (one.high - one.low)[one.mass > 0.05].min() > 0
        wide, narrow = (c.estimates[0].high - c.estimates[0].low for c in (one, other))
        assert wide > 1.3 * narrow
        some = (one.mass > 0.05) & (one.outcome > 0.02)
        assert ((one.high - one.low)[some] > 1.2 * (other.high - other.low)[some]).all()


def test_a_page_lists_the_labels_and_names_the_worst(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(9)
    probs = rng.random((80, 3))
    targets = (rng.random((80, 3)) < np.stack([probs[:, 0], probs[:, 1], 1 - probs[:, 2]], 1)).T
    columns = {f"prob_{name}": probs[:, k] for k, name in enumerate("abc")}
    columns |= {f"label_{name}": targets[k].astype(int) for k, name in enumerate("abc")}
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    assert main(["report", "m.csv", "--format", "md", "--select", "none"]) == 0
    shown = capsys.readouterr().out
    assert "The worst label is c: ece" in shown
    assert "Slices by label" in shown


@pytest.fixture
def votes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(10)
    probs, counts = rng.dirichlet(np.ones(3), 120), rng.multinomial(5, [0.5, 0.3, 0.2], 120)
    with (tmp_path / "v.jsonl").open("w") as file:
        for k in range(120):
            row = {
                "id": k,
                "probs": probs[k].tolist(),
                "votes": counts[k].tolist(),
                "by": "ab"[k % 2],
            }
            file.write(json.dumps(row) + "\n")
    return ["v.jsonl", "--soft-labels", "votes"]


def test_slices_of_soft_labels_are_those_of_the_file(votes, capsys):
    assert main(["slices", *votes]) == 0
    shown = capsys.readouterr().out
    assert "slices by by, predicted, confidence and their pairs" in shown.replace("\n", " ")
    assert "Predictions of the same row were treated as correlated" in shown
    assert "id: almost every row has its own value" in shown.replace("\n", " ")


def test_a_monitor_refuses_soft_labels_for_what_they_are(votes, capsys):
    assert main(["monitor", *votes, "--every", "file"]) == 2
    assert "outcomes of soft labels: the test takes" in capsys.readouterr().err


def test_cells_of_images_say_what_they_do_not_know(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(11)
    np.savez("i.npz", logits=rng.normal(size=(9, 3, 4, 4)), labels=rng.integers(0, 3, (9, 4, 4)))
    assert main(["cells", "i.npz", "-o", "i.cells"]) == 0
    assert "which predictions are of one image" in capsys.readouterr().err
