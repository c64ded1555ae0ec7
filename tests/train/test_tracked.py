"""`calibtool train --log`: MLflow and Weights & Biases by their clients, TensorBoard by a stand-in
with the signatures of torch's SummaryWriter, which needs a package that is not installed here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FEW = ("--epochs", "3", "--batch-size", "32", "--threads", "1", "--out", "run")


def command(features, tracker, **environment):
    words = [sys.executable, "-m", "calibtool", "train", "--data", str(features), *FEW]
    done = subprocess.run(
        [*words, "--log", tracker],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def measured():
    report = json.loads(Path("run/report.json").read_text())
    ece = next(entry for entry in report["metrics"] if entry["name"] == "ece")
    rows = [json.loads(line) for line in Path("run/history.jsonl").read_text().splitlines()]
    return report, ece, rows


def test_mlflow_gets_epochs_settings_and_the_report(features):
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    store = Path("store").resolve()
    where = {"MLFLOW_TRACKING_URI": store.as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"}
    code, err = command(features, "mlflow", **where)
    assert code == 0, err
    found = {path.name: path for path in store.rglob("*") if path.is_file()}
    report, ece, rows = measured()
    logged = [line.split() for line in found["val_nll"].read_text().splitlines()]
    assert [(float(value), int(step)) for _, value, step in logged] == [
        (row["val_nll"], row["epoch"]) for row in rows
    ]
    for name, key in (("test.ece", "value"), ("test.ece.low", "low")):
        assert float(found[name].read_text().split()[1]) == ece[key]
    assert float(found["calibrated.ece"].read_text().split()[1]) == ece["value_after"]
    assert float(found["temperature"].read_text().split()[1]) == report["temperature"]
    assert found["loss"].read_text() == "cross-entropy"
    assert json.loads(found["report.json"].read_text()) == report
    assert "status: 3" in found["meta.yaml"].read_text()  # FINISHED


def test_wandb_gets_epochs_and_the_report(features):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    code, err = command(features, "wandb", WANDB_MODE="offline", WANDB_DIR=str(Path.cwd()))
    assert code == 0, err
    (kept,) = Path("wandb").glob("offline-run-*/*.wandb")
    record = kept.read_bytes()
    _, ece, rows = measured()
    for value in (*(row["val_nll"] for row in rows), ece["value"], ece["value_after"]):
        assert json.dumps(value).encode() in record
    for name in (b"test.ece", b"calibrated.nll", b"temperature", b"batch_size", b"report.md"):
        assert name in record


def test_a_tracker_that_cannot_be_reached_is_an_error_before_training(features):
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    Path("occupied").write_text("a file where a folder should be")
    uri = (Path("occupied").resolve() / "store").as_uri()
    where = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_ALLOW_FILE_STORE": "true"}
    code, err = command(features, "mlflow", **where)
    assert code == 2
    assert "MLflow could not log" in err
    assert not Path("run").exists()


@pytest.fixture
def board(monkeypatch):
    """What was written to TensorBoard."""
    written = {"scalars": [], "texts": {}, "folders": [], "closed": 0}

    class SummaryWriter:
        def __init__(self, log_dir=None, comment="", purge_step=None, max_queue=10):
            written["folders"].append(log_dir)

        def add_scalar(self, tag, scalar_value, global_step=None, walltime=None):
            written["scalars"].append((tag, scalar_value, global_step))

        def add_text(self, tag, text_string, global_step=None, walltime=None):
            written["texts"][tag] = text_string

        def flush(self): ...

        def close(self):
            written["closed"] += 1

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return written


@pytest.mark.parametrize("option", ["--log", "--log-to"])
def test_tensorboard_gets_epochs_settings_and_the_report(train, features, board, option):
    result = train("--data", features, *FEW, option, "tensorboard")
    assert result.code == 0, result.err
    report, ece, rows = measured()
    assert board["folders"] == [str(Path("run/tensorboard"))]
    scalars = {(tag, step): value for tag, value, step in board["scalars"]}
    for row in rows:
        assert scalars["val_nll", row["epoch"]] == row["val_nll"]
    assert scalars["test.ece", None] == ece["value"]
    assert scalars["temperature", None] == report["temperature"]
    assert board["texts"]["settings/epochs"] == "3"
    assert "calibtool/report.md" in board["texts"]
    assert board["closed"] == 1


def test_a_run_that_fails_is_closed_and_leaves_nothing_behind(refused, features, board):
    options = ("--data", features, *FEW, "--lr", "1e30", "--log", "tensorboard")
    refused(*options, says=("the loss became nan",))
    assert board["folders"] == []


def test_a_client_that_is_missing_is_asked_for(refused, features, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    options = ("--data", features, *FEW, "--log", "tensorboard")
    refused(*options, says=("--log tensorboard needs TensorBoard: pip install tensorboard",))


@pytest.mark.parametrize("options", [("--sweep", "focal"), ("--gamma-search", "1,2")])
def test_one_training_is_followed(refused, features, options):
    words = ("--data", features, *FEW, "--log", "mlflow", *options)
    refused(*words, says=("--log follows one training",))
