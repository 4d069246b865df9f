"""Lloyd's iterations for many restarts at once, without ever holding N×K distances."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Scores held at a time: small enough for a core's cache, large enough for the matrix product to be efficient.
_CHUNK_SCORES = 1 << 20


@dataclass(frozen=True)
class Assignment:
    """One pass over the points for R sets of centers.

    `labels` (R, N) int64; `distances` (R, N), squared Euclidean to the nearest center; `sums` (R, K, D) and
    `counts` (R, K) of the members. Sums and counts add up over shards of the points.
    """

    labels: Tensor
    distances: Tensor
    sums: Tensor
    counts: Tensor

    @property
    def inertia(self) -> Tensor:
        """Sums of squared distances, (R,) float64."""
        return self.distances.double().sum(dim=1)


def assign(points: Tensor, norms: Tensor, centers: Tensor) -> Assignment:
    """Nearest centers (R, K, D) for points (N, D) with squared norms (N,); all restarts share one pass."""
    n_init, n_clusters, width = centers.shape
    n_points = points.shape[0]
    flat = centers.reshape(-1, width)
    center_norms = (flat * flat).sum(dim=1)
    labels = torch.empty(n_init, n_points, dtype=torch.int64, device=points.device)
    distances = torch.empty(n_init, n_points, dtype=points.dtype, device=points.device)
    sums, counts = torch.zeros_like(flat), torch.zeros_like(center_norms)
    offsets = torch.arange(n_init, device=points.device) * n_clusters
    chunk = max(256, _CHUNK_SCORES // flat.shape[0])
    for start in range(0, n_points, chunk):
        part = slice(start, start + chunk)
        scores = torch.addmm(center_norms, points[part], flat.T, alpha=-2).view(-1, n_init, n_clusters)
        nearest, index = scores.min(dim=2)
        labels[:, part] = index.T
        distances[:, part] = nearest.T + norms[part]
        _accumulate(points[part], index + offsets, sums, counts)
    return Assignment(labels, distances.clamp_(min=0), sums.view_as(centers), counts.view(n_init, n_clusters))


def _accumulate(points: Tensor, index: Tensor, sums: Tensor, counts: Tensor) -> None:
    """Add points (n, D) to rows `index` (n, R) of `sums`, and ones to `counts`."""
    if sums.shape[0] <= 512:
        members = torch.zeros(points.shape[0], sums.shape[0], dtype=points.dtype, device=points.device)
        members.scatter_(1, index, 1.0)
        sums.addmm_(members.T, points)
        counts.add_(members.sum(dim=0))
    else:
        for restart in index.T:
            sums.index_add_(0, restart, points)
            counts.index_add_(0, restart, torch.ones_like(restart, dtype=counts.dtype))


def lloyd(
    points: Tensor, centers: Tensor, *, spherical: bool, max_iter: int, tol: float
) -> tuple[Tensor, Assignment, int]:
    """Iterate until each restart's centers rest; a restart that rests leaves the computation.

    Args:
        points: (N, D); of unit length where `spherical`.
        centers: starting centers (R, K, D).
        spherical: keep the centers on the unit sphere.
        max_iter: iterations at the most.
        tol: a restart rests when the squared movement of its centers, summed, is at most `tol` times the mean
            variance of the features.

    Returns:
        Centers (R, K, D), the assignment to them, and the iterations of the slowest restart.
    """
    norms = (points * points).sum(dim=1)
    threshold = tol * points.var(dim=0, unbiased=False).mean()
    centers = centers.clone()
    active = torch.arange(centers.shape[0], device=points.device)
    iteration = 0
    while iteration < max_iter and len(active):
        iteration += 1
        moved = _update(points, assign(points, norms, centers[active]), spherical)
        shift = (moved - centers[active]).square().sum(dim=(1, 2))
        centers[active] = moved
        active = active[shift > threshold]
    return centers, assign(points, norms, centers), iteration


def _update(points: Tensor, assignment: Assignment, spherical: bool) -> Tensor:
    """Means of the members; an emptied cluster moves to the point farthest from its own center."""
    centers = assignment.sums / assignment.counts.clamp(min=1).unsqueeze(2)
    empty = assignment.counts == 0
    if bool(empty.any()):
        for restart in empty.any(dim=1).nonzero().flatten().tolist():
            holes = empty[restart].nonzero().flatten()
            farthest = assignment.distances[restart].topk(min(len(holes), points.shape[0])).indices
            centers[restart, holes[: len(farthest)]] = points[farthest]
    return F.normalize(centers, dim=2) if spherical else centers
