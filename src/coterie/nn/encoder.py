"""A backbone in the precision and memory layout its device is fastest in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from coterie.nn.mixed import Mixed
from coterie.processes import processes


class Encoder(Mixed):
    """Runs a backbone under autocast.

    Args:
        backbone: images (n, C, H, W) to features (n, features); has the attribute `features`.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.features = cast(int, backbone.features)

    def each(self, views: Sequence[Tensor], *, joint: bool) -> Sequence[Tensor]:
        """Features of several views (n, C, H, W), in one forward if `joint`: faster, with joint batch statistics.

        Where processes share a batch, the views are this one's share and the features those of the whole batch.
        """
        features = self(torch.cat(list(views))).chunk(len(views)) if joint else [self(view) for view in views]
        return [processes().gather(view) for view in features]

    def forward(self, images: Tensor) -> Tensor:
        if self.channels_last and images.ndim == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        with self.autocast(images):
            return cast(Tensor, self.backbone(images)).to(next(self.parameters()).dtype)
