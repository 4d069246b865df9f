"""Lloyd's iterations for many restarts at once, without ever holding N×K distances."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.products import nearest
from coterie.devices import wide, widest
from coterie.processes import ALONE, Processes

# Points summed in their own precision before they are added to the total.
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Assignment:
    """One pass over the points for R sets of centers.

    `labels` (R, N) int64; `distances` (R, N), squared Euclidean to the nearest center; `sums` (R, K, D) in wide floats
    and `counts` (R, K) int64 of the members. Sums and counts add up over shards of the points.
    """

    labels: Tensor
    distances: Tensor
    sums: Tensor
    counts: Tensor

    def of(self, restarts: Tensor) -> Assignment:
        """That of some restarts alone; `restarts` (R,) bool."""
        if bool(restarts.all()):
            return self
        return Assignment(self.labels[restarts], self.distances[restarts], self.sums[restarts], self.counts[restarts])

    @property
    def inertia(self) -> Tensor:
        """Sums of squared distances, (R,) in wide floats."""
        return wide(self.distances).sum(dim=1)


def assign(
    points: Tensor, norms: Tensor, centers: Tensor, before: Assignment | None = None, named: Tensor | None = None
) -> Assignment:
    """Nearest centers (R, K, D) for points (N, D) with squared norms (N,); all restarts share one pass.

    An assignment `before` this one, to centers that were near these, saves summing the points that stayed. Points that
    are `named` (N,), other than −1, belong to the center of that number, however near others are.
    """
    n_init, n_clusters, _ = centers.shape
    n_points = points.shape[0]
    labels = torch.empty(n_init, n_points, dtype=torch.int64, device=points.device)
    distances = torch.empty(n_init, n_points, dtype=points.dtype, device=points.device)
    for part, least, index in nearest(points, centers):
        labels[:, part] = index.T
        distances[:, part] = least.T + norms[part]
    if named is not None:
        labels = torch.where(named >= 0, named, labels)
    members = [
        totals(points, own, n_clusters) if before is None else _moved(points, own, before, place)
        for place, own in enumerate(labels)
    ]
    sums, counts = (torch.stack(parts) for parts in zip(*members, strict=True))
    return Assignment(labels, distances.clamp_(min=0), sums, counts)


def _moved(points: Tensor, labels: Tensor, before: Assignment, restart: int) -> tuple[Tensor, Tensor]:
    """`totals` of a restart from those of the assignment before it, by the points whose label changed."""
    previous, n_clusters = before.labels[restart], before.counts.shape[1]
    changed = (labels != previous).nonzero().squeeze(1)
    if 4 * len(changed) > len(labels):
        return totals(points, labels, n_clusters)
    moving = points[changed]
    gained, arrived = totals(moving, labels[changed], n_clusters)
    lost, left = totals(moving, previous[changed], n_clusters)
    return before.sums[restart] + gained - lost, before.counts[restart] + arrived - left


def totals(points: Tensor, labels: Tensor, n_clusters: int) -> tuple[Tensor, Tensor]:
    """Sums (K, D) and counts (K,) of the points (N, D) of each label (N,), in wide floats and the same every time."""
    sums = torch.zeros(n_clusters, points.shape[1], dtype=widest(points.device), device=points.device)
    counts = torch.zeros(n_clusters, dtype=torch.int64, device=points.device)
    for start in range(0, len(points), _BLOCK):
        part = labels[start : start + _BLOCK]
        sizes = torch.bincount(part, minlength=n_clusters)
        # Each bag is summed in the order of its members, which a scatter does not promise on every device.
        bags = F.embedding_bag(
            part.argsort(stable=True), points[start : start + _BLOCK], sizes.cumsum(dim=0) - sizes, mode="sum"
        )
        sums += bags
        counts += sizes
    return sums, counts


def lloyd(
    points: Tensor, centers: Tensor, *, spherical: bool, max_iter: int, tol: float, named: Tensor | None = None,
    group: Processes = ALONE,
) -> tuple[Tensor, Assignment, int]:  # fmt: skip
    """Iterate until each restart's centers rest; a restart that rests leaves the computation.

    Args:
        points: (N, D); of unit length where `spherical`.
        centers: starting centers (R, K, D).
        spherical: keep the centers on the unit sphere.
        max_iter: iterations at the most.
        tol: a restart rests when the squared movement of its centers, summed, is at most `tol` times the mean
            variance of the features.
        named: (N,) int64, the center that a point belongs to in any case, or −1.
        group: processes of which each has a shard of the points, and all the same centers.

    Returns:
        Centers (R, K, D), the assignment of these points to them, and the iterations of the slowest restart.
    """
    norms = (points * points).sum(dim=1)
    variance = (group.mean(norms) - group.mean(points).square().sum()).clamp(min=0) / points.shape[1]
    centers = centers.clone()
    active = torch.arange(centers.shape[0], device=points.device)
    assignment: Assignment | None = None
    iteration = 0
    while iteration < max_iter and len(active):
        iteration += 1
        assignment = assign(points, norms, centers[active], assignment, named)
        moved = _update(points, assignment, spherical, group)
        moving = (moved - centers[active]).square().sum(dim=(1, 2)) > tol * variance
        centers[active] = moved
        active, assignment = active[moving], assignment.of(moving)
    return centers, assign(points, norms, centers, named=named), iteration


def _update(points: Tensor, assignment: Assignment, spherical: bool, group: Processes) -> Tensor:
    """Means of the members; an emptied cluster moves to the point farthest from its own center."""
    sums, counts = group.sum(assignment.sums), group.sum(assignment.counts)
    centers = (sums / counts.clamp(min=1).unsqueeze(2)).to(points.dtype)
    empty = counts == 0
    if bool(empty.any()):
        for restart in empty.any(dim=1).nonzero().flatten().tolist():
            holes = empty[restart].nonzero().flatten()
            farthest = _farthest(points, assignment.distances[restart], len(holes), group)
            centers[restart, holes[: len(farthest)]] = farthest
    return F.normalize(centers, dim=2) if spherical else centers


def _farthest(points: Tensor, distances: Tensor, most: int, group: Processes) -> Tensor:
    """Up to `most` of the points of all processes, those of the largest distances (N,) first."""
    found = distances.topk(min(most, len(points)))
    # Everyone sends equally many; what it lacks is nearer than any point.
    own, rows = distances.new_full((most,), -1.0), points.new_zeros(most, points.shape[1])
    own[: len(found.values)], rows[: len(found.values)] = found.values, points[found.indices]
    own, rows = group.gather(own), group.gather(rows)
    best = own.topk(most)
    return rows[best.indices[best.values >= 0]]
