"""BYOL: bootstrap your own latent (Grill et al., arXiv 2006.07733)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


@dataclass(frozen=True)
class Step:
    """What both networks make of a batch: online and target projections and predictions (n, d) of each view."""

    online: Sequence[Tensor]
    target: Sequence[Tensor]
    predictions: Sequence[Tensor]
    batch: Batch

    def symmetric(self, loss: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """The mean over view 1→2 and 2→1 of `loss(prediction, target, online)`."""
        first = loss(self.predictions[0], self.target[1], self.online[0])
        return 0.5 * (first + loss(self.predictions[1], self.target[0], self.online[1]))


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
        online, target = self.project(views), self.project_target(views)
        predictions = [self.predictor(self.perturb(z, batch)) for z in online]
        return self.terms(Step(online, target, predictions, batch))

    def terms(self, step: Step) -> dict[str, Tensor]:
        """The losses of a step, each the mean over both directions; methods built on BYOL add theirs."""
        return {"alignment": step.symmetric(lambda prediction, target, _: alignment(prediction, target))}

    def project(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Online projections z of each view, (n, d)."""
        return [self.projector(features) for features in self.encoder.each(views, joint=self.config.joint_views)]

    @torch.no_grad()
    def project_target(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Target projections z' of each view, (n, d), without gradient."""
        encoded = self.target_encoder.each(views, joint=self.config.joint_views)
        return [self.target_projector(features) for features in encoded]

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


METHOD = BYOL
