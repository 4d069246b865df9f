"""Gaussian mixtures by expectation maximisation, on tensors of any device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.gaussians import COVARIANCES, Covariance, Mixture, fitted_to
from coterie.cluster.kmeans import Metric, kmeans
from coterie.cluster.range import in_range
from coterie.devices import wide
from coterie.errors import UsageError


@dataclass(frozen=True)
class MixtureResult:
    """A fitted `mixture`, the `responsibilities` (N, K), the mean `log_likelihood` of a point, and `iterations`."""

    mixture: Mixture
    responsibilities: Tensor
    log_likelihood: float
    iterations: int

    @property
    def labels(self) -> Tensor:
        """The likeliest component of each point, (N,) int64."""
        return self.responsibilities.argmax(dim=1)

    @property
    def centers(self) -> Tensor:
        """The components' means, (K, D)."""
        return self.mixture.means


def gaussian_mixture(
    points: Tensor,
    n_clusters: int,
    *,
    covariance: Covariance = "diagonal",
    metric: Metric = "euclidean",
    n_init: int = 10,
    max_iter: int = 200,
    tol: float = 1e-5,
    reg_covar: float = 1e-6,
    start: Tensor | None = None,
    generator: torch.Generator,
) -> MixtureResult:
    """Fit a mixture by EM, started from k-means.

    Args:
        points: (N, D) floating point, finite.
        n_clusters: K.
        covariance: "diagonal", "spherical" for one variance a cluster, "full", or "tied" for one full covariance that
            all share; the latter two are computed in float64.
        metric: "cosine" takes points by their direction.
        n_init: restarts of the k-means that starts it.
        max_iter: iterations at the most.
        tol: EM rests when the mean log-likelihood rises by less.
        reg_covar: added to every variance.
        start: labels (N,) to start from instead of a k-means of its own, for points that were found to be usable.
        generator: on the points' device.

    Raises:
        UsageError: an argument out of range, fewer points than clusters, or a covariance without an inverse.
        CoterieError: points that are not finite.
    """
    if covariance not in COVARIANCES:
        raise UsageError(f"covariance is one of {', '.join(COVARIANCES)}, not '{covariance}'")
    if start is None:
        start = kmeans(points, n_clusters, metric=metric, n_init=n_init, generator=generator).labels
    points = in_range(points)
    points = wide(points) if covariance in ("tied", "full") else points
    x = F.normalize(points, dim=1) if metric == "cosine" else points
    mixture = fitted_to(x, F.one_hot(start, n_clusters).to(x.dtype), covariance, metric, reg_covar)
    previous, iteration = -math.inf, 0
    responsibilities, likelihood = _expect(x, mixture)
    while iteration < max_iter and likelihood - previous > tol:
        iteration += 1
        mixture = fitted_to(x, responsibilities, covariance, metric, reg_covar)
        previous = likelihood
        responsibilities, likelihood = _expect(x, mixture)
    return MixtureResult(mixture, responsibilities, likelihood, iteration)


def _expect(points: Tensor, mixture: Mixture) -> tuple[Tensor, float]:
    joint = mixture.log_joint(points)
    evidence = joint.logsumexp(dim=1)
    return (joint - evidence.unsqueeze(1)).exp(), float(wide(evidence).mean())
