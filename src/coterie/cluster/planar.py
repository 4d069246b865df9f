"""A map in the plane that keeps neighbours together, in the manner of UMAP (arXiv 1802.03426).

Edges of the neighbour graph pull, every point pushes points drawn at random, and Adam moves all of them at once: with
whole tensors instead of edge by edge ten thousand points take a few seconds on one core.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.fuzzy_graph import Graph, fuzzy_graph

# Random points that each point is pushed from in a step.
_REPELLED = 5
_RATE = 0.5
_DECAYS = (0.9, 0.99)


def planar_map(distances: Tensor, neighbours: Tensor, start: Tensor, *, steps: int = 300, seed: int = 0) -> Tensor:
    """Places (N, 2) whose near points are near by the graph of nearest neighbours.

    The gradient is that of UMAP's cross entropy with a = b = 1: similarity 1/(1 + r²), weights of the fuzzy graph.

    Args:
        distances: (N, k), the point itself first, as `nearest_neighbours` gives them.
        neighbours: (N, k) int64.
        start: (N, 2) where the points begin, such as their principal axes; its scale does not matter.
        steps: moves of all points.
        seed: of the random points; the same one gives the same map.
    """
    places = start.float() / start.float().std(dim=0, correction=0).clamp(min=1e-12)
    if len(places) < 3 or neighbours.shape[1] < 2:
        return places
    graph = fuzzy_graph(distances.float(), neighbours)
    generator = torch.Generator().manual_seed(seed)
    # Copies of one image would stay in one place, on which no force has a direction.
    places = places + 1e-3 * torch.randn(places.shape, generator=generator)
    strength = torch.zeros(len(places)).index_add_(0, graph.rows, graph.weights)
    begins = torch.searchsorted(graph.rows, torch.arange(len(places)))
    first, second = torch.zeros_like(places), torch.zeros_like(places)
    for step in range(steps):
        gradient = _pull(places, graph, begins) - _push(places, strength, generator)
        first = _DECAYS[0] * first + (1 - _DECAYS[0]) * gradient
        second = _DECAYS[1] * second + (1 - _DECAYS[1]) * gradient.square()
        unbiased = [moment / (1 - decay ** (step + 1)) for moment, decay in zip((first, second), _DECAYS, strict=True)]
        places = places - _RATE * (1 - step / steps) * unbiased[0] / (unbiased[1].sqrt() + 1e-8)
    return places


def _pull(places: Tensor, graph: Graph, begins: Tensor) -> Tensor:
    """Gradient of −w·log s over the edges, (N, 2); each pair occurs in both directions, a point's own from `begins`."""
    across, up = places.T.contiguous()
    apart = (across[graph.rows] - across[graph.columns]).square() + (up[graph.rows] - up[graph.columns]).square()
    # A column of ones sums the weights beside the places they weigh.
    sums = F.embedding_bag(
        graph.columns,
        F.pad(places, (0, 1), value=1.0),
        begins,
        mode="sum",
        per_sample_weights=2 * graph.weights / (1 + apart),
    )
    return sums[:, 2:] * places - sums[:, :2]


def _push(places: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Negative gradient of −log(1 − s) against random points, (N, 2), as strong as the edges of each point."""
    total = torch.zeros_like(places)
    for _ in range(_REPELLED):
        others = torch.randperm(len(places), generator=generator)
        apart = places - places[others]
        squared = apart.square().sum(dim=1)
        force = (2 * strength / ((1e-3 + squared) * (1 + squared))).unsqueeze(1) * apart
        total += force.clamp(-4, 4)
    return total
