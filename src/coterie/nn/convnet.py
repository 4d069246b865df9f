"""`convnet-small`: plain 3×3 convolutions for small images and laptop cores."""

from __future__ import annotations

from torch import Tensor, nn

from coterie.nn.convolution import Conv3x3, pooled

# Widths of the convolutions between poolings. The last stage is followed by global pooling.
_TINY = ((32, 32), (64, 64, 128))
_LITTLE = ((32,), (64, 64), (128, 128))
_SMALL = ((32,), (64, 64), (128, 128), (256, 256))


class ConvNet(nn.Module):
    """Images (n, C, H, W) to pooled features (n, features).

    Every stage is convolution · batch norm · ReLU for each of its widths; stages are parted by 2×2 max pooling, which
    comes before the ReLU: after it there is a quarter to do, and the result is the same.
    Sides up to 16 pixels get five convolutions of up to 128 channels, from 12 pixels with a pooling more, so that a
    feature sees most of the image; larger ones seven of up to 256. Sides from 64
    pixels start with a stride-2 convolution, from 128 with two, so that the cost stays within reach of a few cores.

    Args:
        channels: image channels.
        side: the images' side in pixels, which decides the depth.
    """

    def __init__(self, *, channels: int, side: int) -> None:
        super().__init__()
        stages = _TINY if side < 12 else _LITTLE if side <= 16 else _SMALL
        layers: list[nn.Module] = []
        width_in = channels
        strides = 0 if side < 64 else 1 if side < 128 else 2
        for index, stage in enumerate(stages, start=1):
            for place, width in enumerate(stage, start=1):
                layers += _convolution(width_in, width, 2 if strides > 0 else 1)
                if place == len(stage) and index < len(stages):
                    layers.append(nn.MaxPool2d(2))
                layers.append(nn.ReLU(inplace=True))
                strides -= 1
                width_in = width
        self.layers = nn.Sequential(*layers)
        self.features = width_in

    def forward(self, images: Tensor) -> Tensor:
        return pooled(self.layers(images))


def _convolution(in_channels: int, channels: int, stride: int) -> list[nn.Module]:
    convolution = Conv3x3(in_channels, channels, stride)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return [convolution, nn.BatchNorm2d(channels)]
