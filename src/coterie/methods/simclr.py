"""SimCLR: contrast between instances (Chen et al., arXiv 2002.05709)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from coterie.losses.contrastive import nt_xent
from coterie.methods.base import Batch, Embedded, Method
from coterie.nn.encoder import Encoder
from coterie.nn.heads import mlp_head


@dataclass(frozen=True)
class SimCLRConfig:
    """Settings of SimCLR.

    Args:
        hidden, projection: widths of the projector.
        temperature: τ of NT-Xent.
        joint_views: encode both views in one forward, see `TargetConfig`.
    """

    hidden: int = 512
    projection: int = 128
    temperature: float = 0.5
    joint_views: bool = True


class SimCLR(Method):
    """Each view finds its other view among all others of the batch; k-means clusters the encoder's features."""

    Config = SimCLRConfig
    train_defaults: ClassVar[Mapping[str, Any]] = {"optimizer": "adam", "learning_rate": 3e-4, "weight_decay": 0.0}

    def __init__(self, config: SimCLRConfig, encoder: Encoder, *, n_clusters: int) -> None:
        super().__init__()
        self.config = config
        self.n_clusters = n_clusters
        self.encoder = encoder
        self.projector = mlp_head(encoder.features, config.hidden, config.projection, batch_norm=False)

    def losses(self, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        features = self.encoder.each(views, joint=self.config.joint_views)
        first, second = (self.projector(view) for view in features)
        return {"contrast": nt_xent(first, second, temperature=self.config.temperature)}

    def embed(self, images: Tensor) -> Tensor:
        """Normalised features of the encoder."""
        return self.represent(images).embeddings

    def represent(self, images: Tensor) -> Embedded:
        features = self.encoder(images)
        return Embedded(F.normalize(features, dim=1), features)


METHOD = SimCLR
