"""Backbones by name. Each has `.features`, the width of what it returns."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from coterie.errors import unknown
from coterie.nn.convnet import ConvNet
from coterie.nn.efficientnet_lite import EfficientNetLite
from coterie.nn.mobilenet import MobileNetV2
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

# Networks that come with weights, see `coterie.nn.pretrained`: they learn slowly from nothing, and are not offered so.
_MOBILE: dict[str, Callable[[int, float], nn.Module]] = {
    "mobilenetv2": lambda channels, width: MobileNetV2(channels=channels, width=width),
    "efficientnet-lite0": lambda channels, width: EfficientNetLite(channels=channels, width=width),
    "efficientnet-lite1": lambda channels, width: EfficientNetLite(channels=channels, width=width, depth=1.1),
    "efficientnet-lite2": lambda channels, width: EfficientNetLite(channels=channels, width=1.1 * width, depth=1.2),
}


def build_backbone(name: str, channels: int, side: int, *, width: float = 1.0) -> nn.Module:
    """The backbone `name` for images (n, channels, side, side), freshly initialised.

    Args:
        width: multiple of the usual numbers of channels, for those whose layers scale; the others have but one width.

    Raises:
        UsageError: no backbone has that name.
    """
    if name in _MOBILE:
        return _MOBILE[name](channels, width)
    if name not in _BUILDERS:
        raise unknown("backbone", name, [*_BUILDERS, *_MOBILE])
    return _BUILDERS[name](channels, side)


def backbone_names() -> list[str]:
    """The names `build_backbone` knows of networks that are trained from nothing."""
    return sorted(_BUILDERS)
