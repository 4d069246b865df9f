"""k-means and Gaussian mixtures with scikit-learn's manners; apart, as to import scikit-learn takes a second."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import cast

import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, DensityMixin, TransformerMixin
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.estimator import Data, Estimator, Points, same_kind, warn_of_fewer, whole
from coterie.cluster.gaussians import Covariance, Mixture
from coterie.cluster.kmeans import Metric, kmeans, nearest_center
from coterie.cluster.mixture import gaussian_mixture
from coterie.cluster.range import in_range
from coterie.devices import wide
from coterie.surroundings import without_gradients


@dataclass(eq=False, repr=False)
class KMeans(ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin, Estimator):  # type: ignore[misc]
    """k-means with scikit-learn's manners, on tensors of any device and on arrays; answers come in the kind given.

    Args:
        n_clusters: K.
        metric: "euclidean", or "cosine" for spherical k-means.
        n_init: restarts; the best is kept.
        max_iter: iterations of each restart at the most.
        tol: relative tolerance for the movement of the centers.
        seed: same seed, same machine, same result; None is 0.

    Attributes:
        labels_: (N,) int64. cluster_centers_: (K, D). inertia_: float. n_iter_: int. n_features_in_: D.
    """

    n_clusters: int = 8
    _: KW_ONLY
    metric: Metric = "euclidean"
    n_init: int = 10
    max_iter: int = 300
    tol: float = 1e-4
    seed: int | None = 0

    @without_gradients
    def fit(self, X: Points, y: object = None) -> KMeans:  # noqa: ARG002, N803
        """Cluster X (N, D); `y` is ignored."""
        points = self._learning(X)
        result = kmeans(
            points,
            whole(self.n_clusters, "n_clusters"),
            metric=self.metric,
            n_init=whole(self.n_init, "n_init"),
            max_iter=whole(self.max_iter, "max_iter"),
            tol=self.tol,
            generator=self._generator(points.device, "kmeans"),
        )
        warn_of_fewer(result.labels, self.n_clusters)
        self.labels_ = same_kind(X, result.labels)
        self.cluster_centers_ = same_kind(X, result.centers)
        self.inertia_ = result.inertia
        self.n_iter_ = result.iterations
        return self

    @without_gradients
    def predict(self, X: Data) -> Data:  # noqa: N803
        """The nearest center of each row of X: (N,) int64."""
        points, centers = self._with_centers(X)
        return same_kind(X, nearest_center(points, centers, metric=self.metric))

    @without_gradients
    def transform(self, X: Data) -> Data:  # noqa: N803
        """Distances (N, K) from the centers, Euclidean or 1−cos."""
        return same_kind(X, self._distances(X))

    @without_gradients
    def score(self, X: Points, y: object = None) -> float:  # noqa: ARG002, N803
        """The negative inertia of X."""
        nearest = wide(self._distances(X)).amin(dim=1)
        return -float((nearest if self.metric == "cosine" else nearest.square()).sum())

    def _distances(self, data: Points) -> Tensor:
        points, centers = self._with_centers(data)
        points = in_range(points)
        centers = centers.to(points.dtype)
        if self.metric == "cosine":
            return 1 - F.normalize(points, dim=1) @ F.normalize(centers, dim=1).T
        return torch.cdist(points, centers, compute_mode="donot_use_mm_for_euclid_dist")

    def _with_centers(self, data: Points) -> tuple[Tensor, Tensor]:
        learnt = getattr(self, "cluster_centers_", None)
        centers = None if learnt is None else torch.as_tensor(learnt)
        points = self._asked(data, like=centers)
        assert centers is not None
        return points, centers

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)


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
