"""k-means on features as they are, or whitened by neighbours: no network is learnt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from coterie.cluster.whitening import Whitening, fit_whitening
from coterie.errors import UsageError
from coterie.methods._on_features import OnFeatures, at_least


@dataclass(frozen=True)
class KMeansConfig:
    """Settings of k-means on features.

    Args:
        axes: of the unit features that are kept, as a multiple of the clusters; 0 takes the features as they are.
        whitening: the power of its deviation between neighbours that each direction is divided by, from 0 to 1.
        neighbours: of each image, by cosine.
    """

    axes: float = 1.0
    whitening: float = 1.0
    neighbours: int = 10

    def __post_init__(self) -> None:
        if not 0 <= self.whitening <= 1:
            raise UsageError(f"option 'options.whitening' lies between 0 and 1, got {self.whitening}")
        if not 0 <= self.axes < math.inf:
            raise UsageError(f"option 'options.axes' must not be negative, got {self.axes}")
        at_least(self, neighbours=1)


class KMeansOnFeatures(OnFeatures):
    """The features by direction, along the few axes that groups differ in; spherical k-means groups them."""

    Config = KMeansConfig
    train_defaults: ClassVar[Mapping[str, Any]] = {"epochs": 0, "warmup_epochs": 0}
    center: Tensor
    axes: Tensor

    def __init__(self, config: KMeansConfig, spaces: Sequence[int], *, n_clusters: int) -> None:
        super().__init__(spaces)
        features = sum(spaces)
        self.config = config
        self.n_clusters = n_clusters
        width = min(features, math.ceil(config.axes * n_clusters))
        self.register_buffer("center", torch.zeros(features))
        self.register_buffer("axes", torch.zeros(features, width))

    def begin(self, features: Tensor, named: Tensor | None = None) -> None:
        """Find the axes; where there are fewer than wanted, the rest of the columns stays 0."""
        if self.axes.shape[1]:
            config, wanted = self.config, self.axes.shape[1]
            found = fit_whitening(
                self.features(features), wanted, power=config.whitening, neighbours=config.neighbours, named=named
            )
            self.center.copy_(found.center)
            self.axes[:, : found.axes.shape[1]] = found.axes

    def embed(self, images: Tensor) -> Tensor:
        """The features (n, D) at unit length, or their places (n, m) along the axes, at unit length."""
        if not self.axes.shape[1]:
            return super().embed(images)
        return Whitening(self.center, self.axes)(self.features(images))


METHOD = KMeansOnFeatures
