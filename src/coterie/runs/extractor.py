"""What makes feature vectors of images, for methods that learn from features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from coterie.data.feeding.augment import Normalisation
from coterie.nn.pretrained import Pretrained


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


# Where a backbone leaves the choice of a size, its images are as large as those of runs on a CPU.
_SIDE = 64


@dataclass(frozen=True)
class BackboneExtractor:
    """A pretrained backbone as it is, on a device."""

    pretrained: Pretrained
    device: torch.device

    def __post_init__(self) -> None:
        self.pretrained.backbone.eval().to(self.device)

    @property
    def channels(self) -> int:
        return self.pretrained.channels

    @property
    def side(self) -> int:
        return self.pretrained.side or _SIDE

    @property
    def network(self) -> nn.Module:
        return self.pretrained.backbone

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Features (n, D) float32 of images (n, C, S, S) uint8."""
        normalisation = Normalisation(self.pretrained.mean, self.pretrained.deviation)
        features: Tensor = self.pretrained.backbone(normalisation.plain(images.to(self.device)))
        return features.float()
