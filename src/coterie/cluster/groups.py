"""Finished groups: which one an embedding belongs to, how surely, and whether it belongs to any."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Distances this many robust deviations above their cluster's median make an outlier.
_FENCE = 4.0


@dataclass(frozen=True)
class Grouping:
    """For each image: `clusters` (N,) int64, `confidence` (N,) in 0..1, `outlier` (N,) bool."""

    clusters: Tensor
    confidence: Tensor
    outlier: Tensor


@dataclass(frozen=True)
class Groups:
    """Directions on the unit sphere with one common concentration, as fitted by `fit_groups`.

    Args:
        centers: (K, d) of unit length.
        concentration: κ of the von Mises–Fisher posterior `softmax(κ·cos)`.
        fences: (K,), the cosine distance from the center beyond which an image is an outlier.
    """

    centers: Tensor
    concentration: Tensor
    fences: Tensor

    def assign(self, embeddings: Tensor, probabilities: Tensor | None = None) -> Grouping:
        """Group embeddings (N, d); a method's own `probabilities` (N, K) decide where there are any."""
        cosines = F.normalize(embeddings, dim=1) @ self.centers.T
        if probabilities is None:
            probabilities = (self.concentration * cosines).softmax(dim=1)
        confidence, clusters = probabilities.max(dim=1)
        distance = 1 - cosines.gather(1, clusters.unsqueeze(1)).squeeze(1)
        return Grouping(clusters, confidence, distance > self.fences[clusters])


def fit_groups(embeddings: Tensor, labels: Tensor, n_clusters: int) -> Groups:
    """Centers, concentration and outlier fences of a finished clustering.

    The concentration is the maximum-likelihood estimate for a mixture of von Mises–Fisher distributions of one κ
    (Banerjee et al., JMLR 2005, eq. 4.4), with the embeddings' effective dimension, tr(S)²/tr(S²) of their
    covariance S, in place of the nominal one: embeddings of K groups fill about K−1 dimensions, and the nominal
    dimension would make every image look certain.

    Args:
        embeddings: (N, d) of unit length.
        labels: (N,) int64.
        n_clusters: K.
    """
    members = F.one_hot(labels, n_clusters).to(embeddings.dtype)
    centers = F.normalize(members.T @ embeddings, dim=1)
    own = (embeddings * centers[labels]).sum(dim=1)
    covariance = torch.cov(embeddings.T)
    dimension = covariance.trace().square() / covariance.square().sum().clamp(min=1e-12)
    length = own.mean().clamp(0.0, 1 - 1e-4)
    concentration = length * (dimension - length.square()).clamp(min=1e-3) / (1 - length.square())
    return Groups(centers, concentration, _fences(1 - own, labels, n_clusters))


def _fences(distances: Tensor, labels: Tensor, n_clusters: int) -> Tensor:
    """Median plus `_FENCE` robust deviations (1.4826·MAD) of each cluster's distances."""
    overall = distances.median()
    fences = []
    for cluster in range(n_clusters):
        own = distances[labels == cluster]
        middle = own.median() if len(own) else overall
        spread = (own - middle).abs().median() if len(own) > 1 else overall
        fences.append(middle + _FENCE * 1.4826 * spread.clamp(min=1e-6))
    return torch.stack(fences)


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
