"""`calibtool.train.finish`: after anybody's loop, what `calibtool train` gives after its own."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small import blobs
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import calibtool as ct
from calibtool.errors import InputError, UsageError
from calibtool.train import batches, finish

ALL = {"report.json", "report.md", "report.txt", "test_logits.npz", "val_logits.npz"}


@pytest.fixture
def data():
    x, y = blobs(300)
    return torch.from_numpy(x), torch.from_numpy(y)


@pytest.fixture
def model(data):
    """A network that learned from the first 100 rows, in a loop of its own."""
    x, y = data
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    optimizer = torch.optim.Adam(network.parameters(), 0.05)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x[:100]), y[:100]).backward()
        optimizer.step()
    return network


def loader(data, start, stop):
    return DataLoader(TensorDataset(*(t[start:stop] for t in data)), batch_size=32)


def test_the_command_and_the_call_write_the_same(train, features, folder):
    assert train("--data", features, "--epochs", "3", "--out", "run").code == 0
    val, test = (np.load(f"run/{part}_logits.npz") for part in ("val", "test"))
    about = json.loads(Path("run/report.json").read_text())["training"]
    trained = finish(
        (val["logits"], torch.from_numpy(test["logits"])),
        *(val["labels"], test["labels"], "own"),
        about={key: about[key] for key in ("model", "loss", "epochs_trained")},
        page=False,
    )
    # of the fit, all but the date and the file
    maps = [json.loads(Path(run, "temperature.json").read_text())["map"] for run in ("run", "own")]
    assert maps[0] == maps[1]
    for name in ("report.txt", "report.md"):
        assert Path("run", name).read_text() == Path("own", name).read_text()
    assert str(trained) + "\n" == Path("own/report.txt").read_text()
    documents = [json.loads(Path(run, "report.json").read_text()) for run in ("run", "own")]
    assert documents[0]["metrics"] == documents[1]["metrics"]
    assert {path.name for path in Path("own").iterdir()} == {*ALL, "temperature.json"}


def test_a_model_is_called_on_batches_and_left_as_it_was(data, model, folder):
    model[1].eval()  # as frozen layers are
    trained = finish(model, loader(data, 100, 200), loader(data, 200, 300), "own/run")
    assert [m.training for m in model] == [True, False, True]
    model.eval()
    with torch.no_grad():
        expected = model(data[0][200:]).numpy()
    saved = np.load("own/run/test_logits.npz")
    np.testing.assert_allclose(saved["logits"], expected, atol=1e-6)
    np.testing.assert_array_equal(saved["labels"], data[1][200:])
    assert "Sequential; 100 test rows, 3 classes" in str(trained)
    page = Path("own/run/report.html").read_text()
    assert f"{trained.temperature:.5g}" in page
    assert {path.name for path in Path("own/run").iterdir()} == {
        *(*ALL, "temperature.json", "report.html")
    }


class ByName(nn.Module):
    """Takes its inputs by name, as models of transformers do."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, *, x, wrapped=SimpleNamespace):
        return wrapped(logits=self.network(x).bfloat16())


@pytest.mark.parametrize("key", ["labels", "label"])
@pytest.mark.parametrize("wrapped", [SimpleNamespace, dict])
def test_batches_may_be_dicts_and_outputs_objects(data, model, folder, key, wrapped):
    def batch(start, stop):
        return {"x": data[0][start:stop], key: data[1][start:stop], "wrapped": wrapped}

    val, test = [batch(100, 150), batch(150, 200)], [batch(200, 300)]
    trained = finish(ByName(model), val, test, "own", page=False)
    assert (trained.val.rows, trained.test.rows) == (100, 100)
    assert trained.test.values.dtype == np.float32


@pytest.mark.parametrize("method", ["vector", "select"])
def test_another_calibrator(data, model, folder, method):
    rows = (loader(data, 100, 200), loader(data, 200, 300))
    trained = finish(model.eval(), *rows, "own", method=method, page=False)
    (file,) = (path.name for path in Path("own").iterdir() if path.name not in ALL)
    assert ct.load_calibrator(f"own/{file}").method == trained.calibrator.method
    val = ct.load("own/val_logits.npz")
    again = ct.select(val).calibrator if method == "select" else ct.fit(method, val)
    assert trained.calibrator.parameters() == again.parameters()
    report = json.loads(Path("own/report.json").read_text())
    finish(model.eval(), *rows, "own", page=False)  # nothing of the former call is left
    assert {path.name for path in Path("own").iterdir()} == {*ALL, "temperature.json"}
    if method == "vector":
        assert file == "calibrator.json"
        assert trained.temperature is None
        assert "After: vector scaling" in str(trained)
        assert (report["temperature"], report["calibrator"][:14]) == (None, "vector scaling")
        assert "when" in str(trained).splitlines()[2]


