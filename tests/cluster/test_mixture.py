from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.mixture import GaussianMixture as Reference

from coterie import GaussianMixture, UsageError
from coterie.cluster.mixture import Mixture


def slow_log_joint(mixture: Mixture, point: list[float]) -> list[float]:
    found = []
    for weight, mean, variance in zip(mixture.weights, mixture.means, mixture.variances, strict=True):
        total = math.log(float(weight))
        for x, m, v in zip(point, mean.tolist(), variance.tolist(), strict=True):
            total -= 0.5 * (math.log(2 * math.pi * v) + (x - m) ** 2 / v)
        found.append(total)
    return found


def test_log_joint_equals_its_slow_twin() -> None:
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(3, 4, dtype=torch.float64, generator=generator) + 50
    variances = torch.rand(3, 4, dtype=torch.float64, generator=generator) + 0.1
    mixture = Mixture(torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64), means, variances, "euclidean")
    points = torch.randn(6, 4, dtype=torch.float64, generator=generator) + 50
    for ours, point in zip(mixture.log_joint(points), points.tolist(), strict=True):
        assert ours.tolist() == pytest.approx(slow_log_joint(mixture, point), rel=1e-9)


def test_two_clouds_worked_by_hand() -> None:
    # Two pairs far apart: equal weights, means in the middle, variance 1 (plus reg_covar) along x, reg_covar along y.
    points = np.array([[-1.0, 0.0], [1.0, 0.0], [99.0, 0.0], [101.0, 0.0]])
    fitted = GaussianMixture(2).fit(points)
    order = fitted.means_[:, 0].argsort()
    np.testing.assert_allclose(fitted.weights_, [0.5, 0.5])
    np.testing.assert_allclose(fitted.means_[order], [[0, 0], [100, 0]], atol=1e-9)
    np.testing.assert_allclose(fitted.covariances_[order], [[1 + 1e-6, 1e-6]] * 2, rtol=1e-6)
    spherical = GaussianMixture(2, covariance="spherical").fit(points)
    np.testing.assert_allclose(spherical.covariances_, np.full((2, 2), 0.5 + 1e-6), rtol=1e-6)


@pytest.mark.parametrize(("ours", "theirs"), [("diagonal", "diag"), ("spherical", "spherical")])
def test_reaches_scikit_learns_likelihood(ours: str, theirs: str) -> None:
    points, _ = make_blobs(600, centers=5, n_features=6, cluster_std=2.0, random_state=0)
    reference = Reference(5, covariance_type=theirs, n_init=5, tol=1e-5, max_iter=300, random_state=0).fit(points)
    fitted = GaussianMixture(5, covariance=ours).fit(points)  # type: ignore[arg-type]
    assert fitted.log_likelihood_ >= reference.score(points) - 1e-3
    assert fitted.score(points) == pytest.approx(fitted.log_likelihood_)


def test_responsibilities_are_probabilities_and_agree_with_predict() -> None:
    points = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    for metric in ("euclidean", "cosine"):
        fitted = GaussianMixture(4, metric=metric).fit(points)
        probabilities = fitted.predict_proba(points)
        assert isinstance(probabilities, torch.Tensor)
        torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(200))
        assert torch.equal(probabilities.argmax(dim=1), fitted.predict(points))
        assert torch.equal(fitted.predict(points), torch.as_tensor(fitted.labels_))
    torch.testing.assert_close(fitted.predict_proba(7 * points), probabilities)  # Cosine knows no length.


def test_same_seed_same_result() -> None:
    points = np.random.default_rng(0).random((100, 4))
    assert np.array_equal(GaussianMixture(3).fit(points).means_, GaussianMixture(3).fit(points).means_)


def test_bad_use_is_explained() -> None:
    with pytest.raises(UsageError, match="covariance"):
        GaussianMixture(2, covariance="full").fit(np.zeros((4, 2)))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot form"):
        GaussianMixture(5).fit(np.zeros((4, 2)))
    with pytest.raises(UsageError, match="fit first"):
        GaussianMixture(2).predict(np.zeros((4, 2)))
