"""BYOL: bootstrap your own latent (Grill et al., arXiv 2006.07733)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.losses.alignment import alignment
from coterie.methods.base import Batch, Method
from coterie.nn.ema import target_of, update
from coterie.nn.encoder import Encoder
from coterie.nn.heads import mlp_head, start_small
from coterie.schedule import Progress, rising_momentum


@dataclass(frozen=True)
class BYOLConfig:
    """Settings of BYOL.

    Args:
        hidden: width of the hidden layer of projector and predictor.
        projection: width of the projection.
        momentum: of the target network.
        momentum_rises: let it rise to 1 by half a cosine.
        predictor_rate: the predictor's learning rate as a multiple of the rest's.
        joint_views: encode both views in one forward, which is faster; the encoder's batch norms then take their
            statistics over both. False gives each view a forward of its own. Heads always see one view at a time.
    """

    hidden: int = 4096
    projection: int = 256
    momentum: float = 0.996
    momentum_rises: bool = True
    predictor_rate: float = 10.0
    joint_views: bool = True


class BYOL(Method):
    """Predict the target network's projection of one view from the online network's projection of the other."""

    Config = BYOLConfig

    def __init__(self, config: BYOLConfig, encoder: Encoder, *, n_clusters: int) -> None:
        super().__init__()
        self.config = config
        self.n_clusters = n_clusters
        self.encoder = encoder
        self.projector = mlp_head(encoder.features, config.hidden, config.projection)
        self.predictor = mlp_head(config.projection, config.hidden, config.projection)
        start_small(self.predictor)
        self.target_encoder = target_of(self.encoder)
        self.target_projector = target_of(self.projector)

    def losses(self, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        online = self.project(views)
        target = self.project_target(views)
        return {"alignment": self.alignment(online, target, batch)}

    def project(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Online projections z of each view, (n, d)."""
        return [self.projector(features) for features in self._encode(self.encoder, views)]

    @torch.no_grad()
    def project_target(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Target projections z' of each view, (n, d), without gradient."""
        return [self.target_projector(features) for features in self._encode(self.target_encoder, views)]

    def alignment(self, online: Sequence[Tensor], target: Sequence[Tensor], batch: Batch) -> Tensor:
        """The symmetric alignment loss: the mean of both directions."""
        first, second = (self.predictor(self.perturb(z, batch)) for z in online)
        return 0.5 * (alignment(first, target[1]) + alignment(second, target[0]))

    def perturb(self, projection: Tensor, batch: Batch) -> Tensor:  # noqa: ARG002
        """What the predictor sees of a projection; BYOL leaves it as it is."""
        return projection

    def embed(self, images: Tensor) -> Tensor:
        """Normalised target projections ẑ'."""
        return F.normalize(self.target_projector(self.target_encoder(images)), dim=1)

    def after_step(self, progress: Progress) -> None:
        momentum = self.config.momentum
        if self.config.momentum_rises:
            momentum = rising_momentum(progress, momentum)
        update(self.target_encoder, self.encoder, momentum)
        update(self.target_projector, self.projector, momentum)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [
            {"params": [*self.encoder.parameters(), *self.projector.parameters()], "rate": 1.0},
            {"params": list(self.predictor.parameters()), "rate": self.config.predictor_rate},
        ]

    def _encode(self, encoder: Encoder, views: Sequence[Tensor]) -> Sequence[Tensor]:
        if self.config.joint_views:
            return encoder(torch.cat(list(views))).chunk(len(views))  # type: ignore[no-any-return]
        return [encoder(view) for view in views]


METHOD = BYOL
