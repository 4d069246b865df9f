"""3×3 convolutions for training on a CPU, without two weaknesses of torch 2.13 in bfloat16."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

# Pixels of a map up to which the weights' gradient is a product of matrices.
_FEW = 16


class Conv3x3(nn.Conv2d):
    """A 3×3 convolution, padded by one, without a bias.

    Two things differ from torch's own, on a CPU. A stride over a single pixel is not taken, as there is none to take:
    by one, in bfloat16, the gradient of the weights is whatever was in memory. And that gradient, which over maps of
    few pixels takes several times as long as the convolution, is one product there, of what every pixel sees with what
    is told to it: processors with matrix units (AMX) are fast at products. 256 maps of 3×3 pixels and 256 channels, two
    cores: 3.6 ms instead of 38.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, channels, 3, stride=stride, padding=1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        stride = 1 if images.shape[-2:] == (1, 1) else self.stride[0]
        pixels = images.shape[-2] * images.shape[-1] // stride**2
        if pixels <= _FEW and self.weight.requires_grad and torch.is_grad_enabled() and _has_matrix_units(images):
            found: Tensor = _ByProduct.apply(  # type: ignore[no-untyped-call]
                images.bfloat16(), self.weight.bfloat16(), stride
            )
            return found
        return F.conv2d(images, self.weight, self.bias, stride=stride, padding=1)  # One that was folded in has one.


def pooled(maps: Tensor) -> Tensor:
    """The mean over the pixels of maps (n, C, H, W): (n, C).

    Its gradient lies as such maps do on a CPU, the channels innermost; that of torch's own pooling is laid out anew by
    each operation before it.
    """
    return maps.permute(0, 2, 3, 1).flatten(1, 2).mean(dim=1)


def _has_matrix_units(images: Tensor) -> bool:
    """Whether a convolution of images would be one in bfloat16 on a CPU with AMX."""
    if images.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return False
    check = getattr(torch.cpu, "_is_amx_tile_supported", None)  # A private name: an absent one counts as no.
    return torch.get_autocast_dtype("cpu") == torch.bfloat16 and check is not None and bool(check())


class _ByProduct(torch.autograd.Function):
    """Images (n, C, H, W) and weights (O, C, 3, 3) to (n, O, H, W); see `Conv3x3`."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride = stride
        return F.conv2d(images, weight, stride=stride, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        images, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        to_images = None
        if ctx.needs_input_grad[0]:
            to_images = torch.ops.aten.convolution_backward(
                gradient, images, weight, None, [ctx.stride] * 2, [1, 1], [1, 1], False, [0, 0], 1, [True, False, False]
            )[0]
        told = gradient.permute(0, 2, 3, 1).flatten(0, 2)
        to_weight = (told.T @ _seen(images, ctx.stride)).view(-1, 3, 3, images.shape[1]).permute(0, 3, 1, 2)
        return to_images, to_weight, None


def _seen(images: Tensor, stride: int) -> Tensor:
    """What each place of a 3×3 convolution of images (n, C, H, W) sees: (n·H'·W', 9·C), the channels innermost."""
    padded = F.pad(images.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).contiguous()
    n, rows, columns, channels = padded.shape
    image, row, column, channel = padded.stride()
    shape = (n, (rows - 3) // stride + 1, (columns - 3) // stride + 1, 3, 3, channels)
    windows = padded.as_strided(shape, (image, row * stride, column * stride, row, column, channel))
    return windows.reshape(-1, 9 * channels)
