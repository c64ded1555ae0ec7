"""ResNets for small images; He et al. 2016, section 4.2, and Zagoruyko & Komodakis 2016.

Three stages of n blocks with 16, 32 and 64 times `width` channels, at full, half and quarter
resolution; depth = 6 n + 2. resnet20 has depth 20 and width 1, wrn-26-10 depth 26 and width 10.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from calibtool.errors import UsageError


class Block(nn.Module):
    """Two 3 x 3 convolutions with a shortcut around them."""

    def __init__(self, before: int, after: int, stride: int, *, project: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.stride, self.added = stride, after - before
        self.project = projection(before, after, stride) if project and self.added else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return F.relu(y + self._shortcut(x))

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.project is not None:
            projected: Tensor = self.project(x)
            return projected
        if self.added == 0:
            return x
        # option A of He et al. 2016: every second pixel, and channels of zeros; no parameters
        strided = x[:, :, :: self.stride, :: self.stride]
        return F.pad(strided, (0, 0, 0, 0, 0, self.added))


def projection(before: int, after: int, stride: int) -> nn.Module:
    """Return a 1 x 1 convolution, for blocks that change the number of channels."""
    return nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))


class ResidualNetwork(nn.Module):
    """A 3 x 3 stem of `channels`, residual blocks, the mean over all positions, and a linear head.

    The weights are those of He et al. 2015, eq. 10. `make` makes a block of a stage from the
    channels before it and its stride, and returns it with the channels after it; the order in which
    modules are created decides the initial weights of a seed.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        channels: int,
        blocks: Sequence[int],
        make: Callable[[int, int, int], tuple[nn.Module, int]],
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(shape[0], channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        modules: list[nn.Module] = []
        for stage, count in enumerate(blocks):
            for index in range(count):
                block, channels = make(stage, channels, 2 if stage and not index else 1)
                modules.append(block)
        self.blocks = nn.Sequential(*modules)
        self.head = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, classes) logits of (n, C, H, W) images."""
        y = self.blocks(F.relu(self.norm(self.conv(x))))
        logits: Tensor = self.head(y.mean(dim=(2, 3)))
        return logits


class ResNet(ResidualNetwork):
    """ResNet of depth 6 n + 2; with `project`, shortcuts are learned, as in wide ResNets."""

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        classes: int,
        depth: int = 20,
        width: int = 1,
        project: bool = False,
    ) -> None:
        if depth < 8 or (depth - 2) % 6:
            raise UsageError(
                f"--model resnet: depth must be 6 n + 2, such as 20 or 32, not {depth}"
            )

        def block(stage: int, before: int, stride: int) -> tuple[nn.Module, int]:
            after = 16 * width << stage
            return Block(before, after, stride, project=project), after

        super().__init__(shape, classes, 16, 3 * [(depth - 2) // 6], block)
