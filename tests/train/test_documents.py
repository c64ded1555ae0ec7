"""Documents of a training run that are damaged: each is refused by its file and its key."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import blobs

from calibtool.cli.main import main
from calibtool.errors import CalibtoolError, InputError
from calibtool.train import load_model, tensors
from calibtool.train.results import finished

DEEP = 5000  # levels: beyond what Python's parsers can recurse into
DIGITS = "9" * 5000  # beyond what Python reads as a whole number
NESTED = '{"a":' * DEEP + "1" + "}" * DEEP
FEW = ("--epochs", "2", "--batch-size", "32", "--model", "linear")
SEARCH = ("--loss", "focal", "--gamma-search", "1,2", "--gamma-folds", "2")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, a finished run, a sweep, and a run that ended after its last epoch."""
    folder = tmp_path_factory.mktemp("runs")
    x, y = blobs(200)
    np.savez(folder / "features.npz", x=x, y=y)
    shared = ("train", "--data", str(folder / "features.npz"), *FEW)
    assert main([*shared, "--out", str(folder / "done")]) == 0
    assert main([*shared, "--sweep", "brier", "--out", str(folder / "sweep")]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calibtool.train.training.write", stop)
        assert main([*shared, *SEARCH, "--out", str(folder / "begun")]) == 2
    assert (folder / "begun" / "checkpoint.safetensors").exists()
    return folder


def stop(*_: object) -> None:
    raise InputError("stopped before results are written")


@pytest.fixture
def resumed(runs: Path, folder: Path, train: Callable[..., Any]) -> Callable[..., str]:
    """Resume a copy of a run with one file changed; it must be refused, and name that file."""

    def call(name: str, file: str, change: Callable[[Path], object], *options: str) -> str:
        shutil.copytree(runs / name, name)
        change(Path(name, file))
        shared = ("--data", runs / "features.npz", *FEW, "--out", name, "--resume", *options)
        said = train(*shared)
        assert said.code == 2, (said.out, said.err)
        assert said.out == ""
        assert f"{name}/{file}: " in said.err, said.err
        return str(said.err)

    return call


def holding(text: str | bytes) -> Callable[[Path], object]:
    """Return what gives a file another content."""
    data = text if isinstance(text, bytes) else text.encode()
    return lambda path: path.write_bytes(data)


def with_setting(key: str, value: str) -> Callable[[Path], object]:
    """Return what gives a key of a config.toml another value, or adds it."""

    def change(path: Path) -> None:
        text = path.read_text()
        line = f"{key} = {value}"
        found, changed = re.subn(rf"(?m)^{key} = .*$", lambda _: line, text), text
        path.write_text(found[0] if found[1] else f"{line}\n{changed}")

    return change


CONFIGS = {
    "nested": (holding("a = " + "[" * DEEP + "]" * DEEP), ""),
    "digits": (with_setting("seed", DIGITS), "digits"),
    "text for a number": (with_setting("lr", '"x"'), "lr: expected a number"),
    "flag for a number": (with_setting("epochs", "true"), "epochs: expected a whole number"),
    "infinity": (with_setting("lr", "inf"), "lr must be a finite number"),
    "text for a list": (with_setting("augment", '"flip"'), "augment: expected a list"),
    "numbers for texts": (with_setting("augment", "[1]"), "augment: expected a text"),
    "unknown key": (with_setting("epoch", "3"), "'epoch'"),
    "not UTF-8": (holding(b"seed = 1 # \xff\xfe"), ""),
    "half a line": (holding("seed = "), ""),
}


@pytest.mark.parametrize(("change", "key"), CONFIGS.values(), ids=CONFIGS)
def test_settings(change, key, runs, resumed, train):
    assert key in resumed("done", "config.toml", change)
    said = train("--config", "done/config.toml", "--out", "new")
    assert (said.code, said.out) == (2, "")
    assert "done/config.toml: " in said.err
    assert key in said.err
    assert not Path("new").exists()
    with pytest.raises(CalibtoolError, match=r"done/config\.toml"):
        load_model("done")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        *((NESTED, ""), ("[]", "it"), ("{}", "chosen"), ('{"chosen": 1}', "chosen")),
        *(('{"chosen": "' + "x" * 100, ""), ('{"chosen": 1' + DIGITS + "}", "chosen")),
    ],
    ids=["nested", "list", "empty", "number", "cut off", "digits"],
)
def test_the_search_for_gamma(text, key, resumed):
    assert key in resumed("begun", "gamma_search.json", holding(text), *SEARCH)


def report(**changes: object) -> Callable[[Path], object]:
    """Return what changes entries of a report.json; None leaves one out."""

    def change(path: Path) -> None:
        document = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in document.items() if v is not None}))

    return change


REPORTS = {
    "nested": (holding(NESTED), ""),
    "list": (holding("[]"), "it must be an object"),
    "not UTF-8": (holding(b"\xff"), ""),
    "no notes": (report(notes=None), "notes is missing"),
    "notes of numbers": (report(notes=[1]), "notes[0] must be a text"),
    "training is a list": (report(training=[1]), "training must be"),
    "training is empty": (report(training={}), "training.model is missing"),
    "rows are text": (
        report(training={"model": "a", "loss": "b", "seed": 0, "classes": 3, "val_rows": "x"}),
        "training.val_rows must be a whole number",
    ),
}


@pytest.mark.parametrize(("change", "key"), REPORTS.values(), ids=REPORTS)
def test_reports_of_finished_runs(change, key, resumed):
    assert key in resumed("done", "report.json", change)
    with pytest.raises(InputError, match=r"done/report\.json"):
        finished(Path("done"))


