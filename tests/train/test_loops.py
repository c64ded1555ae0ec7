"""Losses and `finish` in the loops of other packages, by stand-ins with the signatures of
Lightning 2.6, transformers 5.24 and accelerate 1.15. The real ones are not installed with the
tests."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from small import blobs
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from calibtool.errors import UsageError
from calibtool.train import (
    AdaFocalLoss,
    FocalLoss,
    finish,
    lightning_callback,
    make_loss,
    trainer_loss,
)


@pytest.fixture
def data():
    x, y = blobs(200)
    return torch.from_numpy(x), torch.from_numpy(y)


def loader(data, start, stop):
    return DataLoader(TensorDataset(*(t[start:stop] for t in data)), batch_size=32)


# ------------------------------------------------------------------ Lightning


class Callback:
    """The hooks of `lightning.pytorch.Callback` that are called here."""

    def on_validation_start(self, trainer, pl_module): ...
    def on_test_end(self, trainer, pl_module): ...


class Trainer:
    """Shows its loaders to callbacks, and drops those of a fit when a test begins, as Lightning's
    `attach_data` does."""

    def __init__(self, *, callbacks, devices=1, fast_dev_run=False):
        self.callbacks, self.world_size, self.fast_dev_run = callbacks, devices, fast_dev_run
        self.val_dataloaders = self.test_dataloaders = self.datamodule = None

    def fit(self, model, train_dataloaders=None, val_dataloaders=None):
        self.val_dataloaders = val_dataloaders
        for callback in self.callbacks:
            callback.on_validation_start(self, model)

    def test(self, model, dataloaders=None, *, datamodule=None):
        self.val_dataloaders, self.test_dataloaders = None, dataloaders
        self.datamodule = datamodule
        if datamodule is not None:
            self.test_dataloaders = datamodule.test_dataloader()
        for callback in self.callbacks:
            callback.on_test_end(self, model)


@pytest.fixture(params=["lightning.pytorch", "pytorch_lightning"])
def lightning(request, monkeypatch):
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    package = ModuleType(request.param)
    package.Callback = Callback
    monkeypatch.setitem(sys.modules, request.param, package)
    if "." in request.param:
        monkeypatch.setitem(sys.modules, "lightning", ModuleType("lightning"))


def test_lightning_finishes_after_the_test(lightning, data, folder):
    torch.manual_seed(0)
    model = nn.Linear(8, 3)
    callback = lightning_callback("own", about={"loss": "focal"}, page=False)
    assert isinstance(callback, Callback)
    trainer = Trainer(callbacks=[callback])
    trainer.fit(model, None, loader(data, 0, 100))
    trainer.test(model, loader(data, 100, 200))
    np.testing.assert_array_equal(np.load("own/val_logits.npz")["labels"], data[1][:100])
    np.testing.assert_array_equal(np.load("own/test_logits.npz")["labels"], data[1][100:])
    expected = model(data[0][100:]).detach().numpy()
    np.testing.assert_allclose(np.load("own/test_logits.npz")["logits"], expected, atol=1e-6)
    assert str(callback.trained).startswith("Linear, focal; 100 test rows")


def test_lightning_takes_validation_rows_from_the_data_module_or_as_an_argument(
    lightning, data, folder
):
    module = SimpleNamespace(
        val_dataloader=lambda: loader(data, 0, 100), test_dataloader=lambda: loader(data, 100, 200)
    )
    model = nn.Linear(8, 3)
    callback = lightning_callback("a", page=False)
    Trainer(callbacks=[callback]).test(model, datamodule=module)
    assert callback.trained.val.rows == 100
    callback = lightning_callback("b", val=loader(data, 0, 50), page=False)
    Trainer(callbacks=[callback]).test(model, loader(data, 100, 200))
    assert callback.trained.val.rows == 50


def test_lightning_says_what_is_missing(lightning, data, folder):
    model, rows = nn.Linear(8, 3), loader(data, 0, 100)
    trainer = Trainer(callbacks=[lightning_callback("own")])
    with pytest.raises(UsageError, match=r"no validation rows.*val=loader"):
        trainer.test(model, rows)
    trainer.fit(model, None, [rows, rows])
    with pytest.raises(UsageError, match="2 validation loaders"):
        trainer.test(model, rows)
    with pytest.raises(UsageError, match=r"2 processes.*devices=1"):
        Trainer(callbacks=[lightning_callback("own")], devices=2).test(model, rows)
    Trainer(callbacks=[lightning_callback("own")], fast_dev_run=True).test(model, rows)
    assert not Path("own").exists()


def test_lightning_is_asked_for(monkeypatch):
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match="pip install lightning"):
        lightning_callback("own")


# ------------------------------------------------------------------ transformers


def accumulated(model, batches, compute_loss_func):
    """The gradient of transformers' Trainer: it counts the labels of all accumulated batches, pops
    the labels, and adds up what `compute_loss_func` returns."""
    model.zero_grad()
    items = sum(labels.ne(-100).sum() for _, labels in batches)
    for x, labels in batches:
        outputs = {"logits": model(x)}
        compute_loss_func(outputs, labels, num_items_in_batch=items).backward()
    return model.weight.grad.clone()


@pytest.mark.parametrize("spec", ["focal(gamma=3)", "flsd-53", "label-smoothing", "brier"])
def test_accumulated_batches_give_the_gradient_of_one(data, spec):
    x, y = data[0], data[1].clone()
    y[::7] = -100  # ignored rows make batches unequal
    model, loss = nn.Linear(8, 3), make_loss(spec, classes=3)
    loss(model(x), y).backward()
    expected = model.weight.grad.clone()
    cut = [0, 20, 110, 200]
    batches = [(x[a:b], y[a:b]) for a, b in itertools.pairwise(cut)]
    torch.testing.assert_close(accumulated(model, batches, trainer_loss(loss)), expected)
    assert loss.reduction == "mean"


def test_without_a_count_the_mean_is_returned_and_tokens_have_their_classes_last():
    torch.manual_seed(0)
    logits, labels = torch.randn(4, 5, 3), torch.randint(0, 3, (4, 5))
    loss = FocalLoss(gamma=3)
    of_rows = loss(logits.reshape(-1, 3), labels.reshape(-1))
    compute = trainer_loss(loss)
    assert compute(SimpleNamespace(logits=logits), labels).item() == pytest.approx(of_rows.item())
    total = compute({"logits": logits}, labels, num_items_in_batch=torch.tensor(20))
    assert total.item() == pytest.approx(of_rows.item())


def test_a_loss_that_learns_from_validation_rows_goes_on_learning():
    torch.manual_seed(0)
    loss = AdaFocalLoss(bins=2)
    compute = trainer_loss(loss)
    logits, labels = 3 * torch.randn(50, 3), torch.randint(0, 3, (50,))
    before = compute({"logits": logits}, labels, 50)
    loss.after_validation(logits, labels)
    after = compute({"logits": logits}, labels, 50)
    assert after.item() == pytest.approx(loss(logits, labels).item())
    assert after.item() != pytest.approx(before.item())


def test_what_predict_of_transformers_returns_is_finished(data, folder):
    """`trainer.predict` returns arrays as `predictions` and `label_ids`, on every process."""
    model = nn.Linear(8, 3)

    def predict(test_dataset):
        x, y = test_dataset
        logits = model(x).detach().numpy()
        return SimpleNamespace(predictions=logits, label_ids=y.numpy(), metrics={})

    val, test = (predict([t[a:b] for t in data]) for a, b in ((0, 100), (100, 200)))
    pair = (val.predictions, test.predictions)
    trained = finish(pair, val.label_ids, test.label_ids, "own", page=False)
    assert trained.test.rows == 100


# ------------------------------------------------------------------ accelerate


class Accelerator:
    """One process: tensors come back as they are."""

    def gather_for_metrics(self, input_data, use_gather_object=False):
        assert all(isinstance(tensor, torch.Tensor) for tensor in input_data)
        return input_data


def test_accelerate_gathers(data, folder):
    gather = Accelerator().gather_for_metrics
    rows = (loader(data, 0, 100), loader(data, 100, 200))
    trained = finish(nn.Linear(8, 3), *rows, "own", gather=gather, page=False)
    assert (trained.val.rows, trained.test.rows) == (100, 100)
