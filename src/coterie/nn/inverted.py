"""Inverted residuals, of which networks for phones are made (Sandler et al., arXiv 1801.04381, section 3.3)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class SameConvolution(nn.Conv2d):
    """A convolution that pads as TensorFlow's "SAME" does: ⌈size/stride⌉ places, and the odd zero comes last.

    With stride 2 an image of even size is padded on the right and below alone, which no `padding` of torch can say.
    """

    def forward(self, input: Tensor) -> Tensor:
        (top, bottom), (left, right) = (
            _same(size, kernel, stride)
            for size, kernel, stride in zip(input.shape[-2:], self.kernel_size, self.stride, strict=True)
        )
        return super().forward(F.pad(input, (left, right, top, bottom)))


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after `size` places."""
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


class ConvNorm(nn.Module):
    """Convolution · batch norm, and ReLU6 if `activated`.

    Args:
        in_channels, channels: before and after.
        kernel: its side.
        stride: of the convolution.
        groups: of channels that see only each other.
        same: pad as TensorFlow, see `SameConvolution`; by half the kernel otherwise.
    """

    def __init__(
        self, in_channels: int, channels: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, same: bool = False
    ) -> None:
        super().__init__()
        uneven = same and stride > 1
        kind, padding = (SameConvolution, 0) if uneven else (nn.Conv2d, kernel // 2)
        self.convolution = kind(
            in_channels, channels, kernel, stride=stride, padding=padding, groups=groups, bias=False
        )
        # 1e-3 is TensorFlow's, 1e-5 torch's: weights hold for the one they were learnt with.
        self.norm: nn.Module = nn.BatchNorm2d(channels, eps=1e-3 if same else 1e-5)
        self.activated = True
        nn.init.kaiming_normal_(self.convolution.weight, mode="fan_out")

    def linear(self) -> ConvNorm:
        """Itself, without the activation."""
        self.activated = False
        return self

    def forward(self, images: Tensor) -> Tensor:
        images = self.norm(self.convolution(images))
        return F.relu6(images, inplace=True) if self.activated else images


class InvertedResidual(nn.Module):
    """Widen by a 1×1 convolution, look by one of each channel alone, narrow again; a shortcut where shapes allow it.

    Args:
        in_channels, channels: before and after.
        expansion: how many times as wide it is inside; at 1 the widening is left out.
        kernel: side of the convolution that looks.
        stride: of the same.
        same: pad as TensorFlow, see `SameConvolution`.
    """

    def __init__(
        self, in_channels: int, channels: int, *, expansion: int, kernel: int = 3, stride: int = 1, same: bool = False
    ) -> None:
        super().__init__()
        inside = in_channels * expansion
        self.shortcut = stride == 1 and in_channels == channels
        self.expand = nn.Identity() if expansion == 1 else ConvNorm(in_channels, inside, same=same)
        self.depthwise = ConvNorm(inside, inside, kernel, stride=stride, groups=inside, same=same)
        self.project = ConvNorm(inside, channels, same=same).linear()

    def forward(self, images: Tensor) -> Tensor:
        seen: Tensor = self.project(self.depthwise(self.expand(images)))
        return images + seen if self.shortcut else seen


def rounded(width: float) -> int:
    """The multiple of 8 nearest to a number of channels, but no less than nine tenths of it."""
    near = max(8, int(width + 4) // 8 * 8)
    return near + 8 if near < 0.9 * width else near
