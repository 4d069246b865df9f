"""Finished groups: which one an embedding belongs to, how surely, and whether it belongs to any."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.kmeans import Metric
from coterie.cluster.lloyd import totals
from coterie.cluster.outliers import OutlierScore, fit_outlier_score
from coterie.cluster.rules import Rule, nearest
from coterie.processes import ALONE, Processes

# How many images, among how many, are asked for their nearest neighbours to set the concentration.
_IMAGES, _POOL, _NEIGHBOURS = 2000, 20_000, 20
# Probabilities held at a time: 64 MiB of float32.
_HELD = 1 << 24


@dataclass(frozen=True)
class Grouping:
    """For each image: `clusters` (N,) int64, `confidence` (N,) in 0..1, `outlier_score` (N,), above 1 for outliers."""

    clusters: Tensor
    confidence: Tensor
    outlier_score: Tensor

    @property
    def outlier(self) -> Tensor:
        """(N,) bool."""
        return self.outlier_score > 1

    def gathered(self, group: Processes) -> Grouping:
        """That of the images of all processes, in the order of ranks."""
        return Grouping(*map(group.gather_shares, (self.clusters, self.confidence, self.outlier_score)))


@dataclass(frozen=True)
class Groups:
    """A rule with a concentration, as fitted by `fit_groups`.

    Args:
        centers: (K, d), the middle of each group; of unit length where `metric` is cosine.
        rule: what decides to which group an embedding belongs.
        concentration: κ of the confidence `softmax(κ·logits)`, a scalar tensor.
        outlier_score: of features in clusters.
        by_head: the method's own head decides in place of the rule.
    """

    centers: Tensor
    rule: Rule
    concentration: Tensor
    outlier_score: OutlierScore
    by_head: bool = False

    @property
    def metric(self) -> Metric:
        """How embeddings are compared."""
        return self.rule.metric

    def on(self, device: torch.device) -> Groups:
        """The same on another device."""
        score = self.outlier_score
        parts = {field.name: getattr(score, field.name).to(device) for field in fields(score)}
        centers, concentration = self.centers.to(device), self.concentration.to(device)
        return Groups(centers, self.rule.to(centers), concentration, OutlierScore(**parts), self.by_head)

    def assign(self, embeddings: Tensor, features: Tensor, head: Tensor | None = None) -> Grouping:
        """Group images by their embeddings (n, d), the encoder's features (n, F), and what the `head` says (n, K)."""
        own = head if self.by_head else None
        confidence, clusters = self._surest(embeddings) if own is None else own.max(dim=1)
        return Grouping(clusters, confidence, self.outlier_score(features, clusters))

    def _surest(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """The greatest of each row's `probabilities` and its place, without holding those of all rows."""
        chunk = max(1024, _HELD // len(self.centers))
        if len(embeddings) <= chunk:  # Also what a tracer sees: chunks would tie a graph to their number.
            confidence, clusters = self.probabilities(embeddings).max(dim=1)
            return confidence, clusters
        parts = [self.probabilities(part).max(dim=1) for part in torch.split(embeddings, chunk)]
        return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])

    def probabilities(self, embeddings: Tensor, head: Tensor | None = None) -> Tensor:
        """How surely embeddings (N, d) belong to each group, (N, K), by the rule, or else by the method's own head."""
        if self.by_head and head is not None:
            return head
        return (self.concentration * self.rule(embeddings)).softmax(dim=1)

    def regrouped(self, embeddings: Tensor, labels: Tensor, n_clusters: int, rule: Rule) -> Groups:
        """The same embeddings (N, d) in other groups (N,) int64, which a rule gives them, if not all."""
        score = self.outlier_score.regrouped(torch.bincount(labels, minlength=n_clusters))
        centers = centers_of(embeddings, labels, n_clusters, self.metric)
        return Groups(centers, rule.to(embeddings), _concentration(embeddings, labels, rule.to(embeddings)), score)

    def table(self, embeddings: Tensor, labels: Tensor, told: Tensor, outlier_score: Tensor) -> Grouping:
        """Of images whose groups (N,) are settled: how sure the rule is of these, and wholly where they were `told`."""
        chunks = zip(torch.split(embeddings, 4096), torch.split(labels, 4096), strict=True)
        sure = torch.cat([self.probabilities(part).gather(1, own.unsqueeze(1)).squeeze(1) for part, own in chunks])
        return Grouping(labels, torch.where(told, 1.0, sure), outlier_score)


