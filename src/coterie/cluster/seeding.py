"""Greedy k-means++ for many restarts at once (Arthur and Vassilvitskii, SODA 2007)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.devices import wide
from coterie.processes import ALONE, Processes


def squared_distances(points: Tensor, norms: Tensor, centers: Tensor) -> Tensor:
    """Squared Euclidean distances (M, N) from centers (M, D) to points (N, D) with squared norms (N,)."""
    center_norms = (centers * centers).sum(dim=1, keepdim=True)
    return torch.addmm(center_norms + norms, centers, points.T, alpha=-2).clamp_(min=0)


def plus_plus(points: Tensor, n_clusters: int, n_init: int, generator: torch.Generator) -> Tensor:
    """Starting centers by greedy k-means++: each next center is the best of 2+⌊log K⌋ drawn candidates.

    Candidates are drawn with probability proportional to the **squared** distance to the nearest center so far.

    Args:
        points: (N, D).
        n_clusters: K.
        n_init: R, restarts seeded side by side.
        generator: on the points' device.

    Returns:
        Centers (R, K, D).
    """
    n_points, trials = points.shape[0], 2 + int(math.log(n_clusters))
    norms = (points * points).sum(dim=1)
    first = torch.randint(n_points, (n_init,), generator=generator, device=points.device)
    chosen = [first]
    closest = squared_distances(points, norms, points[first])
    for _ in range(n_clusters - 1):
        candidates = _draw(closest, trials, generator)
        distances = squared_distances(points, norms, points[candidates.flatten()])
        distances = torch.minimum(distances.view(n_init, trials, -1), closest.unsqueeze(1))
        best = distances.sum(dim=2).argmin(dim=1)
        closest = distances[torch.arange(n_init, device=points.device), best]
        chosen.append(candidates.gather(1, best.unsqueeze(1)).squeeze(1))
    return points[torch.stack(chosen, dim=1)]


def with_known(centers: Tensor, points: Tensor, named: Tensor, group: Processes = ALONE) -> Tensor:
    """Centers (R, K, D) of which the first C are the means of known members, and the others those farthest from these.

    Args:
        centers: (R, K, D), of which each restart gives up the C nearest to the known ones.
        points: (N, D). named: (N,) int64, from 0 to C−1, each met, or −1.
        group: processes of which each has a share of the points.
    """
    known = F.one_hot(named.clamp(min=0), centers.shape[1]).to(points) * (named >= 0).unsqueeze(1)
    sums, counts = group.sum(known.T @ points), group.sum(known.sum(dim=0))
    means = (sums / counts.clamp(min=1).unsqueeze(1))[counts > 0]
    if not len(means):
        return centers
    if len(means) == centers.shape[1]:
        return means.expand_as(centers).clone()
    farness = torch.cdist(centers, means.expand(len(centers), -1, -1)).amin(dim=2)
    others = farness.topk(centers.shape[1] - len(means), dim=1).indices.unsqueeze(2).expand(-1, -1, points.shape[1])
    return torch.cat([means.expand(len(centers), -1, -1), centers.gather(1, others)], dim=1)


def _draw(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` indices per row of `weights` (R, N), drawn with those weights: (R, count) int64."""
    cumulative = wide(weights).cumsum(dim=1)
    uniform = torch.rand(weights.shape[0], count, generator=generator, device=weights.device, dtype=cumulative.dtype)
    drawn = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
    return drawn.clamp_(max=weights.shape[1] - 1)
