"""Self-labelling: groups found anew from their surest points, along the graph of nearest neighbours.

Whatever found groups, by centers or by covariances, cuts space where few look; what lies near such a cut is told better
by its neighbours. As in SCAN's last step (Van Gansbeke et al., ECCV 2020) the sure points teach the unsure ones, but
by a graph in place of a network.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.propagation import NeighbourGraph, propagated

# The share of each group that teaches.
_SURE = 0.7
# The power of its size that a group's voice is divided by: with 0 large groups grow, with 1 small ones do.
_EVENLY = 0.5


def self_labelled(points: Tensor, places: Tensor, labels: Tensor, n_clusters: int) -> Tensor:
    """The group of each point (N,) int64, by what reaches it from the surest of each group; where nothing, its own.

    Args:
        points: (N, d) unit vectors on the CPU, whose neighbours are asked.
        places: (N, m) unit vectors along the axes that groups differ in. Sure is who lies nearer to the middle of its
            own group than to any other by more than three tenths of the group do.
        labels: (N,) int64, the groups to begin with.
        n_clusters: K.
    """
    members = F.one_hot(labels, n_clusters).double()
    sure = members * _surest(places.double(), labels, members).unsqueeze(1)
    sources = sure / sure.sum(dim=0).clamp(min=1) ** _EVENLY
    reached = propagated(sources, NeighbourGraph.of(points))
    return torch.where(reached.sum(dim=1) > 0, reached.argmax(dim=1), labels)


def _surest(places: Tensor, labels: Tensor, members: Tensor) -> Tensor:
    """Which points (N,) bool are among the surest of their group."""
    middles = F.normalize(members.T @ places, dim=1)
    near = places @ middles.T
    margin = near.gather(1, labels.unsqueeze(1)).squeeze(1) - near.masked_fill(members.bool(), -torch.inf).amax(dim=1)
    sizes = members.sum(dim=0).long()
    order = margin.argsort(descending=True, stable=True)
    order = order[labels[order].argsort(stable=True)]
    rank = torch.empty_like(labels)
    rank[order] = torch.arange(len(labels)) - (sizes.cumsum(0) - sizes)[labels[order]]
    return rank < (_SURE * sizes).ceil()[labels]
