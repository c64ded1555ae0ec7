"""Losses and `finish` in the loops of other packages, by stand-ins with the signatures of
Lightning 2.6, transformers 5.24 and accelerate 1.15. The real ones are not installed with the
tests."""

from __future__ import annotations

import itertools
import re
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

    def __init__(self, *, callbacks, devices=1, max_epochs=None, fast_dev_run=False):
        self.callbacks, self.world_size, self.fast_dev_run = callbacks, devices, fast_dev_run
        self.val_dataloaders = self.test_dataloaders = self.datamodule = None

    def fit(self, model, train_dataloaders=None, val_dataloaders=None, datamodule=None):
        self.val_dataloaders = val_dataloaders
        for callback in self.callbacks:
            callback.on_validation_start(self, model)

    def test(self, model=None, dataloaders=None, ckpt_path=None, verbose=True, datamodule=None):
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


class HuggingTrainer:
    """A step of training, and predictions as arrays, on every process."""

    def __init__(self, model=None, args=None, *, train_dataset=None, compute_loss_func=None):
        self.model, self.rows, self.loss = model, train_dataset, compute_loss_func

    def train(self, resume_from_checkpoint=None):
        accumulated(self.model, [self.rows[:]], self.loss)

    def predict(self, test_dataset, ignore_keys=None, metric_key_prefix="test"):
        x, y = test_dataset[:]
        logits = self.model(x).detach().numpy()
        return SimpleNamespace(predictions=logits, label_ids=y.numpy(), metrics={})


# ------------------------------------------------------------------ accelerate


class Accelerator:
    """One process: everything comes back as it is."""

    def prepare(self, *args, device_placement=None):
        return args

    def backward(self, loss, **kwargs):
        loss.backward()

    def gather_for_metrics(self, input_data, use_gather_object=False):
        assert all(isinstance(tensor, torch.Tensor) for tensor in input_data)
        return input_data


def test_accelerate_gathers(data, folder):
    gather = Accelerator().gather_for_metrics
    rows = (loader(data, 0, 100), loader(data, 100, 200))
    trained = finish(nn.Linear(8, 3), *rows, "own", gather=gather, page=False)
    assert (trained.val.rows, trained.test.rows) == (100, 100)


# ------------------------------------------------------------------ the page

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "train-loop.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("at", range(4), ids=["plain", "Lightning", "transformers", "accelerate"])
def test_the_page_runs_as_it_stands(at, data, folder, monkeypatch):
    packages = {
        "lightning": {},
        "lightning.pytorch": {"Callback": Callback, "Trainer": Trainer},
        "transformers": {"Trainer": HuggingTrainer},
        "accelerate": {"Accelerator": Accelerator},
    }
    for name, content in packages.items():
        package = ModuleType(name)
        package.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, package)
    monkeypatch.setattr(
        sys.modules["lightning"], "pytorch", sys.modules["lightning.pytorch"], False
    )
    torch.manual_seed(0)
    model = nn.Linear(8, 3)
    before = model.weight.detach().clone()
    rows = {"train": (0, 50), "val": (50, 120), "test": (120, 200)}
    loaders = {f"{name}_loader": loader(data, *cut) for name, cut in rows.items()}
    sets = {f"{name}_set": loaders[f"{name}_loader"].dataset for name in rows}
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    names = {"model": model, "module": model, "args": None, "optimizer": optimizer}
    assert len(BLOCKS) == 4
    exec(BLOCKS[at], {**names, **loaders, **sets})
    assert Path("run/report.html").is_file()
    np.testing.assert_array_equal(np.load("run/test_logits.npz")["labels"], data[1][120:])
    assert torch.equal(before, model.weight) == (at in (1, 2))  # those stand-ins take no steps
