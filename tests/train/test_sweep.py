"""Several losses side by side, and gamma by cross-validation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from small import blobs
from valid import require_valid

from calibtool.train.sweep import slug

FEW = ("--epochs", "2", "--batch-size", "32")


def test_a_sweep_is_its_runs_side_by_side(train, features):
    losses = "cross-entropy,focal(gamma=1),flsd-53(thresholds=(0.2,),gammas=(5,2))"
    result = train("--sweep", losses, "--data", features, *FEW, "--out", "sweep")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[4:7]] == [
        *("cross-entropy", "focal(gamma=1)", "flsd-53(gammas=(5,2))")
    ]
    document = json.loads(Path("sweep/sweep.json").read_text())
    assert document["format"] == "calibtool-sweep"
    require_valid(document)
    for run in document["runs"]:
        report = json.loads(Path(run["out"], "report.json").read_text())
        by_name = {entry["name"]: entry for entry in report["metrics"]}
        assert run["ece"] == by_name["ece"]["value"]
        assert run["nll_after"] == by_name["nll"]["value_after"]
        assert run["temperature"] == report["temperature"]
    ids = [np.load(f"{run['out']}/test_logits.npz")["ids"] for run in document["runs"]]
    assert all(np.array_equal(ids[0], entry) for entry in ids), "one split for all"

    # each is the run that it would be alone
    assert train("--loss", "focal(gamma=1)", "--data", features, *FEW, "--out", "alone").code == 0
    alone, swept = (
        Path(out, "model.safetensors").read_bytes() for out in ("alone", "sweep/focal-gamma-1")
    )
    assert alone == swept


def test_a_sweep_with_seeds_gives_spread_and_can_be_resumed(train, features):
    options = ("--sweep", "brier,focal", "--seeds", "0,1,2", "--data", features, *FEW)
    result = train(*options, "--out", "sweep")
    assert result.code == 0, result.err
    assert "3 seeds: mean ± standard deviation" in result.out
    runs = json.loads(Path("sweep/sweep.json").read_text())["runs"]
    assert [(run["loss"], run["seed"]) for run in runs] == [
        (loss, seed) for loss in ("brier", "focal") for seed in (0, 1, 2)
    ]
    errors = [run["error"] for run in runs[:3]]
    line = next(text for text in result.out.splitlines() if text.startswith("brier"))
    assert f"{np.mean(errors):.4f}±{np.std(errors, ddof=1):.4f}" in line

    # as if it had been killed before the last run
    for path in sorted(Path("sweep/focal-seed2").iterdir()):
        path.unlink()
    Path("sweep/focal-seed2").rmdir()
    written = Path("sweep/brier-seed0/model.safetensors").stat().st_mtime_ns
    again = train(*options, "--out", "sweep", "--resume")
    assert (again.code, again.out) == (0, result.out)
    assert Path("sweep/brier-seed0/model.safetensors").stat().st_mtime_ns == written


def test_a_loss_given_twice_is_refused(refused, features):
    options = ("--sweep", "focal,focal(gamma=3)", "--data", features, "--out", "sweep")
    refused(*options, says=("each loss and each seed must be given once",))
    assert not Path("sweep").exists()


def test_gamma_is_chosen_on_training_rows_alone(train, folder, features):
    """Other validation and test rows lead to the same table of gammas."""
    data = np.load(features)
    x, y = data["x"], data["y"]
    split = np.array(["train"] * 300 + ["val"] * 50 + ["test"] * 50)
    np.savez("a.npz", x=x, y=y, split=split)
    np.savez("b.npz", x=np.where((split == "train")[:, None], x, x + 1), y=y, split=split)
    search = ("--loss", "focal", "--gamma-search", "0,2,5", *FEW)
    for name in "ab":
        result = train("--data", f"{name}.npz", *search, "--out", name)
        assert result.code == 0, result.err
    a, b = (json.loads(Path(name, "gamma_search.json").read_text()) for name in "ab")
    require_valid(a)
    assert a == b
    assert [tried["gamma"] for tried in a["tried"]] == [0, 2, 5]
    best = min(a["tried"], key=lambda tried: tried["nll"])
    assert a["chosen"] == ("focal" if best["gamma"] == 3 else f"focal(gamma={best['gamma']:g})")
    lines = result.out.splitlines()
    assert lines[0] == "Gamma by cross-validation in 3 folds of the training rows"
    table = [line.split() for line in lines[4:7]]
    assert [float(row[1]) for row in table] == [round(t["nll"], 4) for t in a["tried"]]
    assert f"Chosen: {a['chosen']}, which has the smallest NLL" in result.out
    assert any(line.startswith(f"mlp, {a['chosen']}, 2 epochs") for line in lines)
    assert train("--out", "b", "--resume").out == result.out


def test_a_fold_takes_as_many_steps_as_the_final_training(train, folder, monkeypatch):
    """100 training rows are 4 batches of 25; the half of them in a fold would be 2."""
    x, y = blobs(140)
    np.savez("a.npz", x=x, y=y, split=["train"] * 100 + ["val"] * 20 + ["test"] * 20)
    steps = []

    def count(self, epoch, step, of, loss):
        steps.append((step, of))

    monkeypatch.setattr("calibtool.cli.train_progress.Lines.step", count)
    search = ("--loss", "focal", "--gamma-search", "1,2", "--gamma-folds", "2")
    options = ("--epochs", "2", "--batch-size", "25", "--out", "run")
    assert train("--data", "a.npz", *search, *options).code == 0
    assert steps == [(k, 4) for _ in range(2 * (2 * 2 + 1)) for k in range(1, 5)]


def test_folders_are_named_after_losses():
    assert slug("focal(gamma=2)") == "focal-gamma-2"
    assert slug("flsd-53(gammas=(5,2))") == "flsd-53-gammas-5-2"