def test_a_report_in_a_sweep_that_is_resumed(runs, train):
    shutil.copytree(runs / "sweep", "sweep")
    Path("sweep/brier/report.json").write_text("[]")
    said = train(
        *("--data", runs / "features.npz", *FEW, "--sweep", "brier", "--out", "sweep", "--resume")
    )
    assert (said.code, said.out) == (2, "")
    assert "sweep/brier/report.json: " in said.err


def meta(**changes: object) -> Callable[[Path], object]:
    """Return what changes entries of a checkpoint's numbers; None leaves one out."""

    def change(path: Path) -> None:
        weights, held = tensors.read(path)
        held = {key: value for key, value in (held | changes).items() if value is not None}
        tensors.write(path, weights, held)

    return change


def header(text: str) -> Callable[[Path], object]:
    """Return what puts a text where the numbers of a checkpoint are."""

    def change(path: Path) -> None:
        from safetensors.torch import save_file

        save_file(tensors.read(path)[0], path, {tensors.META: text})

    return change


def weights(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Return what changes the tensors of a file."""

    def changed(path: Path) -> None:
        held, numbers = tensors.read(path)
        change(held)
        tensors.write(path, held, numbers)

    return changed


def cut(name: str) -> Callable[[dict[str, Any]], object]:
    """Return what makes a tensor shorter."""
    return lambda held: held.update({name: held[name][:1]})


ROW = {"val_nll": 1.0}
CHECKPOINTS = {
    "nested": (header(NESTED), ""),
    "list": (header("[1]"), ""),
    "digits": (header(f'{{"version": {DIGITS}}}'), ""),
    "no numbers": (header("{}"), "version"),
    "other version": (meta(version="1"), "version"),
    "no epoch": (meta(epoch=None), "epoch"),
    "epoch is text": (meta(epoch="1"), "epoch"),
    "epoch is a flag": (meta(epoch=True), "epoch"),
    "epoch below 0": (meta(epoch=-1, history=[]), "epoch"),
    "step is a fraction": (meta(step=0.5), "step"),
    "step without rows": (meta(epoch=1, history=[ROW], step=999, loss_rows=0), "loss_rows"),
    "loss is a list": (meta(loss_sum=[]), "loss_sum"),
    "loss is not finite": (meta(loss_sum=float("nan")), "loss_sum"),
    "best is not a number": (meta(best_nll=float("nan")), "best_nll"),
    "history is an object": (meta(history={}), "history"),
    "history is short": (meta(history=[]), "history"),
    "history of numbers": (meta(history=[1, 2]), "history"),
    "history without values": (meta(history=[{}, {"val_nll": "x"}]), "history"),
    "scaler is a list": (meta(scaler=[1]), "scaler"),
    "scaler holds text": (meta(scaler={"scale": "x"}), "scaler"),
    "no weights": (weights(dict.clear), ""),
    "weights of another shape": (weights(cut("model/network.head.weight")), ""),
    "optimizer of another shape": (weights(cut("optimizer/0.exp_avg")), "optimizer/0.exp_avg"),
    "optimizer of no parameter": (
        weights(lambda held: held.update({"optimizer/99.exp_avg": held["optimizer/0.exp_avg"]})),
        "optimizer/99",
    ),
    "optimizer incomplete": (
        weights(lambda held: held.pop("optimizer/0.exp_avg_sq")),
        "exp_avg_sq",
    ),
    "optimizer named by words": (
        weights(lambda held: held.update({"optimizer/x": held["optimizer/0.exp_avg"]})),
        "optimizer/x",
    ),
    "best of another model": (
        weights(lambda held: held.update({"best/x": held["optimizer/0.exp_avg"]})),
        "best",
    ),
    "not safetensors": (holding(b"\xff" * 100), ""),
    "header of 2^60 bytes": (holding((1 << 60).to_bytes(8, "little") + b"{}"), ""),
}


@pytest.mark.parametrize(("change", "key"), CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_checkpoints(change, key, resumed):
    assert key in resumed("begun", "checkpoint.safetensors", change, *SEARCH)


RESOLVED = {
    "classes are text": ("config.toml", with_setting("classes", '"3"'), "resolved.classes"),
    "one class": ("config.toml", with_setting("classes", "1"), "resolved.classes"),
    "shape is a number": ("config.toml", with_setting("shape", "8"), "resolved.shape"),
    "shape of texts": ("config.toml", with_setting("shape", '["8"]'), "resolved.shape"),
    "kind is a list": ("config.toml", with_setting("kind", "[]"), "resolved.kind"),
    "kind is unknown": ("config.toml", with_setting("kind", '"zzz"'), "zzz"),
    "resolved is a number": (
        "config.toml",
        lambda path: path.write_text(
            "resolved = 3\n" + path.read_text().partition("[resolved]")[0]
        ),
        "resolved",
    ),
    "more classes": ("model.safetensors", None, "holds other weights"),
    "other names": (
        "model.safetensors",
        weights(lambda held: held.update(other=held.pop("head.weight"))),
        "holds other weights",
    ),
    "odd moments": (
        "model.safetensors",
        weights(lambda held: held.update({"calibtool.mean": held["head.weight"][:, :2]})),
        "calibtool.mean",
    ),
}


@pytest.mark.parametrize(("file", "change", "key"), RESOLVED.values(), ids=RESOLVED)
def test_models(file, change, key, runs):
    shutil.copytree(runs / "done", "done")
    if change is None:
        with_setting("classes", "4")(Path("done/config.toml"))
    else:
        change(Path("done", file))
    with pytest.raises(CalibtoolError) as caught:
        load_model("done")
    assert key in str(caught.value)
    assert "done" in str(caught.value)
