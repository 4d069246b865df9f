"""SimSiam: siamese networks that stop the gradient (Chen and He, arXiv 2011.10566)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from coterie.losses.alignment import alignment
from coterie.methods.base import Batch, Embedded, Method
from coterie.nn.encoder import Encoder
from coterie.nn.heads import mlp_head, normalised_head


@dataclass(frozen=True)
class SimSiamConfig:
    """Settings of SimSiam.

    Args:
        projection: width of the projector.
        layers: of the projector: 2 for small images, 3 for ImageNet.
        hidden: width of the predictor's hidden layer.
        joint_views: encode both views in one forward, see `TargetConfig`.
    """

    projection: int = 2048
    layers: int = 2
    hidden: int = 512
    joint_views: bool = True


class SimSiam(Method):
    """Predict one view's projection from the other's, with neither negatives nor a target network."""

    Config = SimSiamConfig

    def __init__(self, config: SimSiamConfig, encoder: Encoder, *, n_clusters: int) -> None:
        super().__init__()
        self.config = config
        self.n_clusters = n_clusters
        self.encoder = encoder
        self.projector = normalised_head(encoder.features, config.projection, layers=config.layers)
        self.predictor = mlp_head(config.projection, config.hidden, config.projection)

    def losses(self, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        features = self.encoder.each(views, joint=self.config.joint_views)
        z1, z2 = (self.projector(view) for view in features)
        # −½[cos(p1, sg z2) + cos(p2, sg z1)] is a quarter of the two alignment losses.
        return {"alignment": 0.25 * (alignment(self.predictor(z1), z2) + alignment(self.predictor(z2), z1))}

    def embed(self, images: Tensor) -> Tensor:
        """Normalised features of the encoder."""
        return self.represent(images).embeddings

    def represent(self, images: Tensor) -> Embedded:
        features = self.encoder(images)
        return Embedded(F.normalize(features, dim=1), features)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The predictor's learning rate stays constant (section 4.2)."""
        return [
            {"params": [*self.encoder.parameters(), *self.projector.parameters()], "rate": 1.0},
            {"params": list(self.predictor.parameters()), "rate": 1.0, "constant": True},
        ]


METHOD = SimSiam