def test_class_names_and_what_is_said_of_the_run(data, model, folder):
    about = {"model": "ours", "loss": "focal(gamma=3)"}
    rows = (loader(data, 100, 200), loader(data, 200, 300))
    trained = finish(
        model, *rows, "own", class_names=["ant", "bee", "cat"], about=about, page=False
    )
    assert str(trained).startswith("ours, focal(gamma=3); 100 test rows, 3 classes")
    assert np.load("own/val_logits.npz")["classes"].tolist() == ["ant", "bee", "cat"]


def test_of_several_processes_the_first_writes_what_all_have_gathered(
    data, model, folder, monkeypatch
):
    """Two processes with half the rows of a batch each, played by this one."""
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    monkeypatch.setattr("torch.distributed.get_rank", lambda: rank)
    rank, model = 1, model.eval()

    def gather(pair):
        return tuple(torch.cat([t, t]) for t in pair)

    rows = (loader(data, 100, 200), loader(data, 200, 300))
    with pytest.raises(UsageError, match=r"2 processes .* gather="):
        finish(model, *rows, "own")
    trained = finish(model, *rows, "own", gather=gather, page=False)
    assert trained.val.rows == 200
    assert not Path("own").exists()
    rank = 0
    finish(model, *rows, "own", gather=gather, page=False)
    assert len(np.load("own/val_logits.npz")["labels"]) == 200


def wrong(data, model):
    x, y = data
    good = [(x[200:], y[200:])]
    logits = torch.zeros(300, 3)
    return {
        "labels of another class": (model, [(x, y + 1)], good, "val labels: .*3"),
        "no pair": (model, (x, y), good, r"val: batch 0: is Tensor; .*\[\(x, y\)\]"),
        "no labels": (model, [{"x": x}], good, "val: batch 0: has no labels; its keys are x"),
        "no batches": (model, iter(()), good, "val: there are no batches"),
        "no logits": (lambda x: "yes", good, [(x, y)], "the model returns str"),
        "logits per batch": (lambda x: x.sum(), good, [(x, y)], r"shape \(\) for 100 labels"),
        "fewer logits": (lambda x: x[1:], good, [(x, y)], r"shape \(99, 8\) for 100 labels"),
        "NaN": (lambda x: x / 0 * 0, good, [(x, y)], "val logits: .*NaN"),
        "one array": (logits, y, y[:], "expected a model, or .validation logits, test logits."),
        "three arrays": ((logits,) * 3, y, y[:], "expected a model, or"),
        "several outputs": (((logits, x), logits), y, y[:], "expected one array of logits"),
        "another length": ((logits, logits), y[1:], y[:], "299 labels"),
        "segmentation": ((logits[:, :, None], logits), y, y[:], "val logits"),
        "the same rows": (model, good, good, "the same rows"),
    }


@pytest.mark.parametrize("mistake", list(wrong((torch.zeros(300, 8), torch.zeros(300)), None)))
def test_mistakes_are_named_and_nothing_is_written(data, model, folder, mistake):
    of_model, val, test, says = wrong(data, model)[mistake]
    with pytest.raises((InputError, UsageError), match=says):
        finish(of_model, val, test, "own")
    assert not Path("own").exists()


def test_a_run_of_the_command_is_not_replaced_and_the_method_is_known_first(train, features):
    assert train("--data", features, "--epochs", "1", "--out", "run").code == 0
    pair = (np.zeros((4, 2)), np.zeros((4, 2)))
    with pytest.raises(UsageError, match="holds a run of calibtool train"):
        finish(pair, [0, 1, 0, 1], [1, 0, 1, 0], "run")
    with pytest.raises(UsageError, match=r"features\.npz: is a file"):
        finish(pair, [0, 1, 0, 1], [1, 0, 1, 0], features)
    with pytest.raises(UsageError, match=r"about\['lr'\] is Tensor"):
        finish(pair, [0, 1, 0, 1], [1, 0, 1, 0], "own", about={"lr": torch.tensor(0.1)})
    with pytest.raises(UsageError, match=r"no calibrator 'temprature'.*temperature"):
        finish(pair, [0, 1, 0, 1], [1, 0, 1, 0], "own", method="temprature")


def test_arrays_of_any_type():
    assert batches.array(torch.ones(2, dtype=torch.float16)).dtype == np.float32
    assert batches.array(torch.ones(2, requires_grad=True)).tolist() == [1, 1]
    assert batches.array([0, 1]).tolist() == [0, 1]
