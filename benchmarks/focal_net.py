"""A small convolutional network for images of 28 by 28 pixels: `--model focal_net.py:conv`."""

from __future__ import annotations

from torch import nn


def conv(*, shape: tuple[int, ...], classes: int) -> nn.Module:
    """Two convolutions of 5 by 5, each halved by its largest values, and a linear head."""
    network = nn.Sequential()
    network.add_module("conv1", nn.Conv2d(shape[0], 8, 5, padding=2))
    network.add_module("relu1", nn.ReLU())
    network.add_module("pool1", nn.MaxPool2d(2))
    network.add_module("conv2", nn.Conv2d(8, 16, 5, padding=2))
    network.add_module("relu2", nn.ReLU())
    network.add_module("pool2", nn.MaxPool2d(2))
    network.add_module("flat", nn.Flatten())
    network.add_module("hidden", nn.Linear(16 * (shape[1] // 4) * (shape[2] // 4), 64))
    network.add_module("relu3", nn.ReLU())
    network.add_module("head", nn.Linear(64, classes))
    return network
