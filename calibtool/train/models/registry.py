"""The table of models, and how a name becomes a network; torch-free until one is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from calibtool.errors import CalibtoolError, UsageError, near
from calibtool.train import grammar
from calibtool.train.data import factory_spec
from calibtool.train.data.dataset import Data, Rows
from calibtool.train.data.text import Texts

if TYPE_CHECKING:
    from torch import nn

ELSEWHERE = ("torchvision", "timm", "hf")


@dataclass(frozen=True)
class Model:
    """A line of the table.

    Attributes:
        home: module of calibtool.train.
        name: of the class in it.
        summary: one line, with the options.
        takes: kinds of inputs; see `Data.kind`.
        options: what the name itself settles.
    """

    home: str
    name: str
    summary: str
    takes: tuple[str, ...] = ("images",)
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def tokens(self) -> bool:
        """Whether it takes token ids, which are no quantities."""
        return "text" in self.takes


NUMBERS = ("features", "images", "tokens")  # whole numbers are numbers too
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
    "resnet50": Model("models.resnet50", "ResNet50", "bottlenecks, for small images: width=64"),
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
    """A network, and how it is called.

    Attributes:
        module: with its own names of weights.
        call: what gives its logits, of the module and a batch.
        tokens: whether whole numbers stay whole.
        own: whether it is not of the table, and knows itself how inputs are standardised.
    """

    module: nn.Module
    call: Callable[..., Any] | None
    tokens: bool
    own: bool


def build(text: str, data: Data) -> Network:
    """The network that `text` names, for inputs and classes like those of the data.

    Raises UsageError for a name that is not known, and where the inputs are of another kind.
    """
    name, options = grammar.parse(text)
    offered = {"shape": data.shape, "classes": data.classes}
    if (line := MODELS.get(name)) is not None:
        require_kind(name, line, data)
        make = getattr(import_module(f"calibtool.train.{line.home}"), line.name)
        module = grammar.call(make, {**dict(line.options), **options}, offered, f"--model {name}")
        return Network(module, None, line.tokens, own=False)
    tokens = data.kind in ("text", "tokens")
    if name.partition(":")[0] in ELSEWHERE:
        from calibtool.train.models.packages import build as build_named

        call = _how_called(name, data) if name.startswith("hf:") else None
        return Network(build_named(name, options, data), call, tokens, own=True)
    if not factory_spec.is_factory(name):
        elsewhere = ", ".join(f"{kind}:NAME" for kind in ELSEWHERE)
        others = f" (or a factory such as mypkg.models:build or net.py:build, or {elsewhere})"
        raise UsageError(f"there is no model {name!r}{near(name, MODELS)}{others}")
    return Network(_of_factory(name, options, offered), None, tokens, own=True)


def require_kind(name: str, line: Model, data: Data) -> None:
    """Whether a model of the table takes inputs of this kind."""
    if data.kind not in line.takes:
        fits = [other for other, one in MODELS.items() if data.kind in one.takes]
        raise UsageError(
            f"--model {name} takes {' or '.join(line.takes)}; {data.source} holds {data.kind} "
            f"of shape {data.shape}: use {', '.join(fits)}, or a model of your own"
        )


def _of_factory(name: str, options: dict[str, Any], offered: dict[str, Any]) -> nn.Module:
    from torch import nn

    make = factory_spec.load(name, "--model")
    try:
        module = grammar.call(make, options, offered, f"--model {name}")
    except CalibtoolError:
        raise
    except Exception as error:
        raise factory_spec.failure(error, f"--model {name}") from error
    if not isinstance(module, nn.Module):
        raise UsageError(f"--model {name}: gives {type(module).__name__}, no torch.nn.Module")
    return module


def _how_called(name: str, data: Data) -> Callable[..., Any]:
    from calibtool.train.models.packages import how_called

    return how_called(name, data)


def tokenized(text: str, data: Data) -> Data:
    """Texts as ids of the model's own tokenizer, where it has one."""
    name, _ = grammar.parse(text)
    if data.kind != "text" or not name.startswith("hf:"):
        return data
    from calibtool.train.models.packages import Tokenized, tokenizer

    own = partial(Tokenized, tokenizer=tokenizer(name))

    def part(rows: Rows) -> Rows:
        assert isinstance(rows.inputs, Texts)
        return replace(rows, inputs=own(rows.inputs))

    return replace(data, parts={name: part(rows) for name, rows in data.parts.items()})
