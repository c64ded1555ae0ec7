"""Augmentation that keeps the label: images flipped, and shifted by a crop with padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

PADDING = 4  # pixels at 32 x 32, and in proportion elsewhere


def augmentation(names: Sequence[str]) -> Callable[[Tensor], Tensor] | None:
    """The augmentations in turn, or None."""
    if not names:
        return None
    steps = [{"flip": flip, "crop": crop}[name] for name in names]

    def apply(x: Tensor) -> Tensor:
        for step in steps:
            x = step(x)
        return x

    return apply


def flip(x: Tensor) -> Tensor:
    """Each image of (n, C, H, W) mirrored left to right, by the toss of a coin."""
    toss = torch.rand(len(x)).to(x.device) < 0.5
    return torch.where(toss[:, None, None, None], x.flip(3), x)


def crop(x: Tensor) -> Tensor:
    """Each image of (n, C, H, W) padded with zeros and cut out again at a random place."""
    n, _, height, width = x.shape
    pad = max(1, round(PADDING * height / 32))
    padded = F.pad(x, (pad, pad, pad, pad))
    top, left = (torch.randint(0, 2 * pad + 1, (n, 1)) for _ in range(2))
    rows = (top + torch.arange(height)).to(x.device)
    columns = (left + torch.arange(width)).to(x.device)
    image = torch.arange(n, device=x.device)[:, None, None]
    found: Tensor = padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return found.permute(0, 3, 1, 2).contiguous()
