"""What methods with a target network share: an online encoder and projector, and their moving averages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coterie.methods.base import Embedded, Method
from coterie.nn.ema import target_of, update
from coterie.nn.encoder import Encoder
from coterie.schedule import Progress, rising_momentum


@dataclass(frozen=True)
class TargetConfig:
    """Settings of an encoder and projector with a target network.

    Args:
        hidden: width of the heads' hidden layers.
        projection: width of the projection.
        momentum: of the target network.
        momentum_rises: let it rise to 1 by half a cosine.
        joint_views: encode both views in one forward, which is faster; the encoder's batch norms then take their
            statistics over both. False gives each view a forward of its own. Heads always see one view at a time.
    """

    hidden: int = 4096
    projection: int = 256
    momentum: float = 0.996
    momentum_rises: bool = True
    joint_views: bool = True


class TargetMethod(Method):
    """An online network f, g and a target network f', g' that follows it: `θ' ← m θ' + (1−m) θ` after each step."""

    def __init__(self, config: TargetConfig, encoder: Encoder, projector: nn.Module, *, n_clusters: int) -> None:
        super().__init__()
        self.config = config
        self.n_clusters = n_clusters
        self.encoder = encoder
        self.projector = projector
        self.target_encoder = target_of(encoder)
        self.target_projector = target_of(projector)

    def project(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Online projections z of each view, (n, d)."""
        return [self.projector(features) for features in self.encoder.each(views, joint=self.config.joint_views)]

    @torch.no_grad()
    def project_target(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Target projections z' of each view, (n, d), without gradient."""
        encoded = self.target_encoder.each(views, joint=self.config.joint_views)
        return [self.target_projector(features) for features in encoded]

    @property
    def embedding_encoder(self) -> Encoder:
        return self.target_encoder

    def embed(self, images: Tensor) -> Tensor:
        """Normalised target projections ẑ'."""
        return self.represent(images).embeddings

    def represent(self, images: Tensor) -> Embedded:
        features = self.target_encoder(images)
        return Embedded(F.normalize(self.target_projector(features), dim=1), features)

    def after_step(self, progress: Progress) -> None:
        momentum = self.config.momentum
        if self.config.momentum_rises:
            momentum = rising_momentum(progress, momentum)
        update(self.target_encoder, self.encoder, momentum)
        update(self.target_projector, self.projector, momentum)
