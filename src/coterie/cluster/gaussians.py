"""K Gaussians with weights: how likely points are, and the M-step that fits them to responsibilities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.kmeans import Metric
from coterie.errors import UsageError

Covariance = Literal["diagonal", "spherical", "tied", "full"]
COVARIANCES: tuple[str, ...] = get_args(Covariance)


@dataclass(frozen=True)
class Mixture:
    """K Gaussians: `weights` (K,), `means` (K, D) and `covariances`, whose shape goes by the kind of `covariance`.

    (K, D) variances where it is diagonal or spherical (alike in every column then), (D, D) for one that is tied, and
    (K, D, D) for full ones. With `metric` cosine, points are taken by their direction.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor
    metric: Metric
    covariance: Covariance = "diagonal"

    def log_joint(self, points: Tensor) -> Tensor:
        """`log(weight_k · N(x_i; μ_k, Σ_k))`, (N, K).

        Raises:
            UsageError: a covariance that has no inverse.
        """
        points = F.normalize(points, dim=1) if self.metric == "cosine" else points
        # Squares expand to products; near the origin they lose fewer digits.
        origin = self.means.mean(dim=0)
        distances, volumes = self._mahalanobis(points - origin, self.means - origin)
        constant = volumes + points.shape[1] * math.log(2 * math.pi)
        return self.weights.log() - 0.5 * (constant + distances.clamp(min=0))

    def _mahalanobis(self, x: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distances (N, K) by each component's covariance, and the logarithms of the determinants, (K,)."""
        if self.covariance in ("diagonal", "spherical"):
            precision = self.covariances.reciprocal()
            distances = x.square() @ precision.T - 2 * x @ (means * precision).T
            return distances + (means.square() * precision).sum(dim=1), self.covariances.log().sum(dim=1)
        factors = cholesky(self.covariances)
        volumes = 2 * factors.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
        if self.covariance == "full":
            parts = [_whitened(x - mean, factor) for mean, factor in zip(means, factors, strict=True)]
            return torch.stack([part.square().sum(dim=1) for part in parts], dim=1), volumes
        x, means = _whitened(x, factors), _whitened(means, factors)
        distances = x.square().sum(dim=1, keepdim=True) - 2 * x @ means.T + means.square().sum(dim=1)
        return distances, volumes.expand(len(means))


def fitted_to(
    points: Tensor, responsibilities: Tensor, covariance: Covariance, metric: Metric, reg_covar: float
) -> Mixture:
    """The M-step: the likeliest mixture of points (N, D) for responsibilities (N, K), `reg_covar` on every variance."""
    counts = responsibilities.sum(dim=0).clamp(min=1e-10)
    origin = points.mean(dim=0)
    centred = points - origin
    means = responsibilities.T @ centred / counts.unsqueeze(1)
    if covariance in ("tied", "full"):
        found = _matrices(centred, responsibilities, means, counts, tied=covariance == "tied")
        found = found + reg_covar * torch.eye(points.shape[1], dtype=points.dtype, device=points.device)
    else:
        found = responsibilities.T @ centred.square() / counts.unsqueeze(1) - means.square()
        found = found.clamp(min=0) + reg_covar
        if covariance == "spherical":
            found = found.mean(dim=1, keepdim=True).expand_as(means).contiguous()
    return Mixture(counts / counts.sum(), means + origin, found, metric, covariance)


def cholesky(covariances: Tensor) -> Tensor:
    """Lower factors of covariances (…, D, D).

    Raises:
        UsageError: one has no inverse.
    """
    factors: Tensor
    factors, failed = torch.linalg.cholesky_ex(covariances)
    if bool(failed.any()):
        raise UsageError("a covariance of the mixture has no inverse: raise reg_covar, or ask for fewer components")
    return factors


def _matrices(centred: Tensor, responsibilities: Tensor, means: Tensor, counts: Tensor, *, tied: bool) -> Tensor:
    """Covariances about the means: (D, D) of all points about their own component's, or (K, D, D)."""
    if tied:
        # What varies within components is what varies at all less what varies between them.
        return centred.T @ centred / len(centred) - (means * (counts / counts.sum()).unsqueeze(1)).T @ means
    about = [centred - mean for mean in means]
    return torch.stack(
        [(share * part.T) @ part / count for share, part, count in zip(responsibilities.T, about, counts, strict=True)]
    )


def _whitened(points: Tensor, factor: Tensor) -> Tensor:
    """Points (n, D) whose distances are Mahalanobis's by the covariance of this factor."""
    solved: Tensor = torch.linalg.solve_triangular(factor, points.T, upper=False)
    return solved.T
