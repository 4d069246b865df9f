"""Whitening by neighbours."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from coterie.cluster.kmeans import kmeans
from coterie.cluster.whitening import between_neighbours, fit_whitening, whitened
from coterie.errors import CoterieError, UsageError


def cloud(count: int, dimensions: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, dimensions, generator=generator) * torch.logspace(1, -1, dimensions) + 1


@pytest.mark.parametrize(("count", "dimensions"), [(40, 6), (6, 40)])
def test_power_0_leaves_the_principal_axes(count: int, dimensions: int) -> None:
    features = cloud(count, dimensions)
    found = fit_whitening(features, 3, power=0.0)
    units = F.normalize(features, dim=1)
    deviations = torch.linalg.svdvals((units - units.mean(dim=0)).double())[:3] / count**0.5
    projected = (units - found.center) @ found.axes
    torch.testing.assert_close(projected.std(dim=0, correction=0), deviations.float(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_what_images_have_along_one_axis_says_nothing_of_another(power: float) -> None:
    features = cloud(40, 6)
    found = fit_whitening(features, 4, power=power)
    places = (F.normalize(features, dim=1) - found.center) @ found.axes
    products = places.T @ places
    assert float((products - products.diag().diag()).abs().max()) < 1e-4 * float(products.max())
    assert bool((products.diag()[:-1] >= products.diag()[1:]).all())


def test_the_slow_twin() -> None:
    features = cloud(12, 4).double()
    units = features / features.norm(dim=1, keepdim=True)
    units = units - units.mean(dim=0)
    between = slow_between(units, 3)
    between = 0.9 * between + 0.1 * between.trace() / 4 * torch.eye(4, dtype=torch.float64)
    # Along its own axes W^(−1/2) divides by deviations.
    variances, axes = torch.linalg.eigh(between)
    divided = units @ axes / variances.sqrt()
    _, _, principal = torch.linalg.svd(divided, full_matrices=False)
    expected = F.normalize(divided @ principal[:2].T, dim=1)
    found = whitened(features, 2, neighbours=3)
    assert found.dtype == torch.float64
    # Axes have no sign.
    torch.testing.assert_close(found @ found.T, expected @ expected.T)


def slow_between(points: torch.Tensor, neighbours: int) -> torch.Tensor:
    total, pairs = torch.zeros(points.shape[1], points.shape[1], dtype=points.dtype), 0
    for i, x in enumerate(points):
        cosines = [float(F.cosine_similarity(x, y, dim=0)) if i != j else -2.0 for j, y in enumerate(points)]
        for j in sorted(range(len(points)), key=lambda j: -cosines[j])[:neighbours]:
            total += torch.outer(x - points[j], x - points[j]) / 2
            pairs += 1
    return total / pairs


def test_what_neighbours_differ_by() -> None:
    # Each direction twice, and of each pair one is a unit longer along it: neighbours differ by that alone.
    places = torch.tensor([[1.0, 0], [2, 0], [0, 1], [0, 2], [-1, 0], [-2, 0], [0, -1], [0, -2]], dtype=torch.float64)
    torch.testing.assert_close(between_neighbours(places, 1), torch.eye(2, dtype=torch.float64) / 4)
    # Of few points there are fewer neighbours.
    torch.testing.assert_close(between_neighbours(places, 100), between_neighbours(places, 3))


def test_of_many_points_a_sample_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    points = cloud(100, 3).double()
    monkeypatch.setattr("coterie.cluster.whitening._MOST", 34)
    torch.testing.assert_close(between_neighbours(points, 5), between_neighbours(points[::3], 5))


def test_lengths_count_for_nothing_and_others_are_treated_alike() -> None:
    features = cloud(30, 8)
    torch.testing.assert_close(whitened(features, 4), whitened(features * torch.arange(1, 31).view(-1, 1), 4))
    found = fit_whitening(features, 4)
    torch.testing.assert_close(found(features)[3:5], found(features[3:5]))
    torch.testing.assert_close(found(features).norm(dim=1), torch.ones(30))


def test_it_finds_what_louder_axes_hide() -> None:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(400) % 2
    # Groups differ along one axis; along four louder ones neighbours differ as well.
    quiet = 2 * (2.0 * labels - 1) + 0.3 * torch.randn(400, generator=generator)
    loud = 2.5 * torch.randn(400, 4, generator=generator)
    features = torch.column_stack([loud, quiet, torch.full((400,), 20.0)])

    def right(points: torch.Tensor) -> float:
        found = kmeans(points, 2, generator=torch.Generator().manual_seed(0)).labels
        share = float((found == labels).float().mean())
        return max(share, 1 - share)

    assert right(F.normalize(features, dim=1)) < 0.7
    assert right(whitened(features, 2, power=0.0)) < 0.7
    assert right(whitened(features, 2)) > 0.95


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
    with pytest.raises(UsageError, match="whitening needs"):
        whitened(cloud(5, 3), 2, neighbours=0)


def test_copies_alone_are_no_obstacle() -> None:
    points = torch.eye(3).repeat(8, 1)
    assert torch.unique(whitened(points, 2).round(decimals=4), dim=0).shape == (3, 2)
