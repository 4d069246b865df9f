"""A backbone in the precision and memory layout its device is fastest in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """Runs a backbone under autocast; heads and losses, outside, stay in the parameters' own precision.

    Args:
        backbone: images (n, C, H, W) to features (n, features); has the attribute `features`.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.features = cast(int, backbone.features)
        self.autocast_dtype: torch.dtype | None = None
        self.channels_last = False

    def speed_up(self, *, autocast_dtype: torch.dtype | None, channels_last: bool) -> None:
        """Choose what `coterie.train.runtime` found the device to profit from."""
        self.autocast_dtype, self.channels_last = autocast_dtype, channels_last
        if channels_last:
            # Only weights of four dimensions have such a layout; the call passes over the others.
            self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def each(self, views: Sequence[Tensor], *, joint: bool) -> Sequence[Tensor]:
        """Features of several views (n, C, H, W), in one forward if `joint`: faster, with joint batch statistics."""
        return self(torch.cat(list(views))).chunk(len(views)) if joint else [self(view) for view in views]

    def forward(self, images: Tensor) -> Tensor:
        if self.channels_last and images.ndim == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        if self.autocast_dtype is None:
            return cast(Tensor, self.backbone(images))
        with torch.autocast(images.device.type, dtype=self.autocast_dtype):
            return cast(Tensor, self.backbone(images)).float()
