"""Which images belong to no cluster: how far they lie from the others among the encoder's features."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from coterie.devices import precise
from coterie.processes import ALONE, Processes

# Images that the spread is estimated from, and images kept to measure distances to.
_SAMPLE, _REFERENCES = 20_000, 2000
# The neighbour that is asked for its distance: this share of the own cluster is nearer. Foreign images that resemble
# one another cannot vouch for each other until they are so many.
_SHARE = 0.25
# How much of a sphere is added to the covariance within clusters, relative to the mean variance: without it faint
# directions count as much as strong ones, with much of it correlated ones count many times. See docs/trust.md.
_ROUNDING = 0.3
# The fence is this many robust deviations above the median of the distances' logarithms: distances are positive and
# skewed, and on a plain scale far more would be flagged than are odd.
_FENCE = 2.0
# Distances held at a time: 64 MiB of float32.
_HELD = 1 << 24


@dataclass(frozen=True)
class OutlierScore:
    """The distance to the k-th nearest image, over the distance from which on an image is an outlier.

    Distances are Mahalanobis's, by one covariance that all clusters share.

    Args:
        whitening: (F, F), after which the covariance within clusters is nearly a sphere.
        references: (B, F), whitened features of some of the images learnt from.
        nearer: (K,) int64, how many references may be nearer: k depends on the size of the cluster.
        fence: the distance from which on an image is an outlier, a scalar tensor.
    """

    whitening: Tensor
    references: Tensor
    nearer: Tensor
    fence: Tensor

    def __call__(self, features: Tensor, clusters: Tensor) -> Tensor:
        """Scores (n,) of features (n, F) in these clusters (n,) int64; above 1 is an outlier."""
        chunk = max(64, _HELD // len(self.references))
        if len(features) <= chunk:  # Also what a tracer sees: chunks would tie a graph to their number.
            return self._distances(features, clusters) / self.fence
        parts = zip(torch.split(features, chunk), torch.split(clusters, chunk), strict=True)
        return torch.cat([self._distances(*part) for part in parts]) / self.fence

    def _distances(self, features: Tensor, clusters: Tensor) -> Tensor:
        """To the neighbour asked, (n,); the nearest of all is the image itself where it is a reference."""
        distances = torch.cdist(features @ self.whitening.T, self.references)
        nearest = distances.topk(int(self.nearer.max()) + 1, largest=False).values
        return nearest.gather(1, self.nearer[clusters].unsqueeze(1)).squeeze(1)

    def regrouped(self, sizes: Tensor) -> OutlierScore:
        """The score of the same features in other clusters, of these sizes (K,) int64; what is odd stays so."""
        return replace(self, nearer=_nearer(sizes.double() * len(self.references) / sizes.sum(), len(self.references)))


def fit_outlier_score(features: Tensor, clusters: Tensor, n_clusters: int, *, group: Processes = ALONE) -> OutlierScore:
    """Learn from a finished clustering how far its images lie from one another.

    Args:
        features: (N, F), of the encoder, before any head: a head trained to pull clusters together hides what is
            foreign in them.
        clusters: (N,) int64.
        n_clusters: K.
        group: processes of which each has the rows `group.share(N)` of the features, and all clusters.
    """
    step = -(-len(clusters) // _SAMPLE)
    features, clusters = group.spaced(features, len(clusters), step), clusters[::step]
    whitening = _whitening(features, clusters, n_clusters)
    chosen = slice(None, None, -(-len(features) // _REFERENCES))
    sizes = torch.bincount(clusters[chosen], minlength=n_clusters)
    nearer = _nearer(sizes, len(clusters[chosen]))
    score = OutlierScore(whitening, features[chosen] @ whitening.T, nearer, features.new_ones(()))
    logarithms = score(features, clusters).clamp(min=1e-6).log()
    middle = logarithms.median()
    deviation = 1.4826 * (logarithms - middle).abs().median()
    # A little more, for images that all lie at one distance.
    return OutlierScore(whitening, score.references, nearer, (middle + _FENCE * deviation).exp() * (1 + 1e-3))


def _nearer(sizes: Tensor, references: int) -> Tensor:
    """How many references may be nearer in clusters with so many of them (K,)."""
    return (_SHARE * sizes).ceil().long().clamp(min=1, max=max(1, references - 1))


def _whitening(features: Tensor, clusters: Tensor, n_clusters: int) -> Tensor:
    """The inverse of the Cholesky factor of the rounded covariance within clusters."""
    points, clusters = precise(features), clusters.to(precise(features[:1]).device)
    sums = points.new_zeros(n_clusters, points.shape[1]).index_add_(0, clusters, points)
    means = sums / torch.bincount(clusters, minlength=n_clusters).clamp(min=1).unsqueeze(1)
    within = points - means[clusters]
    covariance = within.T @ within / len(within)
    unit = torch.ones_like(covariance.diagonal()).diag()
    # Features that do not vary need some variance to be divided by.
    factor = torch.linalg.cholesky(covariance + (_ROUNDING * covariance.diagonal().mean() + 1e-12) * unit)
    whitening: Tensor = torch.linalg.solve_triangular(factor, unit, upper=False).to(features)
    return whitening
