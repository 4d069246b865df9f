"""PCL: prototypical contrastive learning (Li et al., arXiv 2005.04966)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coterie.cluster.clustering import Clustering
from coterie.errors import UsageError
from coterie.losses.concentration import concentration, prototype_contrast
from coterie.methods.base import Batch, EStep
from coterie.methods.moco import MoCo, MoCoConfig
from coterie.nn.encoder import Encoder
from coterie.processes import processes
from coterie.schedule import Progress


@dataclass(frozen=True)
class PCLConfig(MoCoConfig):
    """Settings of PCL, beside MoCo's.

    Args:
        granularities: numbers of prototypes; empty for 25, 50 and 100 times the number of clusters, which for ten
            clusters are the paper's 250, 500 and 1000.
        negatives: prototypes of other clusters that a batch is contrasted with.
        prototypes: weight of the loss against prototypes; 0 in warm-up.
        n_init: restarts of the E-step's k-means.
    """

    granularities: tuple[int, ...] = ()
    negatives: int = 1024
    prototypes: float = 1.0
    n_init: int = 1


class PCL(MoCo):
    """MoCo that also finds each image's prototype among those of several clusterings of ever finer grain."""

    Config = PCLConfig
    config: PCLConfig

    def __init__(self, config: PCLConfig, encoder: Encoder, *, n_clusters: int) -> None:
        super().__init__(config, encoder, n_clusters=n_clusters)
        self.granularities = config.granularities or tuple(n_clusters * factor for factor in (25, 50, 100))
        # Centers and densities of each granularity; the E-step gives them anew before every epoch.
        self.found: list[tuple[Tensor, Tensor]] = []

    def check(self, count: int) -> None:
        if count < max(self.granularities):
            raise UsageError(
                f"pcl clusters at the granularities {list(self.granularities)}, but there are only {count} images: "
                f"set options.granularities to smaller numbers, such as [{count // 8}, {count // 4}]"
            )

    def e_step(self, progress: Progress) -> EStep | None:
        if progress.warming_up or self.config.prototypes == 0:
            return None
        return EStep(self.granularities, n_init=self.config.n_init)

    def receive(self, embeddings: Tensor, clusterings: Sequence[Clustering]) -> None:
        self.found = []
        group = processes()
        for clustering in clusterings:
            own = clustering.labels[group.share(len(clustering.labels))]
            density = concentration(
                embeddings, own, clustering.centers, temperature=self.config.temperature, group=group
            )
            self.found.append((clustering.centers, density))

    def losses(self, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        online, target = self.project(views), self.project_target(views)
        losses = {"contrast": self.contrast(online, target, batch.index)}
        if batch.pseudo_labels is not None:
            parts = [
                self._prototype_loss(online, batch.pseudo_labels[:, place], centers, density, batch.generator)
                for place, (centers, density) in enumerate(self.found)
            ]
            losses["prototypes"] = self.config.prototypes * torch.stack(parts).mean()
        return losses

    def _prototype_loss(
        self, online: Sequence[Tensor], own: Tensor, centers: Tensor, density: Tensor, generator: torch.Generator
    ) -> Tensor:
        """The mean over both views, against the batch's own prototypes and a sample of the others."""
        present = torch.zeros(len(centers), dtype=torch.bool, device=centers.device)
        present.index_fill_(0, own, True)
        chance = torch.rand(len(centers), generator=generator, device=centers.device)
        # Those of no image in the batch come first; where they are too few, the sample is smaller, but not empty.
        negative = (chance + present).argsort()[: self.config.negatives]
        absent = (~present).sum().clamp(min=1)
        counted = torch.arange(len(negative), device=negative.device) < absent
        first, second = (prototype_contrast(queries, centers, density, own, negative, counted) for queries in online)
        return 0.5 * (first + second)


METHOD = PCL
