"""The table of models, and how a name becomes a network."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from calibtool.errors import UsageError
from calibtool.train import grammar
from calibtool.train.rows import Data
from calibtool.train.settings import Settings
from calibtool.train.split import Splits

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from calibtool.train.feed import Prepared

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # what torchvision's weights expect


@dataclass(frozen=True)
class Model:
    """A line of the table.

    Attributes:
        home: module of calibtool.train.
        name: of the function or class in it.
        summary: one line.
        images: whether it needs images.
        standardised: whether its inputs are, by default.
        options: what the name itself settles.
    """

    home: str
    name: str
    summary: str
    images: bool = False
    standardised: bool = True
    options: tuple[tuple[str, Any], ...] = ()


MODELS: dict[str, Model] = {
    "linear": Model("model_mlp", "Linear", "logistic regression on features or pixels"),
    "mlp": Model("model_mlp", "MLP", "two hidden layers of 256: hidden, layers, dropout"),
}


def build(text: str, data: Data) -> nn.Module:
    """The network that `text` names, for inputs and classes like those of the data."""
    name, options = grammar.parse(text)
    offered = {"shape": data.shape, "classes": data.classes}
    line = MODELS.get(name)
    if line is None:
        import difflib

        close = difflib.get_close_matches(name, MODELS, n=2, cutoff=0.5)
        advice = (
            f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(MODELS)}"
        )
        raise UsageError(f"--model {name!r}: there is no such model; {advice}")
    if line.images and not data.images:
        raise UsageError(
            f"--model {name} needs images, {data.source} has inputs of shape {data.shape}; "
            "use mlp or linear"
        )
    function = getattr(import_module(f"calibtool.train.{line.home}"), line.name)
    network: nn.Module = grammar.call(
        function, {**dict(line.options), **options}, offered, f"--model {name}"
    )
    return network


def standardisation(
    settings: Settings, data: Data, parts: Splits
) -> tuple[Tensor | None, Tensor | None]:
    """Mean and deviation that inputs are standardised by, or None and None.

    "train": those of the training rows, a channel or a column. "auto" is "train" for the models of
    the table and "none" for all others, which know what they were trained on.
    """
    import torch

    from calibtool.train.feed import moments

    how = settings.normalize
    if how == "auto":
        line = MODELS.get(grammar.parse(settings.model)[0])
        how = "train" if line and line.standardised else "none"
    if how == "none":
        return None, None
    if how == "train":
        return moments(parts.train, images=data.images, seed=settings.seed)
    given = IMAGENET if how == "imagenet" else _given(how)
    if not data.images or data.shape[0] != len(given[0]):
        raise UsageError(
            f"--normalize {how}: is for images of {len(given[0])} channels, inputs of "
            f"{data.source} have shape {data.shape}"
        )
    mean, deviation = (torch.tensor(values).reshape(-1, 1, 1) for values in given)
    return mean, deviation


def _given(how: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    try:
        mean, deviation = (tuple(map(float, part.split(","))) for part in how.split("/"))
        assert len(mean) == len(deviation)
        assert min(deviation) > 0
    except (ValueError, AssertionError) as error:
        raise UsageError(
            f"--normalize {how!r}: give none, train, imagenet, or a mean and a deviation a "
            "channel, such as 0.5,0.5,0.5/0.25,0.25,0.25"
        ) from error
    return mean, deviation


def require_fit(model: Prepared, data: Data, parts: Splits, device: torch.device) -> None:
    """Whether the network takes the data's inputs and gives a logit a class: two rows tell."""
    import numpy as np
    import torch

    from calibtool.train.feed import Feed

    x, _ = Feed(parts.train.take(np.arange(2)), device).batch(np.arange(2))
    model.eval()
    try:
        with torch.no_grad():
            logits = model(x)
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
        first = str(error).strip().split("\n", 1)[0]
        raise UsageError(
            f"the model cannot take inputs of {data.source}, of shape {tuple(x.shape[1:])}: {first}"
        ) from error
    if logits.shape != (2, data.classes):
        raise UsageError(
            f"the model gives {tuple(logits.shape)[1:]} values a row, {data.source} has "
            f"{data.classes} classes; it must give one logit a class"
        )
