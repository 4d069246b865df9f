from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from coterie.cluster.groups import by_size, fit_groups


def cloud(spread: float, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three hundred directions around three axes, and the axis of each."""
    labels = torch.arange(300) % 3
    noise = torch.randn(300, 8, generator=torch.Generator().manual_seed(seed))
    return F.normalize(torch.eye(8)[labels] + spread * noise, dim=1), labels


def test_assigns_to_the_nearest_direction() -> None:
    embeddings, labels = cloud(0.1)
    grouping = fit_groups(embeddings, embeddings, labels, 3).assign(embeddings, embeddings)
    assert torch.equal(grouping.clusters, labels)
    assert ((grouping.confidence > 1 / 3) & (grouping.confidence <= 1)).all()


def test_confidence_follows_how_far_apart_the_groups_are() -> None:
    means = []
    for spread in (0.1, 0.35, 0.6):
        embeddings, labels = cloud(spread)
        grouping = fit_groups(embeddings, embeddings, labels, 3).assign(embeddings, embeddings)
        means.append(float(grouping.confidence.mean()))
        right = float((grouping.clusters == labels).float().mean())
        assert means[-1] == pytest.approx(right, abs=0.12)
    assert means == sorted(means, reverse=True)


def test_what_lies_between_groups_is_doubtful() -> None:
    embeddings, labels = cloud(0.1)
    groups = fit_groups(embeddings, embeddings, labels, 3)
    between = F.normalize(torch.eye(8)[0] + torch.eye(8)[1], dim=0)
    asked = torch.stack([torch.eye(8)[0], between, torch.eye(8)[7]])
    grouping = groups.assign(asked, asked)
    assert grouping.confidence.argmax() == 0
    assert float(grouping.confidence[1]) == pytest.approx(0.5, abs=0.15)
    assert grouping.outlier.tolist() == [False, True, True]


def test_a_methods_own_probabilities_decide() -> None:
    embeddings, labels = cloud(0.1)
    groups = fit_groups(embeddings, embeddings, labels, 3, by_head=True)
    own = torch.tensor([[0.3, 0.7, 0.0], [0.1, 0.0, 0.9]])
    grouping = groups.assign(embeddings[:2], embeddings[:2], own)
    assert grouping.clusters.tolist() == [1, 2]
    torch.testing.assert_close(grouping.confidence, torch.tensor([0.7, 0.9]))


def test_tiny_and_identical_groups() -> None:
    embeddings = torch.eye(4)[[0, 1, 2, 2]]
    groups = fit_groups(embeddings, embeddings, torch.tensor([0, 1, 2, 2]), 3)
    grouping = groups.assign(embeddings, embeddings)
    assert grouping.clusters.tolist() == [0, 1, 2, 2]
    assert grouping.confidence.isfinite().all()


def test_an_empty_cluster_is_no_trouble() -> None:
    embeddings, labels = cloud(0.1)
    assert fit_groups(embeddings, embeddings, labels, 4).assign(embeddings, embeddings).confidence.isfinite().all()


def test_clusters_are_numbered_by_size() -> None:
    assert by_size(torch.tensor([2, 0, 0, 1, 1, 1]), 4).tolist() == [2, 1, 1, 0, 0, 0]
    assert by_size(torch.tensor([3, 1]), 4).tolist() == [0, 1]


def test_many_images_are_assigned_by_the_same_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(0)
    embeddings = F.normalize(torch.randn(2500, 4, generator=draw), dim=1)
    groups = fit_groups(embeddings, embeddings, embeddings.argmax(dim=1), 4)
    monkeypatch.setattr("coterie.cluster.groups._HELD", 1)  # The least chunk, of which this takes three.
    found, wanted = groups.assign(embeddings, embeddings), groups.probabilities(embeddings).max(dim=1)
    torch.testing.assert_close(found.confidence, wanted.values)
    assert torch.equal(found.clusters, wanted.indices)
