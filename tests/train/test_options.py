"""Options of the loop do what they say, and mistakes are answered in words."""

from __future__ import annotations

import json
import math
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file
from small import blobs

from calibtool.train.augment import crop, flip
from calibtool.train.data.dataset import Data
from calibtool.train.models.registry import build
from calibtool.train.optimise import optimizer, schedule, scheduler
from calibtool.train.settings import RECIPES, Settings, from_mapping
from calibtool.train.training import cpu_threads

FEW = ("--epochs", "3", "--batch-size", "32")

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, shape, hidden=16):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(shape[0], hidden), nn.BatchNorm1d(hidden), nn.ReLU())
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.head(self.backbone(x))

def wide(classes):
    return nn.Linear(8, classes + 1)

def number():
    return 3

def nan(classes):
    class Bad(nn.Linear):
        def forward(self, x):
            y = super().forward(x)
            return y * float("nan") if self.training and torch.rand(()) < 0.5 else y
    return Bad(8, classes)
"""


@pytest.fixture(autouse=True)
def net(folder):
    Path("net.py").write_text(NET)


def history(out):
    return [json.loads(line) for line in Path(out, "history.jsonl").read_text().splitlines()]


# ------------------------------------------------------------------ schedules and optimizers


def test_the_rate_warms_up_and_falls_as_a_cosine():
    factor = schedule(Settings("d", "o", epochs=10, warmup=2), 5)
    rates = [factor(step) for step in range(50)]
    assert rates[:10] == pytest.approx([(i + 1) / 11 for i in range(10)])
    assert rates[10] == 1
    assert rates[30] == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))
    assert rates == [*sorted(rates[:11]), *sorted(rates[11:], reverse=True)]


def test_the_rate_falls_in_steps():
    settings = Settings("d", "o", epochs=4, schedule="step", lr_steps=(0.5, 0.75))
    factor = schedule(settings, 1)
    assert [factor(step) for step in range(4)] == pytest.approx([1, 1, 0.1, 0.01])


def test_steps_of_the_rate_are_epochs_or_shares_of_them():
    shared = {"epochs": 20, "schedule": "step"}
    by_share = schedule(Settings("d", "o", lr_steps=(0.25, 0.5), **shared), 3)
    by_epoch = schedule(Settings("d", "o", lr_steps=(5, 10), **shared), 3)
    assert [by_share(i) for i in range(60)] == [by_epoch(i) for i in range(60)]
    assert [by_epoch(i) for i in (14, 15, 29, 30)] == pytest.approx([1, 0.1, 0.1, 0.01])


def test_a_recipe_sets_what_its_authors_did_and_what_is_typed_overrides_it(train, images):
    few = ("--epochs", "3", "--lr-steps", "1,2", "--batch-size", "64", "--threads", "1")
    options = ("--model", "resnet20", "--data", images, "--recipe", "mukhoti2020", *few)
    assert train(*options, "--out", "run").code == 0
    config = tomllib.loads(Path("run/config.toml").read_text())
    recipe = {k: list(v) if isinstance(v, tuple) else v for k, v in RECIPES["mukhoti2020"].items()}
    typed = {"epochs": 3, "lr_steps": [1, 2], "batch_size": 64}
    assert {key: config[key] for key in recipe} == recipe | typed
    assert [row["lr"] for row in history("run")] == pytest.approx([0.1, 0.01, 0.001])
    # a file may name it too, and what the file says itself comes first
    Path("own.toml").write_text('recipe = "mukhoti2020"\nlr = 0.2\ndata = "d"\nout = "o"\n')
    own = from_mapping(tomllib.loads(Path("own.toml").read_text()), "own.toml")
    assert (own.lr, own.clip, own.reduction) == (0.2, 2, "sum")


def test_the_gradient_of_a_sum_is_that_of_the_mean_times_the_rows(train, folder):
    """A run on the sum is one on the mean at a rate that is larger by the rows of a batch."""
    x, y = blobs(104)
    np.savez("a.npz", x=x, y=y, split=["train"] * 64 + ["val"] * 20 + ["test"] * 20)
    plain = ("--data", "a.npz", "--model", "linear", "--optimizer", "sgd", "--weight-decay", "0")
    for out, rate, reduction in (("mean", 0.064, "mean"), ("sum", 0.002, "sum")):
        options = (*plain, *FEW, "--lr", rate, "--reduction", reduction, "--out", out)
        assert train(*options).code == 0
    ours, theirs = (load_file(f"{out}/model.safetensors") for out in ("mean", "sum"))
    for name, weight in ours.items():
        np.testing.assert_allclose(theirs[name], weight, rtol=1e-4, atol=1e-6)
    assert history("sum")[0]["train_loss"] == pytest.approx(history("mean")[0]["train_loss"])


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_biases_and_norms_do_not_decay(name):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer_ = optimizer(model, Settings("d", "o", optimizer=name))
    decays = {
        id(p): group["weight_decay"] for group in optimizer_.param_groups for p in group["params"]
    }
    assert decays[id(model[0].weight)] == (1e-2 if name == "adamw" else 5e-4)
    assert decays[id(model[0].bias)] == decays[id(model[1].weight)] == 0
    (whole,) = optimizer(model, Settings("d", "o", optimizer=name, decay_all=True)).param_groups
    assert len(whole["params"]) == 4


def test_flip_and_crop_move_pixels_and_nothing_else():
    torch.manual_seed(0)
    x = torch.arange(2 * 3 * 8 * 8, dtype=torch.uint8).reshape(2, 3, 8, 8).repeat(50, 1, 1, 1)
    flipped = flip(x)
    same = (flipped == x).flatten(1).all(1)
    mirrored = (flipped == x.flip(3)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 25 < same.sum() < 75
    moved = crop(x + 1)
    assert moved.shape == x.shape
    for before, after in zip(x + 1, moved, strict=True):
        padded = torch.nn.functional.pad(before, (1, 1, 1, 1))
        places = [padded[:, i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
        assert any(torch.equal(after, place) for place in places)


@pytest.mark.parametrize(
    ("model", "millions"),
    [("resnet110-mukhoti2020", 45.9), ("resnet110", 1.73), ("resnet50", 23.5), ("wrn-26-10", 36.5)],
)
def test_models_have_the_parameters_of_their_papers(model, millions):
    with torch.device("meta"):
        network = build(model, Data("d", {}, 10, (3, 32, 32), "images")).module
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


# ------------------------------------------------------------------ the loop


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_batch_in_pieces_is_the_batch_at_once(train, features, reduction):
    options = ("--data", features, *FEW, "--loss", "focal", "--reduction", reduction)
    weights = "--class-weights", "1,1,1"
    for pieces in ("1", "5", "64"):  # more pieces than rows are as many as rows
        out = f"in{pieces}"
        assert train(*options, *weights, "--accumulate", pieces, "--out", out).code == 0
    whole, *pieces = (load_file(f"in{n}/model.safetensors") for n in (1, 5, 64))
    for name, weight in whole.items():
        for other in pieces:
            np.testing.assert_allclose(other[name], weight, atol=2e-4, err_msg=name)


def test_the_last_layer_has_a_rate_of_its_own(train, features):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    settings = Settings("d", "o", lr=0.1, lr_head=0.5, epochs=4, schedule="step", lr_steps=(2,))
    optimizer_ = optimizer(model, settings)
    rates = scheduler(optimizer_, settings, 1, 0)
    for factor in (1, 1, 0.1, 0.1):
        by_weight = {id(p): g["lr"] for g in optimizer_.param_groups for p in g["params"]}
        for layer, rate in ((model[0], 0.1), (model[2], 0.5)):
            for weight in layer.parameters():
                assert by_weight[id(weight)] == pytest.approx(rate * factor)
        optimizer_.step()
        rates.step()
    resumed = scheduler(optimizer(model, settings), settings, 1, 3).get_last_lr()
    assert resumed == pytest.approx([0.01, 0.01, 0.05, 0.05])
    options = ("--data", features, *FEW, "--model", "net.py:Net", "--lr", "1e-9")
    assert train(*options, "--lr-head", "0.1", "--weight-decay", "0", "--out", "run").code == 0
    assert train(*options, "--weight-decay", "0", "--out", "still").code == 0
    moved, still = (load_file(f"{out}/model.safetensors") for out in ("run", "still"))
    np.testing.assert_allclose(
        moved["backbone.0.weight"], still["backbone.0.weight"], rtol=0, atol=1e-6
    )
    assert np.abs(moved["head.weight"] - still["head.weight"]).max() > 0.05


def test_patience_stops_early_and_keeps_the_best_weights(train, features):
    options = ("--data", features, "--lr", "0.05", "--epochs", "60", "--model", "mlp(hidden=512)")
    assert train(*options, "--patience", "3", "--out", "run").code == 0
    nll = [row["val_nll"] for row in history("run")]
    assert len(nll) < 60
    assert len(nll) == int(np.argmin(nll)) + 1 + 3
    import calibtool as ct

    final = ct.evaluate(ct.load("run/val_logits.npz"), "nll", ci="none")["nll"].value
    assert final == pytest.approx(min(nll))


def test_frozen_weights_and_their_statistics_stay_as_they_were(train, features):
    torch.manual_seed(0)
    start = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.BatchNorm1d(16))
    weights = {f"backbone.{k}": v for k, v in start.state_dict().items()}
    weights |= {"head.weight": torch.randn(3, 16), "head.bias": torch.zeros(3)}
    save_file(weights, "start.safetensors")
    options = ("--model", "net.py:Net", "--data", features, "--checkpoint", "start.safetensors")
    assert train(*options, *FEW, "--freeze", "backbone.*", "--out", "run").code == 0
    after = load_file("run/model.safetensors")
    assert set(after) == set(weights)
    for name, weight in weights.items():
        assert np.array_equal(after[name], weight.numpy()) == name.startswith("backbone"), name


def test_a_torch_checkpoint_of_weights_is_read_and_a_pickle_is_not(train, refused, features):
    state = {"module.weight": torch.randn(3, 8), "module.bias": torch.zeros(3)}
    torch.save({"state_dict": state}, "weights.pt")
    Path("lin.py").write_text(
        "from torch import nn\ndef build(classes): return nn.Linear(8, classes)"
    )
    options = ("--model", "lin.py:build", "--data", features, *FEW)
    assert train(*options, "--checkpoint", "weights.pt", "--out", "run").code == 0
    torch.save(torch.nn.Linear(8, 3), "pickled.pt")
    refused(
        *options, "--checkpoint", "pickled.pt", "--out", "b", says=("pickled.pt", "can run code")
    )


def test_a_checkpoint_that_does_not_fit_is_said_and_fresh_starts_a_head_anew(
    train, refused, features
):
    body = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.BatchNorm1d(16)).state_dict()
    weights = {f"backbone.{k}": v for k, v in body.items()}
    save_file(
        {**weights, "head.weight": torch.zeros(7, 16), "extra": torch.zeros(1)}, "s.safetensors"
    )
    options = ("--model", "net.py:Net", "--data", features, "--checkpoint", "s.safetensors", *FEW)
    message = refused(
        *options, "--out", "a", says=("head.weight has shape 7 x 16 in the file, 3 x 16",)
    )
    assert "missing: head.bias" in message
    assert "not in the model: extra" in message
    assert train(*options, "--fresh", "head.*,extra", "--out", "b").code == 0


def test_class_weights_and_clipping_change_what_is_learned(train, folder):
    x, y = blobs(400, classes=2)
    keep = (y == 0) | (np.arange(400) % 8 == 0)
    np.savez("rare.npz", x=x[keep], y=y[keep])
    for name, options in (
        ("plain", ()),
        ("balanced", ("--class-weights", "balanced")),
        ("given", ("--class-weights", "1,6")),
        ("clipped", ("--clip", "0.001", "--optimizer", "sgd")),
    ):
        assert train("--data", "rare.npz", *FEW, *options, "--out", name).code == 0
    share = {
        name: (np.load(f"{name}/val_logits.npz")["logits"].argmax(1) == 1).mean()
        for name in ("plain", "balanced", "given")
    }
    assert share["balanced"] > share["plain"]
    assert share["given"] > share["plain"]
    assert history("clipped")[-1]["train_loss"] > history("plain")[-1]["train_loss"]


def test_bfloat16_trains_on_a_cpu(train, features):
    result = train("--data", features, *FEW, "--precision", "bfloat16", "--out", "run")
    assert result.code == 0, result.err
    assert np.load("run/test_logits.npz")["logits"].dtype == np.float32


def test_batches_differ_by_a_row_at_most(train, folder):
    """65 rows in batches of 32 leave no batch of one row, which batch norm could not take."""
    x, y = blobs(105)
    np.savez("odd.npz", x=x, y=y, split=["train"] * 65 + ["val"] * 20 + ["test"] * 20)
    options = ("--model", "net.py:Net", "--data", "odd.npz", *FEW)
    assert train(*options, "--out", "run").code == 0


# ------------------------------------------------------------------ mistakes


def test_a_loss_that_is_no_number_stops_with_the_batch_and_what_to_try(refused, features):
    message = refused(
        *("--model", "net.py:nan", "--data", features, *FEW, "--out", "run"),
        says=("the loss became nan in epoch", "batch", "rows ", "inputs from"),
    )
    assert "Try --lr 0.0001, --clip 1, --warmup 1 or --normalize train" in message
    assert not list(Path("run").glob("*")), "the folder can be used again"
    # what the run does already is not advised
    done = ("--clip", "1", "--warmup", "1", "--precision", "bfloat16", "--reduction", "sum")
    options = ("--normalize", "train", "--lr", "0.01", *done)
    refused(
        *("--model", "net.py:nan", "--data", features, *FEW, *options, "--out", "run"),
        says=("Try --lr 0.001, --reduction mean, --clip 0.1 or --precision float32",),
    )


@pytest.mark.parametrize(
    ("model", "kind", "typed", "threads"),
    [
        *(("mlp", "features", None, 1), ("mlp", "images", None, 1), ("linear", "images", None, 1)),
        *(("resnet20", "images", None, 3), ("mlp", "images", 2, 2), ("text-bag", "text", None, 1)),
        ("net.py:build", "images", None, 3),
    ],
)
def test_one_thread_but_for_networks_on_images(model, kind, typed, threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    settings = Settings("d", "o", model=model, threads=typed)
    assert cpu_threads(settings, Data("d", {}, 3, (3, 8, 8), kind)) == threads


def test_models_that_do_not_fit_are_said(refused, features):
    for model, says in (
        ("mpl", "did you mean mlp"),
        ("resnet20", "takes images; features.npz holds features of shape (8,)"),
        ("mlp(width=3)", "there is no option 'width'; the options are hidden, layers, dropout"),
        ("mlp(3)", "give options by name"),
        ("net.py:wide", "it must return 3 logits per row"),
        ("net.py:number", "returns int, not a torch.nn.Module"),
        ("net.py:absent", "has no 'absent'"),
        ("nowhere.py:build", "no such file"),
        ("no_such_module:build", "there is no module"),
        ("timm:resnet18", "pip install timm"),
    ):
        if model.startswith("timm") and "timm" in sys.modules:
            continue
        refused("--model", model, "--data", features, "--out", "run", says=(says,))


def test_options_that_make_no_sense_are_said(refused, features):
    for options, says in (
        (("--loss", "focl"), "did you mean focal"),
        (("--loss", "focal(gama=3)"), "there is no option 'gama'"),
        (("--epochs", "0"), "--epochs: must be at least 1"),
        (("--lr-head", "0"), "--lr-head: must be above 0"),
        (("--workers", "-1"), "--workers: must be at least 0"),
        (("--accumulate", "0"), "--accumulate: must be at least 1"),
        (("--lr", "-1"), "--lr: must be above 0"),
        (("--optimizer", "adam"), "is not one of 'adamw', 'sgd'"),
        (("--val-share", "0.6", "--test-share", "0.5"), "leave no rows to train on"),
        (("--augment", "flip"), "--augment needs images"),
        (
            ("--augment", "rotate"),
            "must be flip, crop, or a transform of torchvision.transforms.v2",
        ),
        (("--freeze", "nothing.*"), "matches no weight; the weights are body.0.weight"),
        (("--freeze", "*"), "no weight is left to train"),
        (("--class-weights", "1,2"), "2 weights for 3 classes"),
        (("--normalize", "imagenet"), "is for images of 3 channels"),
        (("--device", "cuda:77"), "--device cuda:77: cannot be used here"),
        (("--precision", "float16", "--device", "cpu"), "needs a CUDA device"),
        (("--lr-steps", "5,10"), "--lr-steps needs --schedule step, not cosine"),
        (("--lr-steps", "5,20", "--schedule", "step"), "0 and the number of epochs, 20"),
        (("--lr-steps", "0.5,10", "--schedule", "step"), "must be epochs, or shares below 1"),
        (("--recipe", "mukhoti2020", "--augment", "", "--epochs", "60"), "--lr-steps 150,250"),
        (("--recipe", "mukhoti2020"), "--augment needs images"),
        (("--reduction", "none"), "is not one of 'mean', 'sum'"),
        (("--warmup", "20"), "20 must be below the number of epochs, 20"),
        (("--gamma-search", "1,2"), "--gamma-search needs --loss focal, not cross-entropy"),
        (("--labels", "z"), "--labels: there is no 'z'; the columns are x, y, ids"),
    ):
        refused("--data", features, *options, "--out", "run", says=(says,))


def test_a_folder_that_is_not_empty_is_left_alone(train, refused, features):
    Path("full").mkdir()
    Path("full/thesis.txt").write_text("dear")
    refused("--data", features, "--out", "full", says=("holds thesis.txt", "an empty or a new"))
    refused("--out", "full", "--resume", "--data", features, says=("holds no run to resume",))
    assert train("--data", features, *FEW, "--out", "run").code == 0
    before = Path("run/model.safetensors").read_bytes()
    assert "add --resume" in train("--data", features, "--out", "run").err
    message = train("--out", "run", "--resume", "--lr", "0.5").err
    assert "--lr 0.5, it was None" in message
    assert Path("run/model.safetensors").read_bytes() == before


def test_what_is_missing_from_the_command_is_said(refused, features):
    refused("--data", features, says=("--out FOLDER is missing",))
    refused("--out", "run", says=("--data DATA is missing",))


def test_changed_data_are_not_resumed(train, features):
    assert train("--data", features, *FEW, "--out", "run").code == 0
    Path("run/report.json").unlink()  # as if it had been killed at the end
    x, y = blobs(400, seed=5)
    np.savez("features.npz", x=x, y=y)
    result = train("--out", "run", "--resume")
    assert result.code == 2
    assert "the data have changed" in result.err


def test_without_torch_the_command_says_what_to_install(features):
    """A torch that cannot be found, as where the extra is not installed."""
    code = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
        "from calibtool.cli.main import main\n"
        "code = main(['train', '--data', 'features.npz', '--out', 'run'])\n"
        "assert 'torch' not in sys.modules\n"
        "sys.exit(code)"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "training needs torch: pip install 'calibtool[train]'" in done.stderr


def test_importing_the_package_loads_no_torch():
    import subprocess

    code = "import sys, calibtool.train; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
