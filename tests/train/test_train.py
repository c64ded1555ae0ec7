"""`calibtool train` as a person types it: what is printed and written, and that nothing leaks."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from small import blobs
from valid import require_valid

import calibtool as ct
import calibtool.train
from calibtool.train import load_model

FEW = ("--epochs", "3", "--batch-size", "32")


@pytest.mark.parametrize("name", calibtool.train.__all__)
def test_public_names_are_what_they_say_whatever_was_imported_before(name):
    """A module of this name would stand in its place once it is imported."""
    home = Path(calibtool.train.__file__).parent
    assert callable(getattr(calibtool.train, name))
    assert not (home / f"{name}.py").exists()
    assert not (home / name).exists()


def test_a_first_try_prints_the_table_and_the_next_command_works(train, features):
    result = train("--model", "mlp", "--data", features, "--loss", "flsd-53", "--out", "run/")
    assert result.code == 0, result.err
    epochs = result.err.splitlines()
    assert epochs[0] == "flsd-53, 20 epochs"
    row = r"epoch (\d+)/20  loss \d\.\d{4}  val NLL \d\.\d{4} ECE \d\.\d{4}  \d+\.\d s"
    assert [int(re.fullmatch(row, line)[1]) for line in epochs[1:]] == list(range(1, 21))
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "mlp, flsd-53, 20 epochs; 81 test rows, 3 classes"
    names = ["error", "nll", "ece", "ada-ece", "classwise-ece", "mce"]
    assert [line.split()[0] for line in lines[4:16:2]] == names
    assert re.search(r"T = \d\.\d+, fitted on 80 validation rows", result.out)
    next_ = re.search(r"Next: calibtool (\S+) (.*)", result.out)
    assert train(*next_[2].split(), command=next_[1]).code == 0


def test_everything_promised_is_written_and_agrees(train, features):
    assert train("--data", features, *FEW, "--out", "run").code == 0
    run = Path("run")
    assert sorted(path.name for path in run.iterdir()) == [
        *("checkpoint.safetensors", "config.toml", "history.jsonl", "model.safetensors"),
        *("report.json", "report.md", "report.txt"),
        *("temperature.json", "test_logits.npz", "val_logits.npz"),
    ]
    data = np.load(features)
    val, test = (np.load(run / f"{name}_logits.npz") for name in ("val", "test"))
    ids = np.r_[val["ids"], test["ids"]]
    assert len(set(ids.tolist())) == len(ids) == 161
    for part in (val, test):
        np.testing.assert_array_equal(data["y"][part["ids"] - 1000], part["labels"])

    # the numbers are calibtool's own, of the files beside them
    temperature = ct.load_calibrator(run / "temperature.json")
    again = ct.fit("temperature", ct.load(run / "val_logits.npz"))
    assert temperature.map.temperature == again.map.temperature
    report = json.loads((run / "report.json").read_text())
    assert (report["format"], report["version"]) == ("calibtool-training", 1)
    require_valid(report)
    assert report["temperature"] == again.map.temperature
    measured = ct.evaluate(ct.load(run / "test_logits.npz"), "nll,ece", calibrator=temperature)
    by_name = {entry["name"]: entry for entry in report["metrics"]}
    assert by_name["ece"]["value"] == measured["ece"].value
    assert by_name["nll"]["value_after"] == measured.after[0].value
    for entry in report["metrics"]:  # as in the table of `evaluate`
        for end in ("", "_after"):
            low, shown, high = (entry[f"{key}{end}"] for key in ("low", "corrected", "high"))
            assert low <= shown <= high, entry
    on_test = ct.load(run / "test_logits.npz")
    same = {e.name: e for e in ct.evaluate(on_test, "ece,mce,nll").estimates}
    for name, estimate in same.items():
        assert by_name[name]["corrected"] == estimate.corrected
        assert (by_name[name]["low"], by_name[name]["high"]) == (estimate.low, estimate.high)

    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in history] == [1, 2, 3]
    last = ct.evaluate(ct.load(run / "val_logits.npz"), "nll", ci="none")["nll"].value
    assert history[-1]["val_nll"] == pytest.approx(last)


def test_the_saved_model_gives_the_saved_logits_from_raw_inputs(train, images):
    options = ("--model", "resnet20", "--data", images, *FEW, "--threads", "1")
    assert train(*options, "--out", "run").code == 0
    model, test = load_model("run"), np.load("run/test_logits.npz")
    x = np.load(images)["x"][test["ids"]].transpose(0, 3, 1, 2)
    with torch.no_grad():
        logits = model(torch.from_numpy(np.ascontiguousarray(x))).numpy()
    np.testing.assert_allclose(logits, test["logits"], atol=1e-4)


def test_test_rows_do_not_touch_the_model_the_history_or_the_temperature(train, folder):
    """Other test rows change nothing but the test logits and the report."""
    x, y = blobs(300)
    split = np.array(["train"] * 200 + ["val"] * 50 + ["test"] * 50)
    other, noise = blobs(50, seed=9)
    np.savez("a.npz", x=x, y=y, split=split)
    np.savez("b.npz", x=np.r_[x[:250], 5 * other], y=np.r_[y[:250], noise], split=split)
    for name in "ab":
        assert train("--data", f"{name}.npz", *FEW, "--out", name).code == 0
    for file in ("model.safetensors", "val_logits.npz", "temperature.json"):
        assert Path("a", file).read_bytes() == Path("b", file).read_bytes(), file
    assert Path("a/test_logits.npz").read_bytes() != Path("b/test_logits.npz").read_bytes()


def test_validation_rows_do_not_touch_the_weights(train, folder):
    x, y = blobs(300)
    split = np.array(["train"] * 200 + ["val"] * 50 + ["test"] * 50)
    noise = blobs(300, seed=1)[0]
    changed = np.where((split == "val")[:, None], x + 0.3 * noise, x)
    np.savez("a.npz", x=x, y=y, split=split)
    np.savez("b.npz", x=changed, y=y, split=split)
    for name in "ab":
        assert train("--data", f"{name}.npz", *FEW, "--out", name).code == 0
    assert Path("a/model.safetensors").read_bytes() == Path("b/model.safetensors").read_bytes()
    assert Path("a/temperature.json").read_bytes() != Path("b/temperature.json").read_bytes()


@pytest.mark.parametrize("data", ["features", "images"])
def test_the_same_seed_gives_the_same_bits_and_another_does_not(train, data, request):
    file = request.getfixturevalue(data)
    model = {"features": "mlp(dropout=0.3)", "images": "resnet20"}[data]
    augment = ("--augment", "flip,crop") if data == "images" else ()
    for out, seed in (("a", 3), ("b", 3), ("c", 4)):
        options = ("--model", model, "--data", file, *augment, *FEW, "--threads", 1, "--seed", seed)
        assert train(*options, "--out", out).code == 0
    a, b, c = (Path(out, "model.safetensors").read_bytes() for out in "abc")
    assert a == b
    assert a != c


def test_the_users_own_random_numbers_are_left_alone(train, features):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    threads = torch.get_num_threads()
    assert train("--data", features, *FEW, "--threads", threads + 1, "--out", "run").code == 0
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_config_runs_it_again(train, features):
    first = ("--data", features, "--loss", "focal(gamma=2)", "--lr", "0.01", *FEW)
    assert train(*first, "--out", "a").code == 0
    config = tomllib.loads(Path("a/config.toml").read_text())
    assert config["loss"] == "focal(gamma=2)"
    assert config["resolved"]["train_rows"] == 239
    assert train("--config", "a/config.toml", "--out", "b").code == 0
    assert Path("a/model.safetensors").read_bytes() == Path("b/model.safetensors").read_bytes()
    other = train("--config", "a/config.toml", "--seed", "1", "--out", "c")
    assert other.code == 0
    assert Path("a/model.safetensors").read_bytes() != Path("c/model.safetensors").read_bytes()


def test_json_and_markdown_are_printed_alone(train, features):
    out = train("--data", features, *FEW, "--out", "run", "--format", "json").out
    assert json.loads(out) == json.loads(Path("run/report.json").read_text())
    again = train("--out", "run", "--resume", "--format", "markdown").out
    assert again == Path("run/report.md").read_text()


def test_class_names_reach_the_logits(train, folder):
    x, y = blobs(200)
    np.savez("named.npz", x=x, y=np.array(["ant", "bee", "cat"])[y])
    assert train("--data", "named.npz", *FEW, "--out", "run").code == 0
    assert np.load("run/test_logits.npz")["classes"].tolist() == ["ant", "bee", "cat"]
    assert ct.load_calibrator("run/temperature.json").class_names == ("ant", "bee", "cat")


def test_no_finite_temperature_is_said_and_the_report_stands(train, folder):
    """Classes that are told apart on every validation row have no best temperature."""
    y = np.arange(300) % 2
    x = (100.0 * y[:, None] + np.random.default_rng(0).normal(size=(300, 2))).astype(np.float32)
    np.savez("easy.npz", x=x, y=y)
    result = train("--data", "easy.npz", *FEW, "--epochs", "30", "--out", "run")
    assert result.code == 0, result.err
    assert "No temperature was fitted" in result.out
    assert "after" not in result.out.splitlines()[2]
    assert not Path("run/temperature.json").exists()
    assert "--calibrator" not in result.out
