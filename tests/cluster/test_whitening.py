"""Partial whitening."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from coterie.cluster.kmeans import kmeans
from coterie.cluster.whitening import fit_whitening, whitened
from coterie.errors import CoterieError, UsageError


def cloud(count: int, dimensions: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, dimensions, generator=generator) * torch.logspace(1, -1, dimensions) + 1


@pytest.mark.parametrize(("count", "dimensions"), [(40, 6), (6, 40)])
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_deviations_are_divided_by_their_power(count: int, dimensions: int, power: float) -> None:
    features = cloud(count, dimensions)
    found = fit_whitening(features, 3, power=power)
    units = F.normalize(features, dim=1)
    deviations = torch.linalg.svdvals((units - units.mean(dim=0)).double())[:3] / count**0.5
    projected = (units - found.center) @ found.axes
    torch.testing.assert_close(projected.std(dim=0, correction=0), deviations.float() ** (1 - power), rtol=1e-4, atol=0)
    # Axes stand at right angles, and so do what images have along them.
    products = projected.T @ projected
    assert float((products - products.diag().diag()).abs().max()) < 1e-4 * float(products.max())


def test_the_slow_twin() -> None:
    features = cloud(12, 4).double()
    expected = features / features.norm(dim=1, keepdim=True)
    expected = expected - expected.mean(dim=0)
    _, deviations, axes = torch.linalg.svd(expected, full_matrices=False)
    rows = []
    for row in expected:
        places = torch.stack([row @ axes[i] / (deviations[i] / 12**0.5) ** 0.5 for i in range(2)])
        rows.append(places / places.norm())
    found = whitened(features, 2)
    assert found.dtype == torch.float64
    # Axes have no sign.
    torch.testing.assert_close(found @ found.T, torch.stack(rows) @ torch.stack(rows).T)


def test_lengths_count_for_nothing_and_others_are_treated_alike() -> None:
    features = cloud(30, 8)
    torch.testing.assert_close(whitened(features, 4), whitened(features * torch.arange(1, 31).view(-1, 1), 4))
    found = fit_whitening(features, 4)
    torch.testing.assert_close(found(features)[3:5], found(features[3:5]))
    torch.testing.assert_close(found(features).norm(dim=1), torch.ones(30))


def test_it_finds_what_the_loudest_axis_hides() -> None:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(400) % 2
    # Groups differ along the second axis; the first is an order louder, and the same in both.
    quiet = (2.0 * labels - 1) + 0.3 * torch.randn(400, generator=generator)
    features = torch.stack([8 * torch.rand(400, generator=generator) - 4, quiet, torch.full((400,), 10.0)], dim=1)

    def right(points: torch.Tensor) -> float:
        found = kmeans(points, 2, generator=torch.Generator().manual_seed(0)).labels
        share = float((found == labels).float().mean())
        return max(share, 1 - share)

    assert right(F.normalize(features, dim=1)) < 0.7
    assert right(whitened(features, 2, power=1.0)) > 0.85
    assert right(whitened(features, 2, power=1.0)) > right(whitened(features, 2, power=0.0)) + 0.1


def test_no_more_axes_than_there_are() -> None:
    assert whitened(cloud(3, 10), 8).shape == (3, 2)
    assert whitened(cloud(10, 2), 8).shape == (10, 2)


def test_what_cannot_be_whitened() -> None:
    with pytest.raises(CoterieError, match="all features are alike"):
        whitened(torch.ones(5, 3), 2)
    with pytest.raises(CoterieError, match="not finite"):
        whitened(torch.full((5, 3), torch.nan), 2)
    for points, axes, power in ((torch.ones(1, 3), 2, 0.5), (torch.ones(5, 3), 0, 0.5), (torch.ones(5, 3), 2, 1.5)):
        with pytest.raises(UsageError, match="whitening needs"):
            whitened(points, axes, power=power)
