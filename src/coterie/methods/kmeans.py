"""k-means on features as they are: nothing is learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.methods.base import Method


@dataclass(frozen=True)
class KMeansConfig:
    """There is nothing to set."""


class KMeansOnFeatures(Method):
    """The features, by direction; spherical k-means groups them, as it does every method's embeddings."""

    Config = KMeansConfig
    inputs = "features"
    train_defaults: ClassVar[Mapping[str, Any]] = {"epochs": 0, "warmup_epochs": 0}
    width: Tensor

    def __init__(self, config: KMeansConfig, features: int, *, n_clusters: int) -> None:  # noqa: ARG002
        super().__init__()
        self.n_clusters = n_clusters
        # All it has to keep: that features of another width are not its own.
        self.register_buffer("width", torch.tensor(features))

    def embed(self, images: Tensor) -> Tensor:
        """The features (n, D), each of unit length."""
        return F.normalize(images, dim=1)

    def features(self, images: Tensor) -> Tensor:
        """The features (n, D) as they are."""
        return images


METHOD = KMeansOnFeatures
