"""Models of other packages, by stand-ins that have their interface: what is asked of them, and what
is said where they are not there. The real ones are not installed with the tests."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

from calibtool.train.models.packages import _with_classes

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
        net = network(in_chans, num_classes)
        net.pretrained_cfg = {
            "mean": (0.1, 0.2, 0.3),
            "std": (1.0, 2.0, 3.0),
            "num_classes": 1000,
            "classifier": "head.fc",
        }
        return net

    timm = ModuleType("timm")
    timm.create_model = create_model

    class Weights(Enum):
        IMAGENET1K_V1 = "a"
        DEFAULT = IMAGENET1K_V1

        @property
        def meta(self):
            return {"categories": ["cat"] * 1000}

        def transforms(self):
            return SimpleNamespace(mean=[0.5, 0.4, 0.3], std=[0.2, 0.25, 0.5])

    def get_model(name, *, weights=None, num_classes=1000):
        if weights is not None and num_classes != 1000:  # as torchvision has it
            raise ValueError("The parameter 'num_classes' expected value 1000")
        return network(3, num_classes)

    torchvision = ModuleType("torchvision")
    torchvision.models = SimpleNamespace(
        list_models=lambda module=None: ["resnet18", "vgg11"],
        get_model=get_model,
        get_model_weights=lambda name: Weights,
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


PRETRAINED = {
    "torchvision:resnet18(weights=DEFAULT)": ([0.5, 0.4, 0.3], [0.2, 0.25, 0.5], "3"),
    "timm:resnet18(pretrained=True)": ([0.1, 0.2, 0.3], [1, 2, 3], "head.fc"),
}


@pytest.mark.parametrize("model", PRETRAINED)
def test_pretrained_networks_get_a_new_head_and_their_own_statistics(
    train, images, packages, model
):
    mean, deviation, head = PRETRAINED[model]
    result = train("--model", model, "--data", images, *FEW, "--out", "run")
    assert result.code == 0, result.err
    assert f"New in the pretrained network, for 3 classes: {head}" in result.out
    weights = load_file("run/model.safetensors")
    np.testing.assert_allclose(weights["calibtool.mean"].ravel(), mean)
    np.testing.assert_allclose(weights["calibtool.deviation"].ravel(), deviation)
    assert weights["3.weight"].shape == (3, 4)
    # without weights, statistics are those of the training rows, and nothing is replaced
    plain = model.partition("(")[0]
    result = train("--model", plain, "--data", images, *FEW, "--out", "plain")
    assert result.code == 0, result.err
    assert "New in" not in result.out
    assert load_file("plain/model.safetensors")["calibtool.mean"].ravel()[0] > 0.3


def test_augmentation_by_torchvision_is_drawn_for_each_image(train, refused, images, monkeypatch):
    shapes = []

    class RandomRotation:
        def __init__(self, degrees):
            if degrees < 0:
                raise ValueError("degrees should be positive")

        def __call__(self, image):
            shapes.append(tuple(image.shape))
            return image if torch.rand(()) < 0.5 else image.flip(2)

    v2 = ModuleType("torchvision.transforms.v2")
    v2.RandomRotation = RandomRotation
    options = ("--model", "resnet20", "--data", images, *FEW)
    rotate = ("--augment", "flip,RandomRotation(degrees=15)")
    monkeypatch.setitem(sys.modules, "torchvision.transforms.v2", None)
    refused(*options, *rotate, "--out", "a", says=("needs torchvision: pip install torchvision",))
    for name in ("torchvision", "torchvision.transforms"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "torchvision.transforms.v2", v2)
    for augment, says in (
        ("RandomRotation(degrees=-1)", "degrees should be positive"),
        ("RandomRotation(angle=1)", "unexpected keyword argument 'angle'"),
        ("RandomRotate", "has no attribute 'RandomRotate'"),
    ):
        refused(*options, "--augment", augment, "--out", "a", says=(says,))
    for out in ("one", "two"):
        assert train(*options, *rotate, "--out", out).code == 0
    assert set(shapes) == {(3, 8, 8)}
    one, two = (Path(out, "model.safetensors").read_bytes() for out in ("one", "two"))
    assert one == two


def test_weights_that_a_model_does_not_have_are_said(refused, images, packages):
    options = ("--model", "torchvision:resnet18(weights=V9)", "--data", images, "--out", "run")
    refused(*options, says=("weights must be one of IMAGENET1K_V1, DEFAULT, not 'V9'",))


def test_every_layer_that_returns_the_old_classes_is_replaced():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.aux = nn.Conv2d(3, 8, 3), nn.Linear(8, 1000, bias=False)
            self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(8, 1000, 1))

    net = Two()
    assert _with_classes(net, 1000, 7) == ["aux", "classifier.1"]
    assert (net.aux.out_features, net.aux.bias) == (7, None)
    assert net.classifier[1].weight.shape == (7, 8, 1, 1)
    assert _with_classes(net, 7, 7) == []


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
    def model(name, *, num_labels, use_safetensors, trust_remote_code, **options):
        assert (name, use_safetensors, trust_remote_code) == ("./bert", True, False)
        assert options == {"ignore_mismatched_sizes": True, "output_loading_info": True}
        other = [("classifier.weight", torch.Size([2, 8]), torch.Size([3, 8]))]
        loaded = {"missing_keys": ["classifier.bias"], "mismatched_keys": other}
        return Classifier(num_labels), loaded

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
    new = "New in the pretrained network, for 3 classes: classifier.bias, classifier.weight"
    assert new in result.out
    logits = np.load("run/test_logits.npz")
    assert (logits["logits"].argmax(1) == logits["labels"]).all()
    from calibtool.train import load_model

    assert isinstance(load_model("run").network, Classifier)


@pytest.mark.parametrize("processor", ["normalises", "does not", "is missing"])
def test_a_transformers_model_of_images_gets_what_its_processor_subtracts(
    train, images, monkeypatch, processor
):
    class Pixels(nn.Module):
        def __init__(self, classes):
            super().__init__()
            self.body = network(3, classes)
            self.config = SimpleNamespace(save_pretrained=lambda folder: None)

        def forward(self, *, pixel_values):
            return SimpleNamespace(logits=self.body(pixel_values))

    def load(name, *, trust_remote_code):
        if processor == "is missing":
            raise OSError("./vit does not appear to have a file named preprocessor_config.json")
        values = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}
        return SimpleNamespace(do_normalize=processor == "normalises", **values)

    transformers = ModuleType("transformers")
    transformers.AutoImageProcessor = SimpleNamespace(from_pretrained=load)
    none = {"missing_keys": [], "mismatched_keys": []}
    transformers.AutoModelForImageClassification = SimpleNamespace(
        from_pretrained=lambda name, *, num_labels, **options: (Pixels(num_labels), none)
    )
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    result = train("--model", "hf:./vit", "--data", images, *FEW, "--out", "run")
    assert result.code == 0, result.err
    assert "New in" not in result.out
    mean = load_file("run/model.safetensors")["calibtool.mean"].ravel().tolist()
    expected = {"normalises": [0.5] * 3, "does not": [0.0]}
    assert mean == expected.get(processor, mean)
    if processor == "is missing":  # those of the training rows
        assert 0.3 < mean[0] < 0.7
        assert mean[0] != 0.5
