from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from coterie.cluster import choice
from coterie.cluster.choice import Way, choose_way
from coterie.cluster.groups import by_size
from coterie.cluster.kmeans import Metric, kmeans
from coterie.cluster.tied import TiedMixtures


def own_way(points: torch.Tensor, n_clusters: int, metric: Metric) -> Way:
    found = kmeans(points, n_clusters, metric=metric, generator=torch.Generator().manual_seed(0))
    return Way("k-means", by_size(found.labels, n_clusters))


def chosen(points: torch.Tensor, n_clusters: int, metric: Metric = "cosine", **options: bool) -> tuple[Way, Way]:
    own, draw = own_way(points, n_clusters, metric), torch.Generator().manual_seed(0)
    return choose_way(points, own, n_clusters, metric=metric, generator=draw, **options)


def agreement(one: torch.Tensor, other: torch.Tensor) -> float:
    same = float((one == other).double().mean())
    return max(same, 1 - same)


def side_by_side(count: int = 600) -> tuple[torch.Tensor, torch.Tensor]:
    """Two long groups, seen from afar: k-means cuts both through their middle."""
    draw = torch.Generator().manual_seed(0)
    labels = (torch.arange(count) % 2 == 0).long()
    noise = torch.randn(count, 3, generator=draw) * torch.tensor([5.0, 0.5, 0.5])
    points = noise + labels.unsqueeze(1) * torch.tensor([0.0, 4.0, 0.0])
    return torch.cat([points, torch.full((count, 1), 40.0)], dim=1), labels


def test_long_groups_are_found_where_k_means_cuts_them() -> None:
    points, labels = side_by_side()
    way, own = chosen(points, 2)
    assert agreement(own.labels, labels) < 0.8
    assert agreement(way.labels, labels) > 0.99
    assert way.silhouette is not None
    assert own.silhouette is not None
    assert way.silhouette > own.silhouette
    assert way.rule is not None
    assert torch.equal(way.rule.labels(points), way.labels)
    assert way.labels.bincount().tolist() == sorted(way.labels.bincount().tolist(), reverse=True)
    assert torch.equal(chosen(points, 2)[0].labels, way.labels)
    mixture, _ = chosen(points, 2, mixture=True)
    assert agreement(mixture.labels, labels) > 0.99
    assert mixture.name.startswith("a mixture with one covariance on ")


def test_round_groups_stay_as_they_are() -> None:
    draw = torch.Generator().manual_seed(0)
    points = F.normalize(torch.eye(8)[torch.arange(400) % 4] + 0.1 * torch.randn(400, 8, generator=draw), dim=1)
    way, own = chosen(points, 4)
    assert torch.equal(way.labels, own.labels)
    assert own.silhouette is not None
    assert chosen(points, 4, mixture=True)[0].name.startswith("a mixture")


def test_many_points_are_grouped_by_a_sample_and_then_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    points, labels = side_by_side(3000)
    for module in ("choice", "tied"):
        monkeypatch.setattr(f"coterie.cluster.{module}._SAMPLE", 200)
    monkeypatch.setattr("coterie.cluster.choice._JUDGED", 300)
    way, _ = chosen(points, 2)
    assert agreement(way.labels, labels) > 0.99


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    ("points", "n_clusters"),
    [
        (torch.eye(4), 4),
        (torch.eye(3)[[0, 1, 2, 2]], 2),
        (torch.ones(200, 5), 3),
        (torch.eye(5)[torch.arange(200) % 2], 3),
        (torch.cat([torch.randn(90, 1, generator=torch.Generator().manual_seed(0)), torch.ones(90, 6)], dim=1), 2),
        (torch.randn(64, 300, generator=torch.Generator().manual_seed(0)), 3),
        (1e-6 * torch.randn(64, 2, generator=torch.Generator().manual_seed(0)) + 1, 2),
    ],
)
def test_few_alike_and_flat_points_are_grouped_all_the_same(
    points: torch.Tensor, n_clusters: int, metric: Metric
) -> None:
    for mixture in (False, True):
        way, _ = chosen(points, n_clusters, metric, mixture=mixture)
        assert way.labels.shape == (len(points),)
        assert way.rule is None or torch.equal(way.rule.labels(points), way.labels)


@pytest.mark.parametrize(("behind", "kept"), [(0.01, 2), (0.1, 1)])
def test_mixtures_of_nearly_one_likelihood_are_all_looked_at(
    behind: float, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, labels = side_by_side()
    real = choice.tied_mixtures

    def close(*arguments: Any, **options: Any) -> TiedMixtures:
        found = real(*arguments, **options).of(torch.tensor([0, 0]))
        found.log_likelihood[1] -= behind
        return found

    monkeypatch.setattr(choice, "tied_mixtures", close)
    looked_at: list[int] = []
    silhouette = choice.silhouette

    def counting(*given: Any) -> float:
        looked_at.append(1)
        return silhouette(*given)

    monkeypatch.setattr(choice, "silhouette", counting)
    assert agreement(chosen(points, 2)[0].labels, labels) > 0.99
    assert len(looked_at) == 2 + kept  # Beside the own way and k-means.