def fit_groups(
    embeddings: Tensor,
    features: Tensor,
    labels: Tensor,
    n_clusters: int,
    *,
    metric: Metric = "cosine",
    rule: Rule | None = None,
    by_head: bool = False,
    group: Processes = ALONE,
) -> Groups:
    """Centers, rule, concentration and outlier score of a finished clustering.

    The concentration is what makes `softmax(κ·logits)` predict best, by likelihood, to which clusters an image's
    nearest neighbours belong: an image whose neighbours are of one mind is certain, one between two clusters is not.

    Args:
        embeddings: (N, d); of unit length where `metric` is cosine.
        features: (N, F), of the encoder before any head.
        labels: (N,) int64.
        n_clusters: K.
        metric: how embeddings are compared.
        rule: what gave the labels; None for the nearest center.
        by_head: the method's own head gave them.
        group: processes of which each has the rows `group.share(N)` of embeddings and features, and all labels.
    """
    centers = centers_of(embeddings, labels, n_clusters, metric, group)
    rule = nearest(centers, metric) if rule is None else rule.to(embeddings)
    concentration = _concentration(embeddings, labels, rule, group)
    outlier_score = fit_outlier_score(features, labels, n_clusters, group=group)
    return Groups(centers, rule, concentration, outlier_score, by_head)


def centers_of(embeddings: Tensor, labels: Tensor, n_clusters: int, metric: Metric, group: Processes = ALONE) -> Tensor:
    """The middle (K, d) of each group of embeddings (N, d), of which each process of the `group` has a share."""
    sums, counts = map(group.sum, totals(embeddings, labels[group.share(len(labels))], n_clusters))
    centers = (sums / counts.clamp(min=1).unsqueeze(1)).to(embeddings.dtype)
    return F.normalize(centers, dim=1) if metric == "cosine" else centers


def _concentration(embeddings: Tensor, labels: Tensor, rule: Rule, group: Processes = ALONE) -> Tensor:
    """κ of greatest likelihood for the labels of neighbours, over evenly spaced images and a geometric grid."""
    total = len(labels)
    images = group.spaced(embeddings, total, max(1, total // _IMAGES))
    step = max(1, total // _POOL)
    among, names = group.spaced(embeddings, total, step), labels[::step]
    # The nearest of all is the image itself, where the pool holds it.
    count = min(_NEIGHBOURS + 1, len(among))
    neighbours = torch.cat(
        [nearest(among, rule.metric)(part).topk(count).indices[:, 1:] for part in torch.split(images, 1024)]
    )
    if neighbours.shape[1] == 0:
        return embeddings.new_tensor(1.0)
    logits, targets = rule(images), names[neighbours]
    # In units of the data, as a map may be of any size, and a mixture of any sharpness; on the sphere cosines are as
    # they are, since those of embeddings that are all alike differ by rounding.
    least = 1.0 if rule.metric == "cosine" else 1e-12
    scale = float((logits.amax(dim=1) - logits.mean(dim=1)).mean().clamp(min=least))
    grid = torch.logspace(0, 2, 60, device=embeddings.device, dtype=embeddings.dtype) / scale
    likelihood = torch.stack([(kappa * logits).log_softmax(dim=1).gather(1, targets).mean() for kappa in grid])
    return grid[likelihood.argmax()]


def by_size(labels: Tensor, n_clusters: int) -> Tensor:
    """Labels renumbered so that cluster 0 is the largest; equal sizes go by their first member."""
    sizes = torch.bincount(labels, minlength=n_clusters)
    first = torch.full((n_clusters,), len(labels)).scatter_reduce(
        0, labels.cpu(), torch.arange(len(labels)), reduce="amin"
    )
    order = sorted(range(n_clusters), key=lambda cluster: (-int(sizes[cluster]), int(first[cluster])))
    rank = torch.empty(n_clusters, dtype=torch.int64)
    rank[torch.tensor(order)] = torch.arange(n_clusters)
    return rank.to(labels.device)[labels]
