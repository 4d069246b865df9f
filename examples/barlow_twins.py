"""A method of one's own in one file: Barlow Twins (Zbontar et al., arXiv 2103.03230).

Try it: coterie --code examples/barlow_twins.py fit digits -k 10 --method barlow_twins:BarlowTwins --out twins
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.methods import Batch, Method
from coterie.nn.encoder import Encoder
from coterie.nn.heads import mlp_head


def redundancy(z1: Tensor, z2: Tensor, *, weight: float) -> Tensor:
    """How far the correlations between two views' features are from the identity (equation 1).

    Args:
        z1, z2: projections of two views, (n, d).
        weight: λ, of the correlations between different features.
    """
    n = len(z1)
    z1, z2 = ((z - z.mean(dim=0)) / (z.std(dim=0, correction=0) + 1e-6) for z in (z1, z2))
    correlation = z1.T @ z2 / n
    same = torch.diagonal(correlation)
    return (1 - same).square().sum() + weight * (correlation.square().sum() - same.square().sum())


@dataclass(frozen=True)
class BarlowTwinsConfig:
    """Settings of Barlow Twins.

    Args:
        hidden, projection: widths of the projector.
        decorrelation: λ, the weight of the correlations between different features.
    """

    hidden: int = 1024
    projection: int = 256
    decorrelation: float = 0.005


class BarlowTwins(Method):
    """Two views of an image agree in every feature, and no two features say the same; k-means clusters the features."""

    Config = BarlowTwinsConfig
    # Any option of the training section can have another default for this method.
    train_defaults = {"optimizer": "adam", "learning_rate": 3e-4, "weight_decay": 0.0}

    def __init__(self, config: BarlowTwinsConfig, encoder: Encoder, *, n_clusters: int) -> None:
        super().__init__()
        self.config = config
        self.n_clusters = n_clusters
        self.encoder = encoder
        self.projector = mlp_head(encoder.features, config.hidden, config.projection)

    def losses(self, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        z1, z2 = (self.projector(features) for features in self.encoder.each(views, joint=True))
        # Divided by the width, so that the loss is of the size of the others.
        return {"redundancy": redundancy(z1, z2, weight=self.config.decorrelation) / self.config.projection}

    def embed(self, images: Tensor) -> Tensor:
        return F.normalize(self.encoder(images), dim=1)
