from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.mixture import GaussianMixture as Reference

from coterie import GaussianMixture, UsageError
from coterie.cluster.gaussians import Covariance, Mixture
from coterie.cluster.mixture import gaussian_mixture


def slow_log_joint(mixture: Mixture, point: list[float]) -> list[float]:
    found = []
    for weight, mean, variance in zip(mixture.weights, mixture.means, mixture.covariances, strict=True):
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


def test_one_covariance_worked_by_hand() -> None:
    # Two crosses far apart: each varies by 2 along x and by 1/2 along y, within a component and so within both.
    cross = np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
    points = np.concatenate([cross, cross + np.array([100, 0])])
    tied = GaussianMixture(2, covariance="tied").fit(points)
    np.testing.assert_allclose(tied.covariances_, [[2 + 1e-6, 0], [0, 0.5 + 1e-6]], atol=1e-8)
    full = GaussianMixture(2, covariance="full").fit(points)
    np.testing.assert_allclose(full.covariances_, [tied.covariances_] * 2, atol=1e-8)
    constant = -np.log(2 * np.pi) - 0.5 * np.log(2 * 0.5) - np.log(2)
    assert tied.score(points) == pytest.approx(constant - 0.5 * np.mean([4 / 2, 4 / 2, 1 / 0.5, 1 / 0.5]), abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["tied", "full"])
def test_goes_scikit_learns_way_from_the_same_start(kind: Covariance, dtype: torch.dtype) -> None:
    points, _ = make_blobs(400, centers=4, n_features=3, cluster_std=3.0, random_state=1)
    points = points @ np.array([[3.0, 1, 0], [0, 1, 0], [0, 0.5, 0.2]]) + 1000
    labels = np.arange(400) % 4
    labels[::3] = (points[::3, 0] > 1000).astype(int)
    given = torch.from_numpy(points).to(dtype)
    draw = torch.Generator()
    start, ours = (
        gaussian_mixture(
            given, 4, covariance=kind, max_iter=steps, tol=-1.0, start=torch.from_numpy(labels), generator=draw
        )
        for steps in (0, 12)
    )
    reference = Reference(
        4, covariance_type=kind, tol=0, max_iter=12, weights_init=start.mixture.weights.numpy(),
        means_init=start.mixture.means.numpy(), precisions_init=torch.linalg.inv(start.mixture.covariances).numpy(),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It has not converged.
        reference.fit(given.double().numpy())
    np.testing.assert_allclose(ours.mixture.weights, reference.weights_, rtol=1e-6)
    np.testing.assert_allclose(ours.mixture.means, reference.means_, rtol=1e-8)
    np.testing.assert_allclose(ours.mixture.covariances, reference.covariances_, rtol=1e-5, atol=1e-6)
    assert ours.log_likelihood == pytest.approx(reference.score(given.double().numpy()), abs=1e-8)


@pytest.mark.parametrize(("ours", "theirs"), [("diagonal", "diag"), ("spherical", "spherical")])
def test_reaches_scikit_learns_likelihood(ours: str, theirs: str) -> None:
    points, _ = make_blobs(600, centers=5, n_features=6, cluster_std=2.0, random_state=0)
    reference = Reference(5, covariance_type=theirs, n_init=5, tol=1e-5, max_iter=300, random_state=0).fit(points)
    fitted = GaussianMixture(5, covariance=ours).fit(points)  # type: ignore[arg-type]
    assert fitted.log_likelihood_ >= reference.score(points) - 1e-3
    assert fitted.score(points) == pytest.approx(fitted.log_likelihood_)


def test_responsibilities_are_probabilities_and_agree_with_predict() -> None:
    points = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    for covariance in ("tied", "full", "diagonal"):
        fitted = GaussianMixture(4, covariance=covariance).fit(points)
        torch.testing.assert_close(fitted.predict_proba(points).sum(dim=1).float(), torch.ones(200))
        assert torch.equal(fitted.predict(points), torch.as_tensor(fitted.labels_))
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
    with pytest.raises(UsageError, match="diagonal, spherical, tied, full, not 'round'"):
        GaussianMixture(2, covariance="round").fit(np.zeros((4, 2)))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no inverse"):
        GaussianMixture(2, covariance="full", reg_covar=0).fit(np.eye(4)[[0, 0, 1, 1]])
    with pytest.raises(UsageError, match="cannot form"):
        GaussianMixture(5).fit(np.zeros((4, 2)))
    with pytest.raises(UsageError, match="fit first"):
        GaussianMixture(2).predict(np.zeros((4, 2)))
