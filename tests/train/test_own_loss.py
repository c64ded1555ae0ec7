"""`--loss module:function`: the user's own loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from calibtool.errors import UsageError
from calibtool.train import make_loss

FEW = ("--epochs", "2", "--batch-size", "32", "--threads", "1")
LOSSES = """
import torch
from torch import nn
from torch.nn.functional import cross_entropy

def plain(logits, labels, scale=1.0):
    return scale * cross_entropy(logits, labels)

def rows(logits, labels):
    return cross_entropy(logits, labels, reduction="none")

def number(logits, labels):
    return 0.5

def broken(logits, labels):
    return logits[:, 99].mean()

def alone(logits):
    return logits.mean()

class Weighted(nn.Module):
    def __init__(self, classes, class_weights=None, power=1):
        super().__init__()
        assert classes == 3
        self.power = power
        self.register_buffer("class_weights", class_weights)
        self.register_buffer("heard", torch.zeros(2))

    def forward(self, logits, labels):
        return cross_entropy(logits, labels, self.class_weights) ** self.power

    def start_epoch(self, epoch, epochs):
        self.heard[0] += 1

    def after_validation(self, logits, labels):
        self.heard[1] += len(labels)
"""


@pytest.fixture(autouse=True)
def losses(folder):
    Path("mine.py").write_text(LOSSES)


def weights(run):
    return Path(run, "model.safetensors").read_bytes()


def test_a_function_trains_as_the_same_loss_of_calibtool(train, features):
    for loss, out in (("mine.py:plain", "a"), ("mine:plain", "b"), ("mine.py:Weighted", "c")):
        result = train("--data", features, "--loss", loss, *FEW, "--out", out)
        assert result.code == 0, result.err
        assert f"mlp, {loss}, 2 epochs" in result.out
    assert train("--data", features, *FEW, "--out", "ours").code == 0
    assert weights("a") == weights("b") == weights("c")
    ours, own = (np.load(f"{run}/test_logits.npz")["logits"] for run in ("ours", "a"))
    np.testing.assert_allclose(own, ours, atol=1e-3)


def test_options_and_class_weights_reach_it(train, features):
    options = ("--data", features, *FEW)
    for loss, more, out in (
        *(("mine.py:plain", (), "a"), ("mine.py:plain(scale=2)", (), "b")),
        *(("mine.py:Weighted(power=2)", ("--class-weights", "1,2,3"), "c"),),
    ):
        result = train(*options, "--loss", loss, *more, "--out", out)
        assert result.code == 0, result.err
    assert len({weights(run) for run in "abc"}) == 3


def test_it_stands_beside_others_in_a_sweep(train, features):
    result = train("--data", features, "--sweep", "brier,mine.py:plain", *FEW, "--out", "sweep")
    assert result.code == 0, result.err
    assert Path("sweep/mine.py-plain/report.json").is_file()


def test_a_module_hears_of_epochs_and_validation_and_its_state_is_kept():
    loss = make_loss("mine.py:Weighted", classes=3)
    loss.start_epoch(0, 2)
    loss.after_validation(torch.zeros(5, 3), torch.zeros(5))
    assert [tensor.tolist() for tensor in loss.state_dict().values()] == [[1, 5]]
    make_loss("mine.py:plain", classes=3).start_epoch(0, 2)


MISTAKES = {
    "mine.py:rows": "mine.py:rows: returns (31,); it must return a scalar tensor",
    "mine.py:number": "mine.py:number: returns float; it must return a scalar tensor",
    "mine.py:broken": "mine.py:broken: IndexError: ",
    "mine.py:alone": "mine.py:alone: must take logits and labels",
    "mine.py:plain(size=2)": "mine.py:plain: must take logits and labels, and its options by name",
    "mine.py:Weighted(size=2)": "there is no option 'size'; the options are power",
    "mine.py:none": "mine.py has no 'none'",
    "none.py:plain": "none.py: no such file",
    "focul": "there is no loss 'focul'; did you mean focal",
}


@pytest.mark.parametrize("loss", MISTAKES)
def test_mistakes_are_named(refused, features, loss):
    x = ("--data", features, "--loss", loss, *FEW, "--val-share", "0.1", "--out", "run")
    refused(*x, says=(MISTAKES[loss],))


def test_class_weights_that_it_cannot_take_are_refused(refused, features):
    options = ("--data", features, "--class-weights", "balanced", *FEW, "--out", "run")
    refused(*options, "--loss", "mine.py:plain", says=("has no parameter class_weights",))
    with pytest.raises(UsageError, match="no parameter class_weights"):
        make_loss("mine.py:plain", classes=3, class_weights=[1, 1, 1])
