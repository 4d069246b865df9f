"""Gaussian mixtures by expectation maximisation, on tensors of any device and on arrays."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import cast

import torch
from sklearn.base import DensityMixin
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.estimator import Data, Estimator, Points, same_kind, whole
from coterie.cluster.gaussians import COVARIANCES, Covariance, Mixture, fitted_to
from coterie.cluster.kmeans import Metric, kmeans
from coterie.cluster.range import in_range, warn_of_fewer
from coterie.devices import wide
from coterie.errors import UsageError
from coterie.surroundings import without_gradients


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


@dataclass(eq=False, repr=False)
class GaussianMixture(DensityMixin, Estimator):  # type: ignore[misc]
    """Gaussian mixture with scikit-learn's manners, on tensors and arrays; answers come in the kind given.

    Args:
        n_components: K.
        covariance: "diagonal", "spherical", "tied" or "full". metric: "euclidean" or "cosine".
        n_init: restarts of the k-means it starts from. max_iter, tol, reg_covar: see `gaussian_mixture`.
        seed: same seed, same machine, same result; None is 0.

    Attributes:
        weights_ (K,), means_ (K, D), covariances_ (K, D), (D, D) if tied and (K, D, D) if full, labels_ (N,),
        log_likelihood_ (mean of a point), n_iter_, n_features_in_.
    """

    n_components: int = 1
    _: KW_ONLY
    covariance: Covariance = "diagonal"
    metric: Metric = "euclidean"
    n_init: int = 10
    max_iter: int = 200
    tol: float = 1e-5
    reg_covar: float = 1e-6
    seed: int | None = 0

    @without_gradients
    def fit(self, X: Points, y: object = None) -> GaussianMixture:  # noqa: ARG002, N803
        """Fit to X (N, D); `y` is ignored."""
        points = self._learning(X)
        result = gaussian_mixture(
            points,
            whole(self.n_components, "n_components"),
            covariance=self.covariance,
            metric=self.metric,
            n_init=whole(self.n_init, "n_init"),
            max_iter=whole(self.max_iter, "max_iter"),
            tol=self.tol,
            reg_covar=self.reg_covar,
            generator=self._generator(points.device, "mixture"),
        )
        warn_of_fewer(result.labels, self.n_components)
        self._mixture = result.mixture
        self.weights_ = same_kind(X, result.mixture.weights)
        self.means_ = same_kind(X, result.mixture.means)
        self.covariances_ = same_kind(X, result.mixture.covariances)
        self.labels_ = same_kind(X, result.labels)
        self.log_likelihood_ = result.log_likelihood
        self.n_iter_ = result.iterations
        return self

    def fit_predict(self, X: Data, y: object = None) -> Data:  # noqa: N803
        """`fit(X)` and its labels."""
        return cast(Data, self.fit(X, y).labels_)

    @without_gradients
    def predict_proba(self, X: Data) -> Data:  # noqa: N803
        """Responsibilities (N, K)."""
        return same_kind(X, self._joint(X).softmax(dim=1))

    @without_gradients
    def predict(self, X: Data) -> Data:  # noqa: N803
        """The likeliest component of each row: (N,) int64."""
        return same_kind(X, self._joint(X).argmax(dim=1))

    @without_gradients
    def score_samples(self, X: Data) -> Data:  # noqa: N803
        """Log-likelihood of each row, (N,)."""
        return same_kind(X, self._joint(X).logsumexp(dim=1))

    @without_gradients
    def score(self, X: Points, y: object = None) -> float:  # noqa: ARG002, N803
        """Mean log-likelihood of a row."""
        return float(self._joint(X).logsumexp(dim=1).mean())

    def _joint(self, data: Points) -> Tensor:
        mixture: Mixture | None = getattr(self, "_mixture", None)
        points = self._asked(data, like=None if mixture is None else mixture.means)
        assert mixture is not None
        return mixture.log_joint(points)
