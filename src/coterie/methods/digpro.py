"""DigPro: dynamic grouping beside prototypes (arXiv 2401.13581)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.kmeans import kmeans
from coterie.losses.grouping import group_loss, moved_groups, nearest_groups
from coterie.methods.byol import Step
from coterie.methods.propos import ProPos, ProPosConfig
from coterie.nn.encoder import Encoder
from coterie.nn.queue import Queue


@dataclass(frozen=True)
class DigProConfig(ProPosConfig):
    """Settings of DigPro, beside ProPos's.

    Args:
        grouping: weight of the grouping loss, from the first step on.
        grouping_temperature: τ of its logits.
        groups_momentum: β of the groups' moving average.
        bank: online embeddings kept for re-estimating the groups.
        regroup_every: steps between re-estimations R; 0 takes R = K.
    """

    grouping: float = 0.3
    grouping_temperature: float = 0.1
    groups_momentum: float = 0.99
    bank: int = 2560
    regroup_every: int = 0


class DigPro(ProPos):
    """ProPos with groups that follow the online embeddings and are found anew every few steps, on the device.

    The groups move once a step, by the embeddings of both views; the reference moves them twice.
    """

    Config = DigProConfig
    config: DigProConfig
    groups: Tensor

    def __init__(self, config: DigProConfig, encoder: Encoder, *, n_clusters: int) -> None:
        super().__init__(config, encoder, n_clusters=n_clusters)
        self.register_buffer("groups", F.normalize(torch.randn(n_clusters, config.projection), dim=1))
        self.bank = Queue(max(config.bank, n_clusters), config.projection)

    def terms(self, step: Step) -> dict[str, Tensor]:
        losses = super().terms(step)
        self.bank.push(torch.cat(list(step.online)), step.batch.index.repeat(2))
        if step.batch.progress.step % (self.config.regroup_every or self.n_clusters) == 0:
            self._regroup(step.batch.generator)
        both = torch.cat(list(step.online))
        groups = moved_groups(both, self.groups, beta=self.config.groups_momentum)
        grouping = step.symmetric(
            lambda prediction, target, _: group_loss(
                prediction,
                groups,
                nearest_groups(target, self.groups),
                temperature=self.config.grouping_temperature,
            )
        )
        losses["grouping"] = self.config.grouping * grouping
        self.groups = groups.detach()
        return losses

    @torch.no_grad()
    def _regroup(self, generator: torch.Generator) -> None:
        """Re-estimate the groups by k-means on the remembered embeddings."""
        known = self.bank.embeddings[self.bank.index >= 0]
        if len(known) >= self.n_clusters:
            found = kmeans(known, self.n_clusters, metric="cosine", n_init=1, max_iter=50, generator=generator)
            self.groups = found.centers


METHOD = DigPro
