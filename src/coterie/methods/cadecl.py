"""CADECL: cluster analysis with deep embeddings and contrastive learning (arXiv 2109.12714)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from coterie.cluster.clustering import Clustering
from coterie.data.feeding.loader import View
from coterie.losses.contrastive import nt_xent
from coterie.losses.student_t import divergence, plain_and_augmented, sharpened, soft_assignment
from coterie.methods.base import Batch, Embedded, EStep
from coterie.methods.simclr import SimCLR, SimCLRConfig
from coterie.nn.encoder import Encoder
from coterie.schedule import Progress


@dataclass(frozen=True)
class CADECLConfig(SimCLRConfig):
    """Settings of CADECL, beside those of its contrastive head.

    Args:
        alpha: degrees of freedom of Student's t.
        clustering, anchor: weights of the two divergences; 0 in warm-up.
        n_init: restarts of the k-means that starts the centers.
    """

    alpha: float = 1.0
    clustering: float = 1.0
    anchor: float = 1.0
    n_init: int = 10


class CADECL(SimCLR):
    """Contrast between two augmented views, and soft assignments of the plain image that both views must share.

    The centers are parameters. The first E-step after the warm-up starts them by k-means; the assignment decides.
    """

    Config = CADECLConfig
    config: CADECLConfig
    views: ClassVar[tuple[View, ...]] = ("plain", "augmented", "augmented")
    started: Tensor

    def __init__(self, config: CADECLConfig, encoder: Encoder, *, n_clusters: int) -> None:
        super().__init__(config, encoder, n_clusters=n_clusters)
        self.centers = nn.Parameter(torch.zeros(n_clusters, encoder.features))
        self.register_buffer("started", torch.tensor(False))

    def e_step(self, progress: Progress) -> EStep | None:
        if progress.warming_up or bool(self.started):
            return None
        return EStep((self.n_clusters,), metric="euclidean", n_init=self.config.n_init)

    @torch.no_grad()
    def receive(self, embeddings: Tensor, clusterings: Sequence[Clustering]) -> None:  # noqa: ARG002
        self.centers.copy_(clusterings[0].centers)
        self.started.fill_(True)

    def losses(self, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        plain, *augmented = self.encoder.each(views, joint=self.config.joint_views)
        z1, z2 = (self.projector(view) for view in augmented)
        losses = {"contrast": nt_xent(z1, z2, temperature=self.config.temperature)}
        if not batch.progress.warming_up:
            q, *others = (self._soft(features) for features in (plain, *augmented))
            losses["clustering"] = self.config.clustering * divergence(sharpened(q), q)
            losses["anchor"] = self.config.anchor * plain_and_augmented(q, *others)
        return losses

    def embed(self, images: Tensor) -> Tensor:
        """Features of the encoder as they are, which the centers live among."""
        return cast(Tensor, self.encoder(images))

    def represent(self, images: Tensor) -> Embedded:
        features = self.embed(images)
        return Embedded(features, features, self._soft(features))

    def assign(self, images: Tensor) -> Tensor:
        """Soft assignments q, (n, K)."""
        return self._soft(self.encoder(images))

    def _soft(self, features: Tensor) -> Tensor:
        return soft_assignment(features, self.centers, alpha=self.config.alpha)


METHOD = CADECL
