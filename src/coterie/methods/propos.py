"""ProPos: prototype scattering and positive sampling (Huang et al., arXiv 2111.11821)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coterie.cluster.clustering import Clustering
from coterie.devices import precise
from coterie.losses.prototypes import prototype_scattering
from coterie.methods.base import Batch, EStep, EStepModel
from coterie.methods.byol import BYOL, BYOLConfig, Step
from coterie.nn.encoder import Encoder
from coterie.nn.queue import Queue
from coterie.schedule import Progress


@dataclass(frozen=True)
class ProPosConfig(BYOLConfig):
    """Settings of ProPos, beside BYOL's.

    Args:
        noise: σ of the Gaussian noise that samples a positive around a projection; 0 in warm-up.
        scattering: λ, the weight of the prototype scattering loss; 0 in warm-up.
        temperature: τ of the prototype logits.
        resample: draw images with probability inverse to the size of their cluster.
        queue: past target embeddings that join the batch's prototypes, for many clusters; 0 for none.
        estep: "kmeans"; "mixture" for a Gaussian mixture, whose responsibilities are soft pseudo labels; or "choice"
            for groups as a run's are found in the end, see `coterie.cluster.choice`.
        n_init: restarts of the E-step's k-means.
    """

    momentum_rises: bool = False
    noise: float = 0.001
    scattering: float = 0.1
    temperature: float = 0.5
    resample: bool = False
    queue: int = 0
    estep: EStepModel = "kmeans"
    n_init: int = 10


class ProPos(BYOL):
    """BYOL from sampled positives, with the prototypes of clusters found by the E-step pushed apart."""

    Config = ProPosConfig
    config: ProPosConfig
    pseudo_labels: Tensor
    soft_labels: Tensor | None

    def __init__(self, config: ProPosConfig, encoder: Encoder, *, n_clusters: int) -> None:
        super().__init__(config, encoder, n_clusters=n_clusters)
        self.queue = Queue(config.queue, config.projection)
        # The E-step gives these anew before every epoch.
        self.register_buffer("pseudo_labels", torch.empty(0, dtype=torch.int64), persistent=False)
        self.register_buffer("soft_labels", None, persistent=False)

    def e_step(self, progress: Progress) -> EStep | None:
        if progress.warming_up:
            return None
        return EStep((self.n_clusters,), model=self.config.estep, n_init=self.config.n_init)

    def receive(self, embeddings: Tensor, clusterings: Sequence[Clustering]) -> None:  # noqa: ARG002
        self.pseudo_labels = clusterings[0].labels
        self.soft_labels = clusterings[0].responsibilities

    def terms(self, step: Step) -> dict[str, Tensor]:
        losses = super().terms(step)
        if step.batch.pseudo_labels is not None:
            soft = self.soft_labels
            labels = step.batch.pseudo_labels[:, 0] if soft is None else soft[step.batch.index]
            scattering = step.symmetric(lambda _, target, online: self._scattering(online, target, labels))
            losses["scattering"] = self.config.scattering * scattering
        self.queue.push(step.target[0], step.batch.index)
        return losses

    def perturb(self, projection: Tensor, batch: Batch) -> Tensor:
        """Positive sampling: `z + σε` (section 3.2)."""
        if batch.progress.warming_up or self.config.noise == 0:
            return projection
        noise = torch.empty_like(projection).normal_(generator=batch.generator)
        return projection + self.config.noise * noise

    def sampling_weights(self) -> Tensor | None:
        if not self.config.resample or len(self.pseudo_labels) == 0:
            return None
        sizes = torch.bincount(self.pseudo_labels, minlength=self.n_clusters)
        return precise(sizes[self.pseudo_labels]).reciprocal()

    def _scattering(self, online: Tensor, target: Tensor, labels: Tensor) -> Tensor:
        if len(self.queue) and len(self.pseudo_labels):
            known = self.pseudo_labels if self.soft_labels is None else self.soft_labels
            # Places not yet filled belong to no cluster.
            known = known[self.queue.index.clamp(min=0)]
            known[self.queue.index < 0] = -1 if self.soft_labels is None else 0
            labels = torch.cat([labels, known])
            past = self.queue.embeddings.clone()
            online, target = torch.cat([online, past]), torch.cat([target, past])
        return prototype_scattering(
            online, target, labels, n_clusters=self.n_clusters, temperature=self.config.temperature
        )


METHOD = ProPos
