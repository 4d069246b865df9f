"""k-means on features as they are: nothing is learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from coterie.methods._on_features import OnFeatures


@dataclass(frozen=True)
class KMeansConfig:
    """There is nothing to set."""


class KMeansOnFeatures(OnFeatures):
    """The features, by direction; spherical k-means groups them, as it does every method's embeddings."""

    Config = KMeansConfig
    train_defaults: ClassVar[Mapping[str, Any]] = {"epochs": 0, "warmup_epochs": 0}
    width: Tensor

    def __init__(self, config: KMeansConfig, features: int, *, n_clusters: int) -> None:  # noqa: ARG002
        super().__init__()
        self.n_clusters = n_clusters
        # All it has to keep: that features of another width are not its own.
        self.register_buffer("width", torch.tensor(features))


METHOD = KMeansOnFeatures
