"""What was said spreads: by the slow way, and by hand."""

from __future__ import annotations

import torch

from coterie.cluster.kmeans import kmeans
from coterie.cluster.propagation import NeighbourGraph, follow, spread, taken_over


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sparse(matrix: torch.Tensor) -> torch.Tensor:
    return matrix.double().to_sparse_csr()


def test_a_graph_is_even_and_symmetric() -> None:
    graph = NeighbourGraph.of(torch.randn(40, 3, dtype=torch.float64, generator=draw()))
    even, symmetric = graph.even.to_dense(), graph.symmetric.to_dense()
    torch.testing.assert_close(even.sum(dim=1), torch.ones(40, dtype=torch.float64))
    torch.testing.assert_close(symmetric, symmetric.T)
    # Both are made of the same weights W: D^(½) (D^(−1) W) D^(−½).
    assert torch.equal(even > 0, symmetric > 0)
    assert float(torch.linalg.eigvalsh(symmetric).max()) < 1 + 1e-9


def test_what_was_said_spreads_as_the_slow_twin_has_it() -> None:
    graph = NeighbourGraph.of(torch.randn(25, 2, dtype=torch.float64, generator=draw()))
    sources = torch.zeros(25, 3, dtype=torch.float64)
    sources[[0, 1, 2, 3], [0, 0, 1, 2]] = 1
    even = sources / sources.sum(dim=0)
    step, total = even, torch.zeros_like(even)
    for passes in range(60):
        total += 0.05 * 0.95**passes * step
        step = graph.symmetric.to_dense() @ step
    total += 0.95**60 * step
    total /= total.sum(dim=0)
    torch.testing.assert_close(spread(sources, graph), total / total.sum(dim=1, keepdim=True))


def test_a_point_between_two_names_believes_both_alike_and_one_beyond_reach_everything() -> None:
    # A chain of three, and a point by itself.
    chain = torch.tensor([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    sources = torch.tensor([[1.0, 0], [0, 0], [0, 1], [0, 0]], dtype=torch.float64)
    believed = spread(sources, NeighbourGraph(sparse(chain), sparse(chain / 2**0.5)))
    torch.testing.assert_close(believed[[1, 3]], torch.full((2, 2), 0.5, dtype=torch.float64))
    assert believed[0, 0] > 0.5 > believed[0, 1]


def test_names_take_over_one_cluster_each_and_leave_the_others() -> None:
    places = torch.tensor([0.0, 0.1, 0.2, 0.3, 5.0, 5.1, 5.2, 9.0, 9.1], dtype=torch.float64).unsqueeze(1)
    graph = NeighbourGraph.of(places)
    clusters = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2])
    told = torch.full((9,), -1)
    told[[4, 5, 0]] = torch.tensor([0, 0, 1])
    assert taken_over(clusters, told, 3, graph).tolist() == [1] * 4 + [0] * 3 + [2] * 2
    assert taken_over(clusters, told, 2, graph).tolist() == [1] * 4 + [0] * 3 + [-1] * 2
    # Of two clusters without a number, the one of which nothing was said stays.
    told = torch.tensor([0, 0, -1, -1, 0, -1, -1, -1, -1])
    assert taken_over(clusters, told, 2, graph).tolist() == [0] * 4 + [-1] * 3 + [1] * 2


def test_groups_that_a_person_looked_at_count_more_than_those_that_were_found() -> None:
    places = torch.cat([torch.randn(40, 2, generator=draw()), torch.randn(40, 2, generator=draw(1)) + 1.5]).double()
    start = (torch.arange(80) >= 40).long()
    told = torch.full((80,), -1)
    told[:10], told[40:50] = 0, 1
    graph = NeighbourGraph.of(places)
    seen, found = (follow(places, start, told, 2, graph, looked_at=looked_at) for looked_at in (True, False))
    assert int((seen == start).sum()) >= int((found == start).sum())


def test_kmeans_keeps_to_what_is_known() -> None:
    points = torch.randn(60, 3, generator=draw())
    named = torch.full((60,), -1)
    named[:12] = torch.arange(12) % 3
    for metric in ("euclidean", "cosine"):
        found = kmeans(points, 5, metric=metric, named=named, generator=draw())  # type: ignore[arg-type]
        assert torch.equal(found.labels[:12], named[:12])
        assert len(found.labels.unique()) == 5
    everything = torch.arange(60) % 4
    assert torch.equal(kmeans(points, 4, named=everything, generator=draw()).labels, everything)


def test_kmeans_without_a_known_point_is_as_ever() -> None:
    points = torch.randn(60, 3, generator=draw())
    plain, named = (kmeans(points, 4, named=told, generator=draw()) for told in (None, torch.full((60,), -1)))
    assert torch.equal(plain.labels, named.labels)
