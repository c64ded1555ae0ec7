"""The registry of models, and how a name becomes a network; torch-free until one is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from calibtool.errors import UsageError, near
from calibtool.train import grammar
from calibtool.train.data import factory_spec
from calibtool.train.data.dataset import Data, Rows
from calibtool.train.data.text import Encoded, Texts

if TYPE_CHECKING:
    from torch import nn

ELSEWHERE = ("torchvision", "timm", "hf")


@dataclass(frozen=True)
class Model:
    """The entry of a model.

    Attributes:
        home: module below calibtool.train.
        name: name of the class in it.
        summary: one line, with the options and their defaults.
        takes: kinds of inputs it accepts; see `Data.kind`.
        options: options that the name implies.
    """

    home: str
    name: str
    summary: str
    takes: tuple[str, ...] = ("images",)
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def tokens(self) -> bool:
        """Whether inputs are token ids, which must not be standardised."""
        return "text" in self.takes


NUMBERS = ("features", "images", "tokens")  # whole numbers may be counts, so they count as numbers
MODELS: dict[str, Model] = {
    "linear": Model("models.mlp", "Linear", "logistic regression", NUMBERS),
    "mlp": Model("models.mlp", "MLP", "hidden=256, layers=2, dropout=0", NUMBERS),
    **{
        f"resnet{depth}": Model(
            "models.resnet",
            "ResNet",
            "He et al. 2016, for small images: width=1",
            options=(("depth", depth),),
        )
        for depth in (20, 32, 110)
    },
    "resnet50": Model(
        "models.bottleneck", "BottleneckResNet", "bottlenecks, for small images: width=64"
    ),
    "resnet110-mukhoti2020": Model(
        "models.bottleneck",
        "BottleneckResNet",
        "their ResNet-110, of bottlenecks: width=64",
        options=(("blocks", (3, 4, 26, 3)),),
    ),
    "wrn-26-10": Model(
        "models.resnet",
        "ResNet",
        "Zagoruyko & Komodakis 2016: depth=26, width=10",
        options=(("depth", 26), ("width", 10), ("project", True)),
    ),
    "text-bag": Model(
        "models.text",
        "TextBag",
        "mean of embedded tokens: buckets=32768, width=64, dropout=0",
        ("text", "tokens"),
    ),
}


@dataclass(frozen=True, eq=False)
class Network:
    """A network, and how to call it.

    Attributes:
        module: the network, whose weights keep their own names.
        call: function of the module and a batch that returns logits; None to call the module.
        tokens: whether inputs stay whole numbers.
        external: whether it is the user's own; "auto" then does not standardise.
        statistics: mean and deviation per channel of images that its weights expect, if known.
        notes: sentences for the reader of the report.
    """

    module: nn.Module
    call: Callable[..., Any] | None
    tokens: bool
    external: bool
    statistics: tuple[Sequence[float], Sequence[float]] | None = None
    notes: tuple[str, ...] = ()


def build(text: str, data: Data) -> Network:
    """Return the network that `text` names, for the shape and classes of the data.

    Raises UsageError for an unknown name or option, and if the inputs are of another kind.
    """
    name, options = grammar.parse(text)
    offered = {"shape": data.shape, "classes": data.classes}
    if (model := MODELS.get(name)) is not None:
        require_kind(name, model, data)
        make = getattr(import_module(f"calibtool.train.{model.home}"), model.name)
        module = grammar.call(make, {**dict(model.options), **options}, offered, f"--model {name}")
        return Network(module, None, model.tokens, external=False)
    tokens = data.kind in ("text", "tokens")
    if name.partition(":")[0] in ELSEWHERE:
        from calibtool.train.models import packages

        call = packages.caller(name, data) if name.startswith("hf:") else None
        module, statistics, notes = packages.build(name, options, data)
        return Network(module, call, tokens, external=False, statistics=statistics, notes=notes)
    if not factory_spec.is_factory(name):
        elsewhere = ", ".join(f"{kind}:NAME" for kind in ELSEWHERE)
        others = f" (or a factory such as mypkg.models:build or net.py:build, or {elsewhere})"
        raise UsageError(f"there is no model {name!r}{near(name, MODELS)}{others}")
    return Network(_of_factory(name, options, offered), None, tokens, external=True)


def require_kind(name: str, model: Model, data: Data) -> None:
    """Check that a model of the registry accepts inputs of this kind."""
    if data.kind not in model.takes:
        fitting = [other for other, entry in MODELS.items() if data.kind in entry.takes]
        raise UsageError(
            f"--model {name} takes {' or '.join(model.takes)}; {data.source} holds {data.kind} "
            f"of shape {data.shape}: use {', '.join(fitting)}, or a model of your own"
        )


def _of_factory(name: str, options: dict[str, Any], offered: dict[str, Any]) -> nn.Module:
    from torch import nn

    make = factory_spec.load(name, "--model")
    with factory_spec.told(f"--model {name}"):
        module = grammar.call(make, options, offered, f"--model {name}")
    if not isinstance(module, nn.Module):
        raise UsageError(f"--model {name}: returns {type(module).__name__}, not a torch.nn.Module")
    return module


def tokenized(text: str, data: Data, max_length: int | None = None) -> Data:
    """Return the data with texts tokenized by the model's own tokenizer, if it has one.

    Raises UsageError for a `max_length` that no tokenizer takes.
    """
    name, _ = grammar.parse(text)
    if data.kind != "text" or not name.startswith("hf:"):
        if max_length is not None:
            raise UsageError(
                f"--max-length is for hf: models of text; --model {name} on {data.kind} of "
                f"{data.source} has no tokenizer"
            )
        return data
    from calibtool.train.models.packages import encoder

    encode = encoder(name, max_length)

    def tokenized_rows(rows: Rows) -> Rows:
        assert isinstance(rows.inputs, Texts)
        return replace(rows, inputs=Encoded(rows.inputs.texts, encode))

    return replace(data, parts={part: tokenized_rows(rows) for part, rows in data.parts.items()})
