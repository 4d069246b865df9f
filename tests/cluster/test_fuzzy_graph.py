from __future__ import annotations

import math

import pytest
import torch

from coterie.cluster.fuzzy_graph import Graph, fuzzy_graph, local_scales
from coterie.cluster.neighbours import nearest_neighbours


def cloud(count: int = 40) -> torch.Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_equals_its_slow_twin() -> None:
    distances, neighbours = nearest_neighbours(cloud(), 6)
    rho, sigma = local_scales(distances)
    graph = fuzzy_graph(distances, neighbours)
    weights: dict[tuple[int, int], float] = {}
    for i in range(40):
        for d, j in zip(distances[i, 1:].tolist(), neighbours[i, 1:].tolist(), strict=True):
            weights[i, j] = math.exp(-max(0.0, d - float(rho[i])) / float(sigma[i]))
    wanted = {}
    for i, j in weights:
        a, b = weights[i, j], weights.get((j, i), 0.0)
        wanted[i, j] = wanted[j, i] = a + b - a * b
    found = dict(
        zip(zip(graph.rows.tolist(), graph.columns.tolist(), strict=True), graph.weights.tolist(), strict=True)
    )
    assert found.keys() == wanted.keys()
    assert all(found[edge] == pytest.approx(wanted[edge]) for edge in wanted)


def test_scales_hold_their_equation() -> None:
    distances, _ = nearest_neighbours(cloud(), 8)
    rho, sigma = local_scales(distances)
    assert torch.equal(rho, distances[:, 1])
    total = (-(distances[:, 1:] - rho.unsqueeze(1)) / sigma.unsqueeze(1)).exp().sum(dim=1)
    torch.testing.assert_close(total, torch.full_like(total, 3.0), atol=2e-5, rtol=0)


def test_weights_do_not_change_with_the_unit_of_length() -> None:
    small, large = (fuzzy_graph(*nearest_neighbours(scale * cloud(), 6)) for scale in (1.0, 1000.0))
    torch.testing.assert_close(small.weights, large.weights, atol=1e-4, rtol=1e-4)


def test_copies_of_a_point_are_joined_fully() -> None:
    graph = fuzzy_graph(*nearest_neighbours(torch.zeros(4, 2), 4))
    assert len(graph.rows) == 12
    assert graph.weights.tolist() == [1.0] * 12


def test_repeats_by_hand() -> None:
    graph = Graph(torch.zeros(4).long(), torch.ones(4).long(), torch.tensor([0.5, 0.26, 0.011, 0.009]))
    # 0.011 is dropped at ten passes, as it lies below 0.5/10; at a hundred, 0.009 still lies above 0.5/100.
    assert graph.repeats(10).tolist() == [5, 2, 0, 0]
    assert graph.repeats(100).tolist() == [50, 26, 1, 0]
