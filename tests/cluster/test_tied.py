from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch.distributions import MultivariateNormal

from coterie.cluster.mixture import gaussian_mixture
from coterie.cluster.tied import mixture_of, refined, tied_mixtures


def sticks(count: int, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three long groups side by side, far from the origin, and the group of each point."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=draw)
    noise = torch.randn(count, 4, generator=draw) * torch.tensor([6.0, 1, 1, 1])
    return noise + 7 * torch.nn.functional.one_hot(labels + 1, 4) + 30, labels


def test_a_restart_goes_the_way_of_the_book() -> None:
    points, _ = sticks(300)
    found = tied_mixtures(points, 3, max_iter=500, tol=1e-12, generator=torch.Generator().manual_seed(0))
    slopes, intercepts = (part[0] for part in found.linear())
    labels = (points.double() @ slopes + intercepts).argmax(dim=1)
    book = gaussian_mixture(
        points, 3, covariance="tied", start=labels, max_iter=500, tol=1e-12, generator=torch.Generator()
    )
    assert float(found.log_likelihood[0]) == pytest.approx(book.log_likelihood, abs=1e-6)
    torch.testing.assert_close(found.means[0], book.centers, atol=1e-2, rtol=0)
    torch.testing.assert_close(found.covariances[0], book.mixture.covariances, atol=1e-2, rtol=0)
    # But for one number a point, the linear form is the logarithm of the joint density.
    gap = points.double() @ slopes + intercepts - book.mixture.log_joint(points.double())
    torch.testing.assert_close(gap, gap[:, :1].expand_as(gap), atol=1e-2, rtol=1e-3)


def test_long_groups_side_by_side_are_told_apart() -> None:
    points, labels = sticks(600)
    found = tied_mixtures(points, 3, generator=torch.Generator().manual_seed(0))
    assert found.log_likelihood.diff().max() <= 0
    slopes, intercepts = (part[0] for part in found.linear())
    table = torch.zeros(3, 3)
    table.index_put_((labels, (points.double() @ slopes + intercepts).argmax(dim=1)), torch.ones(600), accumulate=True)
    assert table.amax(dim=1).sum() > 0.98 * 600


def test_a_sample_serves_many_points_and_all_of_them_refine_it(monkeypatch: pytest.MonkeyPatch) -> None:
    points, _ = sticks(3000)
    whole = tied_mixtures(points, 3, tol=1e-9, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr("coterie.cluster.tied._SAMPLE", 300)
    few = tied_mixtures(points, 3, generator=torch.Generator().manual_seed(0)).of(torch.tensor([0]))
    again = refined(points, few, max_iter=500, tol=1e-9)
    assert float(again.log_likelihood[0]) == pytest.approx(float(whole.log_likelihood[0]), abs=1e-5)


@pytest.mark.parametrize("points", [torch.zeros(40, 3), torch.eye(4).repeat(10, 1), torch.ones(5, 2).cumsum(dim=0)])
def test_points_alike_or_few_are_no_trouble(points: torch.Tensor) -> None:
    found = tied_mixtures(points, 4, generator=torch.Generator().manual_seed(0))
    assert not found.log_likelihood.isnan().any()
    assert found.means.isfinite().all()
    unfit = tied_mixtures(points, 4, reg_covar=0.0, generator=torch.Generator().manual_seed(0))
    assert not unfit.log_likelihood.isnan().any()


def test_the_mixture_of_known_groups_is_linear_discriminant_analysis() -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(3, size=200)
    points = draw.normal(size=(200, 4)) @ draw.normal(size=(4, 4)) + 2 * np.eye(3, 4)[labels] + 5
    shares = torch.nn.functional.one_hot(torch.from_numpy(labels), 3)
    found = mixture_of(torch.from_numpy(points), shares, reg_covar=0.0)
    slopes, intercepts = (part[0].numpy() for part in found.linear())
    expected = LinearDiscriminantAnalysis(solver="lsqr").fit(points, labels)
    np.testing.assert_allclose(softmax(points @ slopes + intercepts, axis=1), expected.predict_proba(points), atol=1e-9)


def test_the_mixture_of_shares_is_that_of_the_book() -> None:
    draw = torch.Generator().manual_seed(0)
    points = torch.randn(30, 2, dtype=torch.float64, generator=draw) + 3
    shares = torch.rand(30, 3, dtype=torch.float64, generator=draw).softmax(dim=1)
    counts = shares.sum(dim=0)
    means = shares.T @ points / counts.unsqueeze(1)
    within = sum(
        share * torch.outer(x - mean, x - mean)
        for x, row in zip(points, shares, strict=True)
        for mean, share in zip(means, row, strict=True)
    )
    expected = torch.stack(
        [MultivariateNormal(mean, within / 30).log_prob(points) for mean in means], dim=1
    ) + (counts / 30).log()  # fmt: skip
    slopes, intercepts = (part[0] for part in mixture_of(points, shares, reg_covar=0.0).linear())
    torch.testing.assert_close((points @ slopes + intercepts).softmax(dim=1), expected.softmax(dim=1))
