"""Exact nearest neighbours, a chunk of points at a time, on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from coterie.cluster.products import product
from coterie.errors import UsageError

# Distances held at a time: 128 MiB of float32.
_CHUNK_DISTANCES = 1 << 25
# The k nearest lie in the k groups of points with the nearest members, which are found first, without their places.
_GROUP = 64
# Candidates beyond k: distances from a product are a little off, so the last places are decided anew.
_SPARE = 4


def nearest_neighbours(points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest points of each point by Euclidean distance, the point itself first.

    Args:
        points: (N, D) floating point.
        k: neighbours, the point itself among them; 1 ≤ k ≤ N.

    Returns:
        Distances (N, k), rising along each row, and the neighbours' places (N, k) int64.

    Raises:
        UsageError: more neighbours than points.
    """
    count = len(points)
    if not 1 <= k <= count:
        raise UsageError(f"{count} points do not have {k} neighbours each: lower the number of neighbours")
    points = points - points.mean(dim=0)
    # Points infinitely far away fill the last group.
    among = torch.cat([points, points.new_zeros(-count % _GROUP, points.shape[1])])
    norms = among.square().sum(dim=1)
    norms[count:] = torch.inf
    chunk = max(64, _CHUNK_DISTANCES // count)
    distances, places = [], []
    for start in range(0, count, chunk):
        part = slice(start, min(start + chunk, count))
        candidates = _candidates(among, norms, part, min(k + _SPARE, count))
        found, order = _exact(points, part, candidates, k)
        distances.append(found)
        places.append(candidates.gather(1, order))
    return torch.cat(distances), torch.cat(places)


def _candidates(among: Tensor, norms: Tensor, part: slice, count: int) -> Tensor:
    """Places (n, count) of the points nearest to those in `part`, themselves first."""
    # Squared distances less a number for each column: points along the rows, those that ask along the columns.
    scores = product(among, -2 * among[part]).add_(norms.unsqueeze(1))
    own = torch.arange(part.start, part.stop, device=among.device)
    scores[own, own - part.start] = -torch.inf
    groups = scores.view(-1, _GROUP, len(own)).amin(dim=1).T.contiguous()
    nearest = groups.topk(min(count, groups.shape[1]), largest=False).indices
    members = torch.arange(_GROUP, device=among.device)
    members = (nearest.unsqueeze(2) * _GROUP + members).flatten(1)
    return members.gather(1, scores.T.gather(1, members).topk(count, largest=False).indices)


def _exact(points: Tensor, part: slice, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Distances (n, k) to the nearest candidates, rising, and which these are."""
    distances = (points[candidates] - points[part].unsqueeze(1)).square_().sum(dim=2).sqrt_()
    distances[:, 0] = -1  # The point itself stays first, also among copies of it.
    order = distances.argsort(dim=1, stable=True)[:, :k]
    return distances.gather(1, order).clamp_(min=0), order
