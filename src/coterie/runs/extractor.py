"""What makes feature vectors of images, for methods that learn from features."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn


class Extractor(Protocol):
    """A frozen network: a finished run's model, or a pretrained backbone."""

    @property
    def channels(self) -> int:
        """Of the images it takes."""
        ...

    @property
    def side(self) -> int:
        """Of the images it takes, in pixels."""
        ...

    @property
    def network(self) -> nn.Module:
        """What makes the features of pixels, for whoever traces it."""
        ...

    def features(self, images: Tensor) -> Tensor:
        """Features (n, D) float32 of images (n, C, S, S) uint8, on the extractor's device."""
        ...
