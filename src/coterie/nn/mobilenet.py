"""MobileNetV2 (Sandler et al., arXiv 1801.04381, table 2), without the classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coterie.nn.inverted import ConvNorm, InvertedResidual, rounded

# Expansion, channels, blocks, and the stride of the first.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_STEM, _HEAD = 32, 1280


class MobileNetV2(nn.Module):
    """Images (n, C, H, W) to pooled features (n, features), 1280 of them up to width 1.

    Args:
        channels: image channels.
        width: multiple of the channels of every layer; the last is never narrowed.
    """

    def __init__(self, *, channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        inside = rounded(_STEM * width)
        self.stem = ConvNorm(channels, inside, 3, stride=2)
        blocks = []
        for expansion, base, count, first in _STAGES:
            for index in range(count):
                stride, wide = first if index == 0 else 1, rounded(base * width)
                blocks.append(InvertedResidual(inside, wide, expansion=expansion, stride=stride))
                inside = wide
        self.blocks = nn.Sequential(*blocks)
        self.features = rounded(_HEAD * max(1.0, width))
        self.head = ConvNorm(inside, self.features)

    def forward(self, images: Tensor) -> Tensor:
        seen = self.head(self.blocks(self.stem(images)))
        return torch.flatten(F.adaptive_avg_pool2d(seen, 1), 1)
