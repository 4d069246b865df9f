"""CC: contrastive clustering (Li et al., arXiv 2009.09687)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from torch import Tensor

from coterie.losses.cluster_contrast import assignment_entropy_gap, cluster_contrast
from coterie.losses.contrastive import nt_xent
from coterie.methods.base import Batch, Embedded
from coterie.methods.simclr import SimCLR, SimCLRConfig
from coterie.nn.encoder import Encoder
from coterie.nn.heads import mlp_head


@dataclass(frozen=True)
class CCConfig(SimCLRConfig):
    """Settings of CC, beside those of its instance head.

    Args:
        cluster_temperature: τ of the contrast between clusters.
        cluster_weight: of the cluster head's two losses beside the contrast of images; 1 in the paper. With less the
            encoder heeds its wish for groups of equal size less.
    """

    cluster_temperature: float = 1.0
    cluster_weight: float = 1.0


class CC(SimCLR):
    """SimCLR with a cluster head, whose columns are contrasted as SimCLR contrasts rows; the head decides."""

    Config = CCConfig
    config: CCConfig

    def __init__(self, config: CCConfig, encoder: Encoder, *, n_clusters: int) -> None:
        super().__init__(config, encoder, n_clusters=n_clusters)
        self.cluster_head = mlp_head(encoder.features, config.hidden, n_clusters, batch_norm=False)

    def losses(self, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        features = self.encoder.each(views, joint=self.config.joint_views)
        z1, z2 = (self.projector(view) for view in features)
        p1, p2 = (self.cluster_head(view).softmax(dim=1) for view in features)
        weight = self.config.cluster_weight
        return {
            "contrast": nt_xent(z1, z2, temperature=self.config.temperature),
            "clusters": weight * cluster_contrast(p1, p2, temperature=self.config.cluster_temperature),
            "balance": weight * (assignment_entropy_gap(p1) + assignment_entropy_gap(p2)),
        }

    def assign(self, images: Tensor) -> Tensor:
        """The cluster head's probabilities (n, K)."""
        return cast(Tensor, self.represent(images).probabilities)

    def represent(self, images: Tensor) -> Embedded:
        embedded = super().represent(images)
        return replace(embedded, probabilities=self.cluster_head(embedded.features).softmax(dim=1))


METHOD = CC
