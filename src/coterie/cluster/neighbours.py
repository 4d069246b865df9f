"""Exact nearest neighbours, a chunk of points at a time, on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from coterie.errors import UsageError

# Distances held at a time: 64 MiB of float32.
_CHUNK_DISTANCES = 1 << 24
# Candidates beyond k: distances from a matrix product are a little off, so the last places are decided anew.
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
    if not 1 <= k <= len(points):
        raise UsageError(f"{len(points)} points do not have {k} neighbours each: lower the number of neighbours")
    points = points - points.mean(dim=0)
    norms = points.square().sum(dim=1)
    chunk = max(1, _CHUNK_DISTANCES // len(points))
    found = [
        _nearest(points, norms, start, min(start + chunk, len(points)), k) for start in range(0, len(points), chunk)
    ]
    return torch.cat([distances for distances, _ in found]), torch.cat([places for _, places in found])


def _nearest(points: Tensor, norms: Tensor, start: int, stop: int, k: int) -> tuple[Tensor, Tensor]:
    """Neighbours of the points from `start` to `stop`."""
    part = points[start:stop]
    # ‖x−y‖² less ‖x‖², which does not change the order along a row.
    scores = torch.addmm(norms, part, points.T, alpha=-2)
    own = torch.arange(start, stop, device=points.device)
    scores[torch.arange(stop - start, device=points.device), own] = -torch.inf
    candidates = scores.topk(min(k + _SPARE, len(points)), largest=False).indices
    distances = (points[candidates] - part.unsqueeze(1)).square().sum(dim=2).sqrt()
    distances[:, 0] = -1  # The point itself stays first, also among copies of it.
    order = distances.argsort(dim=1, stable=True)[:, :k]
    return distances.gather(1, order).clamp(min=0), candidates.gather(1, order)
