"""Models of other packages, by stand-ins that have their interface: what is asked of them, and what
is said where they are not there. The real ones are not installed with the tests."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import torch
from torch import nn

FEW = ("--epochs", "1", "--batch-size", "64", "--threads", "1")


def network(channels, classes):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)
    )


@pytest.fixture
def packages(monkeypatch):
    """timm, torchvision and transformers, as far as they are used."""
    calls = []

    def create_model(name, *, num_classes, in_chans=3, **options):
        calls.append((name, num_classes, in_chans, options))
        return network(in_chans, num_classes)

    timm = ModuleType("timm")
    timm.create_model = create_model
    torchvision = ModuleType("torchvision")
    torchvision.models = SimpleNamespace(
        list_models=lambda module=None: ["resnet18", "vgg11"],
        get_model=lambda name, num_classes, **options: network(3, num_classes),
    )
    for name, module in (("timm", timm), ("torchvision", torchvision)):
        monkeypatch.setitem(sys.modules, name, module)
    return calls


def test_a_timm_model_gets_the_classes_and_the_channels(train, folder, packages):
    x = np.random.default_rng(0).integers(0, 255, (90, 8, 8)).astype(np.uint8)
    np.savez("grey.npz", x=x, y=np.arange(90) % 3)
    model = "timm:convnext_atto(drop_rate=0.1)"
    result = train("--model", model, "--data", "grey.npz", *FEW, "--out", "run")
    assert result.code == 0, result.err
    assert packages[0] == ("convnext_atto", 3, 1, {"drop_rate": 0.1})


def test_a_torchvision_model_is_looked_up(train, refused, images, packages):
    options = ("--data", images, *FEW)
    assert train("--model", "torchvision:resnet18", *options, "--out", "run").code == 0
    refused("--model", "torchvision:resnet81", *options, "--out", "b", says=("resnet18, vgg11",))


def test_what_a_package_raises_is_said(refused, images, packages, monkeypatch):
    def create_model(name, **options):
        raise RuntimeError(f"Unknown model ({name})")

    monkeypatch.setattr(sys.modules["timm"], "create_model", create_model)
    options = ("--model", "timm:nothing", "--data", images, "--out", "run")
    refused(*options, says=("--model timm:nothing: RuntimeError: Unknown model (nothing)",))


def test_a_package_that_is_missing_or_broken_is_said(refused, images, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    options = ("--data", images, "--out", "run")
    refused("--model", "timm:x", *options, says=("--model timm:x needs timm: pip install timm",))
    (folder / "torchvision.py").write_text("raise RuntimeError('built for another torch')")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    message = refused("--model", "torchvision:resnet18", *options, says=("cannot be imported",))
    assert "built for another torch" in message


class Tokenizer:
    """Letters as tokens; 7 is padding."""

    pad_token_id = 7

    def save_pretrained(self, folder): ...

    def __call__(self, texts, *, padding, truncation, return_tensors):
        assert (padding, truncation, return_tensors) == (True, True, "np")
        longest = max(map(len, texts))
        rows = [[8 + ord(c) % 32 for c in text] + [7] * (longest - len(text)) for text in texts]
        return {"input_ids": np.array(rows)}


class Classifier(nn.Module):
    """Mean of the embeddings of what is not masked, as an object with `logits`."""

    def __init__(self, classes):
        super().__init__()
        self.embeddings, self.classifier = nn.Embedding(40, 8), nn.Linear(8, classes)
        self.config = SimpleNamespace(save_pretrained=lambda folder: None)

    def forward(self, *, input_ids, attention_mask):
        assert torch.equal(attention_mask, (input_ids != 7).long())
        mask = attention_mask[..., None]
        mean = (self.embeddings(input_ids) * mask).sum(1) / mask.sum(1)
        return SimpleNamespace(logits=self.classifier(mean))


def test_a_transformers_model_reads_text_by_its_own_tokenizer(train, folder, monkeypatch):
    def model(name, *, num_labels, use_safetensors, trust_remote_code):
        assert (name, use_safetensors, trust_remote_code) == ("./bert", True, False)
        return Classifier(num_labels)

    transformers = ModuleType("transformers")
    transformers.AutoTokenizer = SimpleNamespace(
        from_pretrained=lambda name, trust_remote_code: Tokenizer()
    )
    transformers.AutoModelForSequenceClassification = SimpleNamespace(from_pretrained=model)
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    text = ["aaab", "bb", "cccc"] * 40
    pa.csv.write_csv(pa.table({"text": text, "label": ["a", "b", "c"] * 40}), "t.csv")
    options = ("--model", "hf:./bert", "--data", "t.csv", "--lr", "0.1", *FEW, "--epochs", "10")
    result = train(*options, "--out", "run")
    assert result.code == 0, result.err
    logits = np.load("run/test_logits.npz")
    assert (logits["logits"].argmax(1) == logits["labels"]).all()
    from calibtool.train import load_model

    assert isinstance(load_model("run").network, Classifier)
