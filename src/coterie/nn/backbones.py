"""Backbones by name. Each has `.features`, the width of what it returns."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from coterie.errors import unknown
from coterie.nn.convnet import ConvNet
from coterie.nn.resnet import BasicBlock, Bottleneck, ResNet


class Backbone(nn.Module):
    """What every backbone offers: `forward(images) -> (n, features)`."""

    features: int

    def forward(self, images: Tensor) -> Tensor:
        raise NotImplementedError


_BUILDERS: dict[str, Callable[[int, int], nn.Module]] = {
    "convnet-small": lambda channels, side: ConvNet(channels=channels, side=side),
    "resnet18-small": lambda channels, _: ResNet(BasicBlock, (2, 2, 2, 2), channels=channels, small=True),
    "resnet34-small": lambda channels, _: ResNet(BasicBlock, (3, 4, 6, 3), channels=channels, small=True),
    "resnet18": lambda channels, _: ResNet(BasicBlock, (2, 2, 2, 2), channels=channels),
    "resnet34": lambda channels, _: ResNet(BasicBlock, (3, 4, 6, 3), channels=channels),
    "resnet50": lambda channels, _: ResNet(Bottleneck, (3, 4, 6, 3), channels=channels),
}


def build_backbone(name: str, channels: int, side: int) -> nn.Module:
    """The backbone `name` for images (n, channels, side, side), freshly initialised.

    Raises:
        UsageError: no backbone has that name.
    """
    if name not in _BUILDERS:
        raise unknown("backbone", name, _BUILDERS)
    return _BUILDERS[name](channels, side)


def backbone_names() -> list[str]:
    """The names `build_backbone` knows."""
    return sorted(_BUILDERS)
