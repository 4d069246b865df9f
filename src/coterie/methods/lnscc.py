"""LNSCC: locally normalised soft contrastive clustering of feature vectors (IJCAI 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from coterie.cluster.clustering import Clustering
from coterie.cluster.kmeans import Metric
from coterie.cluster.spaces import as_one
from coterie.cluster.standard import standard_of
from coterie.data.feeding.edges import GraphConfig
from coterie.errors import UsageError
from coterie.losses.soft_contrast import balance, curve, soft_contrast
from coterie.losses.student_t import divergence, sharpened, soft_assignment
from coterie.methods.base import Batch, EStep, Method
from coterie.nn.residual import ResidualMLP
from coterie.schedule import Progress


@dataclass(frozen=True)
class LNSCCConfig(GraphConfig):
    """Settings of LNSCC, beside those of its graph.

    Args:
        hidden: widths of the network's layers.
        dimensions: of the map.
        dropout: share of the units that are silenced in training.
        min_dist: how near to each other the map may bring points.
        negatives: random pairs for each edge.
        cluster_at, cluster_from: shares of the run after which k-means starts the centers and the losses on them
            begin; the paper's steps 10 000 and 15 000 of 50 000.
        clustering, balance: weights of the divergence and of the distance from the wanted proportions.
        proportions: wanted shares of the clusters, of any sum; empty for equal ones.
        alpha: degrees of freedom of Student's t.
        n_init: restarts of the k-means, among which that of the likeliest sizes is taken.
    """

    hidden: tuple[int, ...] = (512, 256)
    dimensions: int = 2
    dropout: float = 0.3
    min_dist: float = 0.1
    negatives: int = 10
    cluster_at: float = 0.2
    cluster_from: float = 0.3
    clustering: float = 0.1
    balance: float = 0.1
    proportions: tuple[float, ...] = ()
    alpha: float = 1.0
    n_init: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.cluster_at <= self.cluster_from <= 1:
            raise UsageError("0 ≤ options.cluster_at ≤ options.cluster_from ≤ 1 must hold")
        if any(not share > 0 for share in self.proportions):
            raise UsageError(f"--proportions: every share must be above 0, got {list(self.proportions)}")


# Feature vectors wider than this are too many for their covariance.
_WIDEST = 2048


class LNSCC(Method):
    """Neighbours are drawn together on a map and random pairs apart; then the map's clusters are sharpened.

    The centers are parameters. One E-step starts them by k-means once the map has formed; the assignment decides.
    Features are standardised first.
    """

    Config = LNSCCConfig
    inputs = "features"
    metric: ClassVar[Metric] = "euclidean"
    train_defaults: ClassVar[Mapping[str, Any]] = {
        "optimizer": "adam",
        "learning_rate": 0.008,
        "weight_decay": 0.0,
        "batch_size": 500,
        "epochs": 100,
        "warmup_epochs": 0,
    }
    started: Tensor
    proportions: Tensor
    center: Tensor
    scale: Tensor

    def __init__(self, config: LNSCCConfig, spaces: Sequence[int], *, n_clusters: int) -> None:
        super().__init__()
        if config.proportions and len(config.proportions) != n_clusters:
            raise UsageError(f"--proportions gives {len(config.proportions)} shares for {n_clusters} clusters")
        self.config = self.feeding = config
        self.n_clusters = n_clusters
        self.spaces = tuple(spaces)
        self.network = ResidualMLP(sum(spaces), config.hidden, config.dimensions, dropout=config.dropout)
        self.centers = nn.Parameter(torch.zeros(n_clusters, config.dimensions))
        wanted = torch.tensor(config.proportions or [1.0] * n_clusters)
        self.register_buffer("proportions", wanted / wanted.sum(), persistent=False)
        self.register_buffer("started", torch.tensor(False))
        self.register_buffer("center", torch.zeros(sum(spaces)))
        self.register_buffer("scale", torch.ones(sum(spaces)))

    @torch.no_grad()
    def begin(self, features: Tensor, named: Tensor | None = None) -> None:  # noqa: ARG002
        """Learn what brings features to the size of one, as raw ones are of any."""
        for kept, found in zip((self.center, self.scale), standard_of(as_one(features, self.spaces)), strict=True):
            kept.copy_(found)

    def e_step(self, progress: Progress) -> EStep | None:
        if bool(self.started) or progress.epoch < _epoch(self.config.cluster_at, progress):
            return None
        return EStep((self.n_clusters,), metric="euclidean", n_init=self.config.n_init, proportions=self.proportions)

    @torch.no_grad()
    def receive(self, embeddings: Tensor, clusterings: Sequence[Clustering]) -> None:  # noqa: ARG002
        self.centers.copy_(clusterings[0].centers)
        self.started.fill_(True)

    def losses(self, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        config = self.config
        mapped = self.network(self._standard(torch.cat(list(views))), batch.generator)
        head, tail = mapped.chunk(2)
        permutation = torch.randperm(len(head) * config.negatives, generator=batch.generator, device=head.device)
        a, b = curve(config.min_dist)
        losses = {"contrast": soft_contrast(head, tail, permutation, negative_rate=config.negatives, a=a, b=b)}
        if batch.progress.epoch >= _epoch(config.cluster_from, batch.progress):
            q = self._soft(mapped)
            losses["clustering"] = config.clustering * divergence(sharpened(q), q)
            losses["balance"] = config.balance * balance(q, self.proportions)
        return losses

    def embed(self, images: Tensor) -> Tensor:
        """Places on the map, from feature vectors (n, D)."""
        return cast(Tensor, self.network(self._standard(images)))

    def features(self, images: Tensor) -> Tensor:
        """The standardised features (n, D), or the map where they are many."""
        return self._standard(images) if images.shape[1] <= _WIDEST else self.embed(images)

    def assign(self, images: Tensor) -> Tensor:
        """Soft assignments q, (n, K)."""
        return self._soft(self.embed(images))

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "rate": 1.0, "constant": True}]

    def _standard(self, features: Tensor) -> Tensor:
        return (as_one(features, self.spaces) - self.center) / self.scale

    def _soft(self, mapped: Tensor) -> Tensor:
        return soft_assignment(mapped, self.centers, alpha=self.config.alpha)


def _epoch(share: float, progress: Progress) -> int:
    """The epoch that begins after a share of the run; not the first, as no map has formed by then."""
    return min(max(1, int(share * progress.epochs)), progress.epochs - 1)


METHOD = LNSCC
