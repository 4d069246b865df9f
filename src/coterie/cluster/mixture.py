"""Gaussian mixtures by expectation maximisation, on tensors of any device and on arrays."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, replace
from typing import Literal, cast

import torch
from sklearn.base import DensityMixin
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.estimator import Data, Estimator, Points, same_kind
from coterie.cluster.kmeans import Metric, kmeans
from coterie.errors import UsageError
from coterie.seeding import generator as seeded

Covariance = Literal["diagonal", "spherical"]


@dataclass(frozen=True)
class Mixture:
    """K Gaussians: `weights` (K,), `means` (K, D) and `variances` (K, D), spherical ones alike in every column.

    With `metric` cosine, points are taken by their direction.
    """

    weights: Tensor
    means: Tensor
    variances: Tensor
    metric: Metric

    def log_joint(self, points: Tensor) -> Tensor:
        """`log(weight_k · N(x_i; μ_k, σ_k²))`, (N, K)."""
        points = F.normalize(points, dim=1) if self.metric == "cosine" else points
        # Squares expand to products; near the origin they lose fewer digits.
        origin = self.means.mean(dim=0)
        x = points - origin
        moments = torch.cat([x, x.square()], dim=1)
        return replace(self, means=self.means - origin).joint(moments).T

    def joint(self, moments: Tensor) -> Tensor:
        """`log_joint` (K, N) as one product with points and their squares (N, 2D)."""
        precision = self.variances.reciprocal()
        kernel = torch.cat([self.means * precision, -0.5 * precision], dim=1)
        offset = -0.5 * (self.means.square() * precision).sum(dim=1, keepdim=True)
        constant = self.variances.log().sum(dim=1) + self.means.shape[1] * math.log(2 * math.pi)
        near = torch.addmm(offset, kernel, moments.T).clamp_(max=0)
        return near.add_((self.weights.log() - 0.5 * constant).unsqueeze(1))


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
        covariance: "diagonal", or "spherical" for one variance a cluster.
        metric: "cosine" takes points by their direction.
        n_init: restarts of the k-means that starts it.
        max_iter: iterations at the most.
        tol: EM rests when the mean log-likelihood rises by less.
        reg_covar: added to every variance.
        start: labels (N,) to start from instead of a k-means of its own, for points that were found to be usable.
        generator: on the points' device.

    Raises:
        UsageError: an argument out of range, or fewer points than clusters. CoterieError: points that are not finite.
    """
    if covariance not in ("diagonal", "spherical"):
        raise UsageError(f"covariance is 'diagonal' or 'spherical', not '{covariance}'")
    if start is None:
        start = kmeans(points, n_clusters, metric=metric, n_init=n_init, generator=generator).labels
    points = points if points.dtype == torch.float64 else points.float()
    x = F.normalize(points, dim=1) if metric == "cosine" else points
    origin = x.mean(dim=0)  # Squares expand to products; near the origin they lose fewer digits.
    x = x - origin
    moments = torch.cat([x, x.square()], dim=1)
    mixture = _maximise(moments, F.one_hot(start, n_clusters).T.to(x.dtype), covariance, metric, reg_covar)
    previous, iteration = -math.inf, 0
    responsibilities, likelihood = _expect(moments, mixture)
    while iteration < max_iter and likelihood - previous > tol:
        iteration += 1
        mixture = _maximise(moments, responsibilities, covariance, metric, reg_covar)
        previous = likelihood
        responsibilities, likelihood = _expect(moments, mixture)
    mixture = replace(mixture, means=mixture.means + origin)
    return MixtureResult(mixture, responsibilities.T.contiguous(), likelihood, iteration)


def _expect(moments: Tensor, mixture: Mixture) -> tuple[Tensor, float]:
    """Responsibilities (K, N) and the mean log-likelihood, from points and their squares (N, 2D)."""
    joint = mixture.joint(moments)
    most = joint.amax(dim=0)
    joint = joint.sub_(most).exp_()
    total = joint.sum(dim=0)
    return joint.div_(total), float((most + total.log()).double().mean())


def _maximise(
    moments: Tensor, responsibilities: Tensor, covariance: Covariance, metric: Metric, reg_covar: float
) -> Mixture:
    counts = responsibilities.sum(dim=1).clamp(min=1e-10)
    means, squares = (responsibilities @ moments / counts.unsqueeze(1)).chunk(2, dim=1)
    variances = (squares - means.square()).clamp(min=0) + reg_covar
    if covariance == "spherical":
        variances = variances.mean(dim=1, keepdim=True).expand_as(means).contiguous()
    return Mixture(counts / counts.sum(), means, variances, metric)


@dataclass(eq=False, repr=False)
class GaussianMixture(DensityMixin, Estimator):  # type: ignore[misc]
    """Gaussian mixture with scikit-learn's manners, on tensors and arrays; answers come in the kind given.

    Args:
        n_components: K.
        covariance: "diagonal" or "spherical". metric: "euclidean" or "cosine".
        n_init: restarts of the k-means it starts from. max_iter, tol, reg_covar: see `gaussian_mixture`.
        seed: same seed, same machine, same result.

    Attributes:
        weights_ (K,), means_ (K, D), covariances_ (K, D), labels_ (N,), log_likelihood_ (mean of a point), n_iter_,
        n_features_in_.
    """

    n_components: int = 1
    _: KW_ONLY
    covariance: Covariance = "diagonal"
    metric: Metric = "euclidean"
    n_init: int = 10
    max_iter: int = 200
    tol: float = 1e-5
    reg_covar: float = 1e-6
    seed: int = 0

    def fit(self, X: Points, y: object = None) -> GaussianMixture:  # noqa: ARG002, N803
        """Fit to X (N, D); `y` is ignored."""
        points = self._learning(X)
        result = gaussian_mixture(
            points,
            self.n_components,
            covariance=self.covariance,
            metric=self.metric,
            n_init=self.n_init,
            max_iter=self.max_iter,
            tol=self.tol,
            reg_covar=self.reg_covar,
            generator=seeded(points.device, self.seed, "mixture"),
        )
        self._mixture = result.mixture
        self.weights_ = same_kind(X, result.mixture.weights)
        self.means_ = same_kind(X, result.mixture.means)
        self.covariances_ = same_kind(X, result.mixture.variances)
        self.labels_ = same_kind(X, result.labels)
        self.log_likelihood_ = result.log_likelihood
        self.n_iter_ = result.iterations
        return self

    def fit_predict(self, X: Data, y: object = None) -> Data:  # noqa: N803
        """`fit(X)` and its labels."""
        return cast(Data, self.fit(X, y).labels_)

    def predict_proba(self, X: Data) -> Data:  # noqa: N803
        """Responsibilities (N, K)."""
        return same_kind(X, self._joint(X).softmax(dim=1))

    def predict(self, X: Data) -> Data:  # noqa: N803
        """The likeliest component of each row: (N,) int64."""
        return same_kind(X, self._joint(X).argmax(dim=1))

    def score_samples(self, X: Data) -> Data:  # noqa: N803
        """Log-likelihood of each row, (N,)."""
        return same_kind(X, self._joint(X).logsumexp(dim=1))

    def score(self, X: Points, y: object = None) -> float:  # noqa: ARG002, N803
        """Mean log-likelihood of a row."""
        return float(self._joint(X).logsumexp(dim=1).mean())

    def _joint(self, data: Points) -> Tensor:
        mixture: Mixture | None = getattr(self, "_mixture", None)
        points = self._asked(data, like=None if mixture is None else mixture.means)
        assert mixture is not None
        return mixture.log_joint(points)
