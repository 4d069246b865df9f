"""k-means of many small sets of points at once: little arithmetic each, so that calls would cost more than the work."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.seeding import plus_plus
from coterie.devices import wide

# Numbers of the points that a pass holds for all its problems: few enough for a processor's caches.
_HELD = 1 << 18


@dataclass(frozen=True)
class ManyResult:
    """The best restart of each set: `labels` (B, N) int64, `centers` (B, K, D), `inertia` (B,), squared Euclidean."""

    labels: Tensor
    centers: Tensor
    inertia: Tensor


def seeds(sets: Tensor, most: int, n_init: int, generator: torch.Generator) -> Tensor:
    """Centers (B, R, `most`, D) by greedy k-means++ in each of sets (B, N, D).

    The first k of them are what it would draw for k clusters, so that one seeding serves all numbers up to `most`.
    """
    return torch.stack([plus_plus(points, most, n_init, generator) for points in sets])


def kmeans_many(
    sets: Tensor, centers: Tensor, *, spherical: bool, max_iter: int = 300, tol: float = 1e-4
) -> ManyResult:
    """`kmeans` in each of B sets of N points from R starts each, in shared passes; what rests leaves them.

    Args:
        sets: (B, N, D), finite; of unit length where `spherical`, else best near the origin.
        centers: to start from (B, R, K, D).
        spherical: keep the centers on the unit sphere.
        max_iter: iterations at the most. tol: as of `kmeans`.
    """
    n_sets, n_init, _, width = centers.shape
    # A column of ones: it adds the centers' norms to a product with them, and counts in one with the members.
    points = F.pad(sets, (0, 1), value=1.0)
    norms = sets.square().sum(dim=(1, 2))
    rest = tol * (norms / sets.shape[1] - sets.mean(dim=1).square().sum(dim=1)).clamp(min=0) / width
    owner = torch.arange(n_sets, device=sets.device).repeat_interleave(n_init)
    at_once = max(1, _HELD // points[0].numel())
    ends, inertia = centers.flatten(0, 1).clone(), wide(norms[owner])
    for start in range(0, len(owner), at_once):
        part = slice(start, start + at_once)
        ends[part] = _iterate(points, owner[part], ends[part], rest[owner[part]], spherical, max_iter)
        inertia[part] += _scores(points[owner[part]], ends[part]).amin(dim=1).to(inertia).sum(dim=1)
    least, best = inertia.view(n_sets, n_init).min(dim=1)
    chosen = ends[torch.arange(n_sets, device=sets.device) * n_init + best]
    return ManyResult(_scores(points, chosen).argmin(dim=1), chosen, least.clamp(min=0))


def _iterate(points: Tensor, owner: Tensor, centers: Tensor, rest: Tensor, spherical: bool, max_iter: int) -> Tensor:
    """Lloyd's iterations of problems with `centers` (P, K, D), each on the points (N, D+1) of its owner."""
    active = torch.arange(len(centers), device=centers.device)
    own = points[owner]
    for _ in range(max_iter):
        scores = _scores(own, centers[active])
        least = scores.amin(dim=1, keepdim=True)
        sums = scores.eq_(least) @ own  # Of equally near centers each has the point.
        counts = sums[..., -1:]
        moved = sums[..., :-1] / counts.clamp(min=1)
        _fill(moved, counts[..., 0] == 0, own, least[:, 0])
        if spherical:
            moved = F.normalize(moved, dim=2)
        moving = (moved - centers[active]).square().sum(dim=(1, 2)) > rest[active]
        centers[active] = moved
        if not bool(moving.all()):
            active, own = active[moving], own[moving]
            if not len(active):
                break
    return centers


def _scores(points: Tensor, centers: Tensor) -> Tensor:
    """Squared distances (P, K, N) less the squared norms of the points (P, N, D+1), whose last column is ones."""
    kernel = torch.cat([-2 * centers, centers.square().sum(dim=2, keepdim=True)], dim=2)
    return kernel @ points.transpose(1, 2)


def _fill(centers: Tensor, empty: Tensor, points: Tensor, least: Tensor) -> None:
    """Move emptied clusters (P, K) to the points farthest from their own centers."""
    if not bool(empty.any()):
        return
    for problem in empty.any(dim=1).nonzero().flatten().tolist():
        holes = empty[problem].nonzero().flatten()
        distances = least[problem] + points[problem, :, :-1].square().sum(dim=1)
        centers[problem, holes] = points[problem, distances.topk(len(holes)).indices, :-1]
