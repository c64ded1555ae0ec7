"""Models of other packages by name, if installed: torchvision, timm, transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from calibtool.errors import UsageError
from calibtool.train.data.dataset import Data
from calibtool.train.data.factory_spec import failure, told
from calibtool.train.data.text import Encode
from calibtool.types import Array

OUTPUTS: dict[type[nn.Module], str] = {nn.Linear: "out_features", nn.Conv2d: "out_channels"}
NO_LIMIT = int(1e30)  # length of a tokenizer without one: VERY_LARGE_INTEGER of transformers
PACKAGES = {"torchvision": "torchvision", "timm": "timm", "hf": "transformers"}


class Built(NamedTuple):
    """A network, and what its pretrained weights are known to need; see `registry.Network`."""

    module: nn.Module
    statistics: tuple[Sequence[float], Sequence[float]] | None = None
    notes: tuple[str, ...] = ()


def build(text: str, options: Mapping[str, Any], data: Data) -> Built:
    """Return `torchvision:NAME`, `timm:NAME` or `hf:FOLDER-OR-NAME` with a head of K classes.

    Raises UsageError if the package is not installed, or with the message of the package.
    """
    kind, _, name = text.partition(":")
    make = {"torchvision": _torchvision, "timm": _timm, "hf": _transformers}[kind]
    package = require(kind, text)
    with told(f"--model {text}"):
        return make(package, name, dict(options), data)


def require(kind: str, text: str) -> Any:
    """Import the package of a kind of names; raise UsageError if it is not installed."""
    try:
        return import_module(PACKAGES[kind])
    except ImportError as error:
        raise UsageError(
            f"--model {text} needs {PACKAGES[kind]}: pip install {PACKAGES[kind]} ({error})"
        ) from error
    except Exception as error:  # installed, but for another version of torch, for example
        raise failure(error, f"--model {text}: {PACKAGES[kind]} cannot be imported") from error


def _torchvision(package: Any, name: str, options: dict[str, Any], data: Data) -> Built:
    known = package.models.list_models(module=package.models)
    if name not in known:
        raise UsageError(f"--model torchvision:{name}: must be one of {', '.join(known[:8])}, ...")
    if (chosen := options.pop("weights", None)) is None:
        return Built(package.models.get_model(name, num_classes=data.classes, **options))
    offered = package.models.get_model_weights(name)
    if chosen not in offered.__members__:
        raise UsageError(
            f"--model torchvision:{name}: weights must be one of "
            f"{', '.join(offered.__members__)}, not {chosen!r}"
        )
    weights = offered[chosen]
    network = package.models.get_model(name, weights=weights, **options)
    preset = weights.transforms()
    # get_model refuses weights with another number of classes, so the head is replaced here
    heads = _with_classes(network, len(weights.meta["categories"]), data.classes)
    return Built(network, (preset.mean, preset.std), _new_head(heads, data.classes))


def _with_classes(network: nn.Module, before: int, classes: int) -> list[str]:
    """Replace the layers that return `before` classes, and return their names."""
    heads = [
        name
        for name, layer in network.named_modules()
        if type(layer) in OUTPUTS and getattr(layer, OUTPUTS[type(layer)]) == before
    ]
    for name in heads if before != classes else ():
        old: Any = network.get_submodule(name)
        bias = old.bias is not None
        new = (
            nn.Linear(old.in_features, classes, bias=bias)
            if isinstance(old, nn.Linear)
            else nn.Conv2d(old.in_channels, classes, old.kernel_size, old.stride, bias=bias)
        )
        network.set_submodule(name, new)
    return heads if before != classes else []


def _new_head(names: Iterable[str], classes: int) -> tuple[str, ...]:
    """Return the note on layers of a pretrained network that had other classes."""
    listed = ", ".join(names)
    return (f"New in the pretrained network, for {classes} classes: {listed}",) if listed else ()


def _timm(package: Any, name: str, options: dict[str, Any], data: Data) -> Built:
    if data.images:
        options.setdefault("in_chans", data.shape[0])
    network: nn.Module = package.create_model(name, num_classes=data.classes, **options)
    if not options.get("pretrained"):
        return Built(network)
    about: Any = network.pretrained_cfg
    heads = about["classifier"] if about["num_classes"] != data.classes else ()
    heads = (heads,) if isinstance(heads, str) else heads
    return Built(network, (about["mean"], about["std"]), _new_head(heads, data.classes))


def _transformers(package: Any, name: str, options: dict[str, Any], data: Data) -> Built:
    """Build a network whose weights are read from safetensors; no code of its repository is run."""
    network, loaded = _auto_class(package, data).from_pretrained(
        name,
        num_labels=data.classes,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        use_safetensors=True,
        trust_remote_code=False,
        **options,
    )
    # missing are names, mismatched are (name, shape in the file, shape in the model)
    new = {*loaded["missing_keys"], *(name for name, *_ in loaded["mismatched_keys"])}
    statistics = _processor_statistics(package, name) if data.images else None
    return Built(network, statistics, _new_head(sorted(new), data.classes))


def _processor_statistics(
    package: Any, name: str
) -> tuple[Sequence[float], Sequence[float]] | None:
    """Return the mean and deviation of the image processor that is saved with a model, if any."""
    try:
        processor = package.AutoImageProcessor.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError):  # for lack of a preprocessor_config.json
        return None
    if not getattr(processor, "do_normalize", True):
        return (0.0,), (1.0,)
    return processor.image_mean, processor.image_std


def call_transformers(network: nn.Module, x: Tensor, *, padding: int) -> Any:
    """Call a network of transformers on pixels, or on token ids with a mask of the padding."""
    if x.dim() == 4:
        return network(pixel_values=x)
    return network(input_ids=x, attention_mask=(x != padding).long())


def keep(network: Any, text: str, kind: str, folder: Path) -> None:
    """Write the configuration and the tokenizer of `hf:NAME` to a folder, for `kept`."""
    network.config.save_pretrained(folder)
    if kind != "images":
        tokenizer(text).save_pretrained(folder)


def kept(folder: Path, data: Data) -> tuple[nn.Module, Callable[..., Any]]:
    """Return the network of a folder that `keep` wrote, with random weights, and its caller.

    Raises UsageError with the message of transformers, which may not be installed.
    """
    text = f"hf:{folder}"
    package = require("hf", text)
    with told(f"--model {text}"):
        config = package.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        network: nn.Module = _auto_class(package, data).from_config(config, trust_remote_code=False)
    return network, caller(text, data)


def _auto_class(package: Any, data: Data) -> Any:
    """Return the class of transformers that makes networks for inputs like the data's."""
    kind = "Image" if data.images else "Sequence"
    return getattr(package, f"AutoModelFor{kind}Classification")


