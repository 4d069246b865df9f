"""EfficientNet-Lite: EfficientNet (Tan and Le, arXiv 1905.11946, table 1) for phones, without the classifier.

Against EfficientNet it has ReLU6 for swish and no squeeze-and-excitation; stem, head, and the depths of the first and
the last stage are never scaled.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coterie.nn.inverted import ConvNorm, InvertedResidual, rounded

# Expansion, channels, blocks, the stride of the first, and the kernel's side.
_STAGES = (
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
)  # fmt: skip
_STEM, _HEAD = 32, 1280


class EfficientNetLite(nn.Module):
    """Images (n, C, H, W) to pooled features (n, 1280). Pads as TensorFlow does; batch norms have its ε of 10⁻³.

    Args:
        channels: image channels.
        width: multiple of the channels of every stage.
        depth: multiple of the blocks of the stages between the first and the last.
    """

    def __init__(self, *, channels: int = 3, width: float = 1.0, depth: float = 1.0) -> None:
        super().__init__()
        self.stem = ConvNorm(channels, _STEM, 3, stride=2, same=True)
        inside, blocks = _STEM, []
        for stage, (expansion, base, count, first, kernel) in enumerate(_STAGES):
            count = count if stage in (0, len(_STAGES) - 1) else math.ceil(count * depth)
            for index in range(count):
                stride, wide = first if index == 0 else 1, rounded(base * width)
                blocks.append(
                    InvertedResidual(inside, wide, expansion=expansion, kernel=kernel, stride=stride, same=True)
                )
                inside = wide
        self.blocks = nn.Sequential(*blocks)
        self.features = _HEAD
        self.head = ConvNorm(inside, self.features, same=True)

    def forward(self, images: Tensor) -> Tensor:
        seen = self.head(self.blocks(self.stem(images)))
        return torch.flatten(F.adaptive_avg_pool2d(seen, 1), 1)
