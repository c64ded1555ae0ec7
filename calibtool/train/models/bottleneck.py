"""ResNets of bottleneck blocks for small images, as Mukhoti et al. 2020 trained them on CIFAR.

The blocks are those of He et al. 2016, table 1, after a 3 x 3 stem without pooling. Their
ResNet-110 has 3, 4, 26 and 3 of them (Net/resnet.py in github.com/torrvision/focal_calibration):
45.9 million parameters with 10 classes. `resnet110`, of He et al. 2016, section 4.2, has 1.7.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from calibtool.train.models.resnet import ResidualNetwork, projection

BLOCKS = (3, 4, 6, 3)  # per stage; He et al. 2016, table 1
EXPANSION = 4  # channels after a block, as a multiple of those inside


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions with a shortcut around them."""

    def __init__(self, before: int, inside: int, stride: int) -> None:
        super().__init__()
        after = EXPANSION * inside
        self.conv1 = nn.Conv2d(before, inside, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(inside)
        self.conv2 = nn.Conv2d(inside, inside, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(inside)
        self.conv3 = nn.Conv2d(inside, after, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(after)
        same = stride == 1 and before == after
        self.shortcut = nn.Identity() if same else projection(before, after, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        return F.relu(self.norm3(self.conv3(y)) + self.shortcut(x))


class BottleneckResNet(ResidualNetwork):
    """`blocks` per stage, with `width` channels inside those of the first."""

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        classes: int,
        width: int = 64,
        blocks: tuple[int, ...] = BLOCKS,
    ) -> None:
        def block(stage: int, before: int, stride: int) -> tuple[nn.Module, int]:
            inside = width << stage
            return Bottleneck(before, inside, stride), EXPANSION * inside

        super().__init__(shape, classes, width, blocks, block)