def encode(texts: Sequence[str], *, tokenizer: Any, options: Mapping[str, int]) -> Array:
    """Return (n, longest) int64 token ids, padded to the longest text."""
    encoded = tokenizer(list(texts), padding=True, truncation=True, return_tensors="np", **options)
    return np.asarray(encoded["input_ids"], np.int64)


def encoder(text: str, max_length: int | None) -> Encode:
    """Return the function from texts to token ids of `hf:NAME`, which cuts them to `max_length`
    tokens, or to the length that the tokenizer knows of."""
    options = {} if max_length is None else {"max_length": max_length}
    return partial(encode, tokenizer=tokenizer(text), options=options)


def tokenizer(text: str) -> Any:
    """Return the tokenizer of `hf:NAME`; raise UsageError without one, or a padding token."""
    package = require("hf", text)
    with told(f"--model {text}: its tokenizer"):
        loaded = package.AutoTokenizer.from_pretrained(
            text.partition(":")[2], trust_remote_code=False
        )
    if loaded.pad_token_id is None:
        raise UsageError(f"--model {text}: its tokenizer has no padding token")
    if getattr(loaded, "model_max_length", 0) >= NO_LIMIT:
        loaded.model_max_length = _positions(package, text) or loaded.model_max_length
    return loaded


def _positions(package: Any, text: str) -> int | None:
    """Return the number of positions that a model has embeddings for, if it says."""
    with told(f"--model {text}: its configuration"):
        config = package.AutoConfig.from_pretrained(text.partition(":")[2], trust_remote_code=False)
    positions: int | None = getattr(config, "max_position_embeddings", None)
    return positions


def caller(text: str, data: Data) -> Callable[..., Any]:
    """Return the function that calls the network of `hf:NAME` on inputs like the data's."""
    # images have no padding: for them, `call_transformers` does not use the number
    padding = -1 if data.images else tokenizer(text).pad_token_id
    return partial(call_transformers, padding=padding)
