"""The E-step: embed everything, cluster it, and take the clusters as pseudo labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.choice import Way, choose_way
from coterie.cluster.clustering import Clustering, Partition
from coterie.cluster.groups import centers_of
from coterie.cluster.kmeans import KMeansResult, Metric, kmeans
from coterie.cluster.mixture import gaussian_mixture
from coterie.data.feeding.collected import Collected
from coterie.errors import CoterieError
from coterie.methods.base import EStep, Method
from coterie.processes import processes
from coterie.seeding import generator
from coterie.train.feed import Feed


@dataclass(frozen=True)
class Expectation:
    """Embeddings (n, d) of this process's share of the data, and a clustering of all of it for each granularity."""

    embeddings: Tensor
    clusterings: list[Clustering]

    @property
    def pseudo_labels(self) -> Tensor:
        """(N, granularities) int64."""
        return torch.stack([clustering.labels for clustering in self.clusterings], dim=1)


@torch.inference_mode()
def embed_all(method: Method, feed: Feed, batch_size: int) -> Tensor:
    """Embeddings (N, d) of everything in the feed, in evaluation mode, on the feed's device.

    Where processes share a run, each has its share of them, (n, d).

    Raises:
        CoterieError: an embedding is not finite.
    """
    training = method.training
    method.eval()
    collected = Collected(len(range(len(feed))[processes().share(len(feed))]))
    for images in feed.plain(batch_size):
        collected.add(method.embed(images))
    embeddings = collected.rows
    method.train(training)
    if not processes().all_finite(embeddings):
        raise CoterieError(
            "the embeddings are no longer finite (NaN): lower train.learning_rate, or use --precision float32"
        )
    return embeddings


def expect(
    method: Method, feed: Feed, asked: EStep, *, batch_size: int, seed: int, epoch: int, named: Tensor | None = None
) -> Expectation:
    """Embed all data and cluster it as the method asked, under the names (N,) that a person gave, −1 where none."""
    embeddings = embed_all(method, feed, batch_size).clone()
    draws = [generator(embeddings.device, seed, "e-step", epoch, place) for place in range(len(asked.granularities))]
    clusterings = [
        cluster(embeddings, len(feed), n_clusters, asked, draws[place], named)
        for place, n_clusters in enumerate(asked.granularities)
    ]
    return Expectation(embeddings, clusterings)


def cluster(
    embeddings: Tensor, total: int, n_clusters: int, asked: EStep, draw: torch.Generator, named: Tensor | None = None
) -> Clustering:
    """One clustering of all `total` embeddings as the method asked for it, from this process's share (n, d) of them.

    Names bind k-means, but for clusters in the order of wanted proportions, which names would disturb; nothing better
    is then chosen.
    """
    if asked.model == "mixture":
        embeddings = processes().gather_shares(embeddings)
        return gaussian_mixture(embeddings, n_clusters, metric=asked.metric, n_init=asked.n_init, generator=draw)
    found = kmeans(
        embeddings,
        n_clusters,
        metric=asked.metric,
        n_init=asked.n_init,
        proportions=asked.proportions,
        named=None if named is None or asked.proportions is not None else named[processes().share(total)],
        generator=draw,
        group=processes(),
    )
    if asked.model != "choice" or named is not None:
        return found
    return _chosen(embeddings, found, n_clusters, asked.metric, draw)


def _chosen(
    embeddings: Tensor, found: KMeansResult, n_clusters: int, metric: Metric, draw: torch.Generator
) -> Clustering:
    """What a run's last step makes of the clusters that k-means found."""
    own = Way("k-means", found.labels)
    way, _ = choose_way(embeddings, own, n_clusters, metric=metric, generator=draw, group=processes())
    if way.rule is None:
        return found
    points = F.normalize(embeddings, dim=1) if metric == "cosine" else embeddings
    return Partition(way.labels, centers_of(points, way.labels, n_clusters, metric, processes()))
