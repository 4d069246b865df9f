"""k-means on the features of a pretrained backbone, which stays as it is: nothing is learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from coterie.methods.base import Batch, Method
from coterie.nn.encoder import Encoder


@dataclass(frozen=True)
class KMeansConfig:
    """There is nothing to set."""


class KMeansOnFeatures(Method):
    """The backbone's features, by direction; spherical k-means groups them, as it does every method's embeddings."""

    Config = KMeansConfig
    trains: ClassVar[bool] = False
    train_defaults: ClassVar[Mapping[str, Any]] = {"epochs": 0, "warmup_epochs": 0}

    def __init__(self, config: KMeansConfig, encoder: Encoder, *, n_clusters: int) -> None:  # noqa: ARG002
        super().__init__()
        self.n_clusters = n_clusters
        self.encoder = encoder.requires_grad_(False)

    def losses(self, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        """None."""
        return {}

    def embed(self, images: Tensor) -> Tensor:
        """Normalised features of the backbone."""
        return self.represent(images)[1]

    def represent(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(images)
        return features, F.normalize(features, dim=1)


METHOD = KMeansOnFeatures
