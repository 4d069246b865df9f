"""ResNets whose weight names match torchvision's, without the classifier (He et al., arXiv 1512.03385)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from coterie.nn.convolution import Conv3x3, pooled


def _shortcut(in_channels: int, channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == channels:
        return None
    return nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with a shortcut."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv3x3(in_channels, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)) + shortcut, inplace=True)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions with a shortcut; the stride lies on the 3×3, as torchvision has it."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Conv3x3(width, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.downsample = _shortcut(in_channels, width * 4, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        return F.relu(self.bn3(self.conv3(x)) + shortcut, inplace=True)


class ResNet(nn.Module):
    """Images (n, C, H, W) to pooled features (n, features).

    Args:
        block: `BasicBlock` or `Bottleneck`.
        depths: blocks in each of the four stages.
        channels: image channels.
        small: a 3×3 stride-1 stem without max-pool, for images of about 32 pixels (the "small" variants).
        width: channels of the first stage's 3×3 convolutions; each further stage has twice as many.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, int, int, int],
        *,
        channels: int = 3,
        small: bool = False,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.features = 8 * width * block.expansion
        stem = Conv3x3(channels, width) if small else nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
        self.conv1, self.bn1 = stem, nn.BatchNorm2d(width)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = self._stages(block, depths, width)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _stages(
        block: type[BasicBlock] | type[Bottleneck], depths: tuple[int, int, int, int], first: int
    ) -> list[nn.Sequential]:
        width_in, stages = first, []
        for stage, depth in enumerate(depths):
            width, stride = first << stage, 1 if stage == 0 else 2
            blocks: list[nn.Module] = []
            for index in range(depth):
                blocks.append(block(width_in, width, stride if index == 0 else 1))
                width_in = width * block.expansion
            stages.append(nn.Sequential(*blocks))
        return stages

    def forward(self, images: Tensor) -> Tensor:
        # Pooling first: the same, with a quarter of the ReLU.
        x = F.relu(self.maxpool(self.bn1(self.conv1(images))), inplace=True)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return pooled(x)
