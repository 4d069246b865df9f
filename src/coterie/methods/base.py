"""The contract between a method and the loop, which knows no method by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from coterie.cluster.clustering import Clustering
from coterie.cluster.kmeans import Metric
from coterie.data.feeding.loader import View
from coterie.data.feeding.points import Feeding
from coterie.nn.encoder import Encoder
from coterie.schedule import Progress

EStepModel = Literal["kmeans", "mixture", "choice"]


@dataclass(frozen=True)
class EStep:
    """What a method asks of the E-step before an epoch: one clustering of the embeddings for each granularity.

    By `model`: k-means; a Gaussian mixture with diagonal covariances, which also tells how surely a point belongs to
    each component; or a choice of several ways, as a run's groups are found in the end. `proportions` (K,) chooses
    among the restarts of k-means by the sizes wanted, see `kmeans`.
    """

    granularities: tuple[int, ...]
    model: EStepModel = "kmeans"
    metric: Metric = "cosine"
    n_init: int = 10
    proportions: Tensor | None = None


@dataclass(frozen=True)
class Batch:
    """What a method is told beside its views.

    `index` (n,) places in the data; `pseudo_labels` (n, granularities) int64 from the latest E-step, or None;
    `progress`, where the run stands; `generator`, the only source of randomness in a step.
    """

    index: Tensor
    pseudo_labels: Tensor | None
    progress: Progress
    generator: torch.Generator


@dataclass(frozen=True)
class Embedded:
    """What a method makes of images: embeddings (N, d), of any length where its `metric` is cosine, and the features
    (N, F) before any head.

    `probabilities` (N, K) are those of the method's own head, if it has one.
    """

    embeddings: Tensor
    features: Tensor
    probabilities: Tensor | None = None

    def at(self, rows: Tensor) -> Embedded:
        """Those of some rows (n,)."""
        rows = rows.to(self.embeddings.device)
        heads = None if self.probabilities is None else self.probabilities[rows]
        return Embedded(self.embeddings[rows], self.features[rows], heads)


class Method(nn.Module):
    """A clustering method, built from its frozen configuration and an encoder.

    Subclasses set `Config` and `views` and override what they need. One that learns from feature vectors instead of
    images sets `inputs` and `feeding`, and is built from the widths of the spaces that lie side by side in a vector,
    mostly one, in place of an encoder; wherever this contract says images (n, C, S, S), it is then given features
    (n, D) as they were made, see `coterie.cluster.spaces`.
    """

    Config: ClassVar[type[Any]]
    n_clusters: int
    inputs: ClassVar[Literal["images", "features"]] = "images"
    views: ClassVar[tuple[View, ...]] = ("augmented", "augmented")
    # What a method on features is fed with: the ends of a graph's edges, images with a neighbour, or others.
    feeding: Feeding | None = None
    # How embeddings are compared: by their direction, or by their distance.
    metric: ClassVar[Metric] = "cosine"
    # Whether learning changes the embeddings; features that are given back as they came cannot collapse.
    moves_embeddings: ClassVar[bool] = True
    # Settings of the training section this method wants by default, such as its paper's optimiser.
    train_defaults: ClassVar[Mapping[str, Any]] = {}
    # Steps a run should come to however few the data, where an epoch goes through all of them.
    least_steps: ClassVar[int] = 0

    def losses(self, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        """Named scalar losses of one step, weighted: the loop minimises their sum. A method without learns nothing.

        Args:
            views: one tensor (n, C, S, S) for each of `self.views`.
        """
        raise NotImplementedError

    def check(self, count: int) -> None:
        """Raise a UsageError if `count` images are not enough for these settings; called before training."""

    def begin(self, features: Tensor, named: Tensor | None = None) -> None:
        """Look at all features (N, D) once before learning; called for methods on features alone.

        Args:
            named: (N,) int64, the name a person gave each, −1 where none.
        """

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (n, d), of any length where `metric` is cosine."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Where its networks lie."""
        return next(chain(self.parameters(), self.buffers())).device

    @property
    def embedding_encoder(self) -> Encoder | None:
        """The encoder that `embed` goes through; None for a method on features."""
        return getattr(self, "encoder", None)

    def features(self, images: Tensor) -> Tensor:
        """What the encoder makes of images before any head, (n, F), for linear evaluation."""
        encoder = getattr(self, "encoder", None)
        return self.embed(images) if encoder is None else encoder(images)

    def assign(self, images: Tensor) -> Tensor | None:  # noqa: ARG002
        """Probabilities (n, K) where the method has a cluster head of its own; None where k-means decides."""
        return None

    def represent(self, images: Tensor) -> Embedded:
        """Features, embeddings and probabilities at once; a method in which they share a forward makes it one."""
        return Embedded(self.embed(images), self.features(images), self.assign(images))

    def e_step(self, progress: Progress) -> EStep | None:  # noqa: ARG002
        """What the E-step before this epoch should find; None for no E-step."""
        return None

    def receive(self, embeddings: Tensor, clusterings: Sequence[Clustering]) -> None:
        """Take the E-step's outcome: one clustering of all data for each granularity, and the embeddings (N, d).

        Where processes share a run, the embeddings are the rows `processes().share(N)` of all.
        """

    def sampling_weights(self) -> Tensor | None:
        """Weights (N,) to draw the next epoch's data with; None takes everything once."""
        return None

    def after_step(self, progress: Progress) -> None:
        """Called when the optimiser has stepped: moving averages and queues."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters for the optimiser; `rate` multiplies a learning rate, `constant` takes it off the schedule.

        A `weight_decay` stands in place of the run's.
        """
        return [{"params": [p for p in self.parameters() if p.requires_grad], "rate": 1.0}]
