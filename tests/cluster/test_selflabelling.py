from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.propagation import NeighbourGraph, propagated
from coterie.cluster.selflabelling import _surest, self_labelled


def arcs(count: int = 300) -> tuple[Tensor, Tensor]:
    """Two bent groups on a sphere, one above the other, which a straight cut by their length divides wrongly."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    along = 2 * torch.rand(count, generator=draw, dtype=torch.float64) - 1
    height = 0.35 * along.square() + 0.45 * labels + 0.02 * torch.randn(count, generator=draw, dtype=torch.float64)
    return F.normalize(torch.stack([along, height, torch.full_like(along, 2.0)], dim=1), dim=1), labels


def places_of(points: Tensor) -> Tensor:
    return F.normalize(points - points.mean(dim=0), dim=1)


def test_the_ends_of_bent_groups_follow_their_neighbours() -> None:
    points, labels = arcs()
    height = points[:, 1] / points[:, 2] * 2
    cut = (height > 0.5).long()  # The lower group's ends lie above it.
    before, after = (
        float((found == labels).double().mean()) for found in (cut, self_labelled(points, places_of(points), cut, 2))
    )
    assert before < 0.85
    assert after == 1


def test_the_order_of_points_and_of_groups_does_not_matter() -> None:
    points, _ = arcs()
    labels = (points[:, 1] > points[:, 1].median()).long()
    found = self_labelled(points, places_of(points), labels, 2)
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(1))
    assert torch.equal(self_labelled(points[order], places_of(points)[order], labels[order], 2), found[order])
    assert torch.equal(self_labelled(points, places_of(points), 1 - labels, 2), 1 - found)


def test_the_surest_seven_tenths_of_each_group_teach() -> None:
    angles = torch.tensor([0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 90, 80], dtype=torch.float64) * math.pi / 180
    places = torch.stack([angles.cos(), angles.sin()], dim=1)
    labels = torch.tensor([0] * 10 + [1] * 2)
    # The middles are at 18 and 85 degrees: of the first group those from 28 on lie nearest to the second.
    sure = _surest(places, labels, F.one_hot(labels, 2).double())
    assert sure.tolist() == [True] * 7 + [False] * 3 + [True, True]


def islands(*sizes: int) -> tuple[Tensor, Tensor]:
    """Tight groups of more points than one asks for neighbours, nothing between them; and the island of each point."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    noise = 0.01 * torch.randn(len(labels), len(sizes), generator=draw, dtype=torch.float64)
    return F.normalize(torch.eye(len(sizes), dtype=torch.float64)[labels] + noise, dim=1), labels


def test_what_nothing_reaches_stays() -> None:
    points, island = islands(30, 40, 17)
    labels = island.clamp(max=1)  # The third island is the unsure part of the second's group: nobody on it teaches.
    places = points @ torch.tensor([[1, 0], [0, 1], [0.6, 0.8]], dtype=torch.float64)
    places = F.normalize(places, dim=1)
    sure = _surest(places, labels, F.one_hot(labels, 2).double())
    assert not sure[island == 2].any()
    assert torch.equal(self_labelled(points, places, labels, 2), labels)


def test_groups_without_anybody_stay_empty() -> None:
    points, labels = islands(30, 30, 30)
    assert torch.equal(self_labelled(points, places_of(points), labels, 5), labels)


@pytest.mark.parametrize("count", [2, 15])
def test_few_points_are_grouped_all_the_same(count: int) -> None:
    points = F.normalize(torch.randn(count, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=1)
    labels = torch.arange(count) % 2
    assert self_labelled(points, places_of(points), labels, 2).shape == (count,)


def test_propagation_equals_its_sum() -> None:
    points, labels = arcs(40)
    graph, sources = NeighbourGraph.of(points), F.one_hot(labels, 2).double()
    found, term, passes = torch.zeros_like(sources), sources, 60
    for _ in range(passes):
        found, term = found + 0.05 * term, 0.95 * (graph.symmetric @ term)
    torch.testing.assert_close(propagated(sources, graph), found + term)  # And what was still under way.
