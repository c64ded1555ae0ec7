"""A run that is killed ends where an unbroken one ends, bit for bit."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# a network that kills its own process, with no chance to clean up, at a call in training mode
NET = """
import os, signal
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
            *("--augment", "flip,crop", "--save-every", "2", "--warmup", "1"),
        ),
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_killed_in_mid_epoch_resumes_to_the_same_bits(process, features, images, name):
    kill_at, options = RUNS[name]
    Path("net.py").write_text(NET)
    options = (*options, "--epochs", "5", "--batch-size", "32", "--lr", "0.05")
    whole = process(*options, "--out", "whole")
    assert whole.returncode == 0, whole.stderr

    killed = process(*options, "--out", "broken", env={**os.environ, "KILL_AT": str(kill_at)})
    assert killed.returncode == -signal.SIGKILL, (killed.returncode, killed.stderr)
    assert not Path("broken/model.safetensors").exists()
    assert Path("broken/checkpoint.safetensors").exists()

    resumed = process("--out", "broken", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    for file in ("model.safetensors", "val_logits.npz", "test_logits.npz", "temperature.json"):
        assert Path("whole", file).read_bytes() == Path("broken", file).read_bytes(), file
    assert without_times("whole") == without_times("broken")
    assert not list(Path("broken").glob(".*")), "no half-written file is left"


def without_times(run):
    import json

    lines = Path(run, "history.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def test_a_run_killed_before_its_first_checkpoint_starts_again(process, features):
    Path("net.py").write_text(NET)
    options = ("--model", "net.py:head", "--data", features, "--epochs", "2")
    killed = process(*options, "--out", "run", env={**os.environ, "KILL_AT": "1"})
    assert killed.returncode == -signal.SIGKILL
    assert not Path("run/checkpoint.safetensors").exists()
    assert process("--out", "run", "--resume").returncode == 0
    assert process(*options, "--out", "other").returncode == 0
    assert (
        Path("run/model.safetensors").read_bytes() == Path("other/model.safetensors").read_bytes()
    )


def test_a_finished_run_resumed_says_the_same_again(train, features):
    first = train("--data", features, "--epochs", "2", "--out", "run")
    before = {p.name: p.read_bytes() for p in Path("run").iterdir()}
    again = train("--out", "run", "--resume")
    assert (again.code, again.out) == (0, first.out)
    assert {p.name: p.read_bytes() for p in Path("run").iterdir()} == before
