"""What the E-step finds, by each of the models that a method may ask for."""

from __future__ import annotations

import pytest
import torch

from coterie.methods.base import EStep
from coterie.train.estep import cluster


def long_groups(count: int = 600) -> tuple[torch.Tensor, torch.Tensor]:
    """Two long groups side by side, seen from afar, which k-means cuts through their middle."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    noise = torch.randn(count, 3, generator=draw) * torch.tensor([5.0, 0.5, 0.5])
    points = noise + labels.unsqueeze(1) * torch.tensor([0.0, 4.0, 0.0])
    return torch.cat([points, torch.full((count, 1), 40.0)], dim=1), labels


def found(points: torch.Tensor, asked: EStep, named: torch.Tensor | None = None) -> torch.Tensor:
    """Labels, the first point's group being 0; centers are where their members are."""
    clustering = cluster(points, len(points), 2, asked, torch.Generator().manual_seed(0), named)
    for label, center in enumerate(clustering.centers):
        middle = torch.nn.functional.normalize(points, dim=1)[clustering.labels == label].mean(dim=0)
        torch.testing.assert_close(center, middle / middle.norm(), atol=1e-4, rtol=0)
    return clustering.labels ^ clustering.labels[0]


def test_a_choice_finds_long_groups_that_k_means_cuts() -> None:
    points, labels = long_groups()
    assert float((found(points, EStep((2,))) == labels).double().mean()) == pytest.approx(0.5, abs=0.3)
    assert float((found(points, EStep((2,), model="choice")) == labels).double().mean()) > 0.99


def test_names_bind_and_nothing_else_is_chosen() -> None:
    points, _ = long_groups()
    named = torch.full((600,), -1)
    named[:4] = torch.tensor([0, 1, 0, 1])
    asked = (EStep((2,), model="choice"), EStep((2,)))
    assert torch.equal(*(found(points, each, named) for each in asked))


def test_too_few_points_are_left_to_k_means() -> None:
    points, _ = long_groups(30)
    assert torch.equal(*(found(points, EStep((2,), model=model)) for model in ("choice", "kmeans")))
