"""Augmentation of images that keeps the label: random flips, crops after padding, and whatever
torchvision.transforms.v2 has, where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from calibtool.errors import UsageError
from calibtool.train import grammar

PADDING = 4  # pixels at 32 x 32, as in He et al. 2016, section 4.2; in proportion at other sizes


def augmentation(names: Sequence[str]) -> Callable[[Tensor], Tensor] | None:
    """Return a function that applies the named augmentations in turn; None without names.

    Raises UsageError for a name or an option that torchvision does not know.
    """
    if not names:
        return None
    steps = [{"flip": flip, "crop": crop}.get(name) or _of_torchvision(name) for name in names]

    def apply(x: Tensor) -> Tensor:
        for step in steps:
            x = step(x)
        return x

    return apply


def _of_torchvision(text: str) -> Callable[[Tensor], Tensor]:
    """Return a transform such as "RandomRotation(degrees=15)", drawn for each image."""
    name, options = grammar.parse(text)
    try:
        v2 = import_module("torchvision.transforms.v2")
        transform = getattr(v2, name)(**options)
    except ImportError as error:
        raise UsageError(f"--augment {text} needs torchvision: pip install torchvision") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"--augment {text}: torchvision.transforms.v2: {error}") from error
    return lambda x: torch.stack([transform(image) for image in x])


def flip(x: Tensor) -> Tensor:
    """Mirror each image of (n, C, H, W) left to right with probability 1/2."""
    # drawn on the CPU here and in `crop`: the same numbers on every device
    mirrored = torch.rand(len(x)).to(x.device) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(3), x)


def crop(x: Tensor) -> Tensor:
    """Pad each image of (n, C, H, W) with zeros, and cut it out at a random place."""
    n, _, height, width = x.shape
    pad = max(1, round(PADDING * height / 32))
    padded = F.pad(x, (pad, pad, pad, pad))
    top, left = (torch.randint(0, 2 * pad + 1, (n, 1)) for _ in range(2))
    rows = (top + torch.arange(height)).to(x.device)
    columns = (left + torch.arange(width)).to(x.device)
    image = torch.arange(n, device=x.device)[:, None, None]
    cropped: Tensor = padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return cropped.permute(0, 3, 1, 2).contiguous()
