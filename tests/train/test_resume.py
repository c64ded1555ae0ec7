"""A run that is killed ends where an unbroken one ends, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from small import blobs, pictures

# a network that kills its own process, with no chance to clean up, at a call in training mode
NET = """
import os, random, signal
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    calls = 0

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        if self.training:
            Net.calls += 1
            if Net.calls == int(os.environ.get("KILL_AT", "-1")):
                os.kill(os.getpid(), signal.SIGKILL)
        return self.body(x)

def head(classes, shape):
    return Net(nn.Sequential(
        nn.Linear(shape[0], 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(32, classes)))

def small(classes, shape):
    return Net(nn.Sequential(
        nn.Conv2d(shape[0], 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, classes)))

class Drawn(torch.utils.data.Dataset):
    # features with noise that is drawn as they are read

    def __init__(self):
        held = np.load("features.npz")
        self.x, self.targets = held["x"], held["y"].tolist()

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        noise = torch.rand(8).numpy() + np.random.rand(8) + random.random()
        return (self.x[i] + noise).astype(np.float32), self.targets[i]
"""

# 400 rows leave 240 to train on: 8 batches an epoch; 200 images leave 120: 4 batches
RUNS = {
    "adamw, dropout, a loss with a state of its own": (
        20,
        ("--model", "net.py:head", "--data", "features.npz", "--loss", "adafocal"),
    ),
    "sgd, step schedule, clipping, patience": (
        29,
        (
            *("--model", "net.py:head", "--data", "features.npz", "--loss", "focal-scheduled"),
            *("--optimizer", "sgd", "--schedule", "step", "--clip", "1", "--patience", "3"),
        ),
    ),
    "images, augmented, checkpoints inside an epoch": (
        11,
        (
            *("--model", "net.py:small", "--data", "images.npz", "--loss", "flsd-53"),
            *("--augment", "flip,crop", "--save-every", "2", "--warmup", "1", "--threads", "2"),
        ),
    ),
    "items that draw random numbers in workers, batches in pieces": (
        29,
        (
            *("--model", "net.py:head", "--data", "net.py:Drawn", "--workers", "1"),
            *("--accumulate", "2", "--save-every", "3", "--lr-head", "0.01"),
        ),
    ),
    "before the first checkpoint": (
        1,
        ("--model", "net.py:head", "--data", "features.npz"),
    ),
}
MANY = ("--epochs", "5", "--batch-size", "32", "--lr", "0.05")

# each run in a process of its own, forked from one that has loaded torch, and torch._dynamo, which
# an optimizer loads: loading them for every run would take ten times the time of the runs
KILL = """
import json, os, sys
import torch._dynamo
import calibtool.train.training
from calibtool.cli.main import main

codes = []
for kill_at, options in json.loads(sys.argv[1]):
    if (child := os.fork()) == 0:
        os.environ["KILL_AT"] = str(kill_at)
        os._exit(main(["train", *options]))
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(codes)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A folder with the data, and a run killed at its step for each of RUNS: run0, run1, ..."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "net.py").write_text(NET)
    x, y = blobs(400)
    np.savez(folder / "features.npz", x=x, y=y, ids=1000 + np.arange(400))
    x, y = pictures(200)
    np.savez(folder / "images.npz", x=np.repeat(x[..., None], 3, axis=3), y=y)
    runs = [
        (kill_at, [*options, *MANY, "--out", f"run{k}"])
        for k, (kill_at, options) in enumerate(RUNS.values())
    ]
    command = [sys.executable, "-c", KILL, json.dumps(runs)]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [-signal.SIGKILL] * len(RUNS), done.stderr
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_a_killed_run_resumes_to_the_same_bits(train, killed, name, monkeypatch):
    monkeypatch.chdir(killed)
    broken, whole = f"run{list(RUNS).index(name)}", f"whole{list(RUNS).index(name)}"
    assert not Path(broken, "model.safetensors").exists()
    begun = name != "before the first checkpoint"
    assert Path(broken, "checkpoint.safetensors").exists() == begun

    unbroken = train(*RUNS[name][1], *MANY, "--out", whole)
    assert unbroken.code == 0, unbroken.err
    resumed = train("--out", broken, "--resume")
    assert resumed.code == 0, resumed.err
    for file in ("model.safetensors", "val_logits.npz", "test_logits.npz", "temperature.json"):
        assert Path(whole, file).read_bytes() == Path(broken, file).read_bytes(), file
    assert without_times(whole) == without_times(broken)
    assert not list(Path(broken).glob(".*")), "no half-written file is left"


@pytest.mark.parametrize("workers", ["0", "3"])
def test_items_draw_the_same_numbers_in_any_number_of_workers(train, killed, workers, monkeypatch):
    monkeypatch.chdir(killed)
    options = next(options for name, (_, options) in RUNS.items() if name.startswith("items"))
    for out, count in ((f"by1-{workers}", "1"), (f"by{workers}", workers)):
        few = ("--epochs", "1", "--batch-size", "32", "--workers", count, "--out", out)
        assert train(*options, *few).code == 0
    a, b = (Path(f"{out}/model.safetensors") for out in (f"by1-{workers}", f"by{workers}"))
    assert a.read_bytes() == b.read_bytes()


def without_times(run):
    lines = Path(run, "history.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def test_more_epochs_train_on_from_the_checkpoint_to_the_same_bits_every_time(train, features):
    """Constant rates: training on from 2 epochs to 5 is training 5 at once."""
    options = ("--data", features, "--schedule", "constant", "--loss", "adafocal", "--out")
    assert train(*options, "whole", "--epochs", "5").code == 0
    assert train(*options, "run", "--epochs", "2").code == 0
    on = train("--out", "run", "--resume", "--epochs", "5")
    assert on.code == 0, on.err
    assert [line.split()[1] for line in on.err.splitlines()[1:]] == ["3/5", "4/5", "5/5"]
    for file in ("model.safetensors", "test_logits.npz", "temperature.json"):
        assert Path("whole", file).read_bytes() == Path("run", file).read_bytes(), file
    assert without_times("whole") == without_times("run")
    report = json.loads(Path("run/report.json").read_text())
    assert report["training"]["epochs_trained"] == 5
    assert report["training"]["trained_on_from"] == 2
    again = train("--out", "run", "--resume")
    assert (again.code, again.out) == (0, on.out)
    # fewer are refused, and so is a run whose checkpoint is gone
    fewer = train("--out", "run", "--resume", "--epochs", "4")
    assert (fewer.code, fewer.out) == (2, "")
    assert "a run of 5 can be resumed with more only" in fewer.err
    Path("run/checkpoint.safetensors").unlink()
    gone = train("--out", "run", "--resume", "--epochs", "9")
    assert (gone.code, gone.out) == (2, "")
    assert "start a new run with --checkpoint run/model.safetensors" in gone.err
    assert Path("run/report.json").exists()


def test_a_run_that_patience_ended_trains_on_with_more_of_it(train, features):
    options = ("--data", features, "--lr", "0.05", "--epochs", "40", "--patience", "1")
    assert train(*options, "--out", "run").code == 0
    trained = len(without_times("run"))
    assert trained < 40
    more = train("--out", "run", "--resume", "--epochs", "50")
    assert more.code == 2
    assert f"--patience 1 ended this run after {trained} epochs" in more.err
    on = train("--out", "run", "--resume", "--epochs", "50", "--patience", "4")
    assert on.code == 0, on.err
    assert len(without_times("run")) > trained


def test_a_run_is_a_checkpoint_for_another(train, features):
    assert train("--data", features, "--epochs", "2", "--out", "first").code == 0
    options = ("--epochs", "1", "--lr", "1e-12", "--weight-decay", "0")
    start = ("--checkpoint", "first/model.safetensors")
    x = np.load(features)
    np.savez("moved.npz", x=x["x"] * 1.5 + 1, y=x["y"])  # other moments than those of the run
    for data in (features, "moved.npz"):
        assert train("--data", data, *options, *start, "--out", f"on-{data}").code == 0
    before, after, moved = (
        load_file(f"{run}/model.safetensors") for run in ("first", f"on-{features}", "on-moved.npz")
    )
    for name, weight in before.items():
        np.testing.assert_allclose(after[name], weight, atol=1e-6, err_msg=name)
    for name in ("calibtool.mean", "calibtool.deviation"):  # those that the weights were trained on
        np.testing.assert_array_equal(moved[name], before[name])
    own = train("--data", "moved.npz", *options, *start, "--normalize", "train", "--out", "own")
    assert own.code == 0
    assert (load_file("own/model.safetensors")["calibtool.mean"] != before["calibtool.mean"]).any()


def test_a_finished_run_resumed_says_the_same_again(train, features):
    first = train("--data", features, "--epochs", "2", "--out", "run")
    before = {p.name: p.read_bytes() for p in Path("run").iterdir()}
    again = train("--out", "run", "--resume")
    assert (again.code, again.out) == (0, first.out)
    assert {p.name: p.read_bytes() for p in Path("run").iterdir()} == before
