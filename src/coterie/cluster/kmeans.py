"""k-means, Euclidean and spherical, on tensors of any device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.lloyd import assign, lloyd
from coterie.cluster.range import in_range
from coterie.cluster.seeding import plus_plus, with_known
from coterie.devices import wide, widest
from coterie.errors import CoterieError, UsageError
from coterie.processes import ALONE, Processes

# Points that centers are seeded from: as many, and as many for each cluster.
_SAMPLE, _SAMPLE_EACH = 8192, 16
# Points for each cluster with which a sample's own k-means is a good start, and how many of its restarts go on.
_AMPLE, _FINALISTS = 256, 3
# By how much of the points' squares an inertia may be off.
_ROUNDING = 1e-6

Metric = Literal["euclidean", "cosine"]


@dataclass(frozen=True)
class KMeansResult:
    """The best restart: `labels` (N,) int64, `centers` (K, D), `inertia` and `iterations`.

    `inertia` is the sum of squared distances to the nearest center (Euclidean) or of 1−cos (cosine).
    """

    labels: Tensor
    centers: Tensor
    inertia: float
    iterations: int
    responsibilities: None = None


def kmeans(
    points: Tensor,
    n_clusters: int,
    *,
    metric: Metric = "euclidean",
    n_init: int = 10,
    max_iter: int = 300,
    tol: float = 1e-4,
    proportions: Tensor | None = None,
    named: Tensor | None = None,
    generator: torch.Generator,
    group: Processes = ALONE,
) -> KMeansResult:
    """Cluster points by k-means with greedy k-means++ and `n_init` restarts that share every pass over the data.

    Args:
        points: (N, D) floating point, finite; for cosine of any non-zero length.
        n_clusters: K, 1 ≤ K ≤ N.
        metric: "euclidean", or "cosine" for spherical k-means.
        n_init: restarts; the one of least inertia is returned. Of many points, those few that do best on a sample of
            them go on to all.
        max_iter: iterations of each restart at the most.
        tol: relative tolerance for the movement of the centers, as in scikit-learn.
        proportions: (K,) the restart whose cluster sizes are nearest to these, by KL divergence, is returned instead,
            its clusters in their order; None for the least inertia.
        named: (N,) int64, the cluster of each point that is known, from 0 to C−1 and each met, else −1. These are the
            first C clusters, begin at their known members and keep them; no `proportions` then.
        generator: on the points' device.
        group: processes that share the points: `points` are the rows `group.share(N)` of N, and the generators alike.
            The result is that of all points, its labels included, and the same in every process.

    Raises:
        UsageError: an argument out of range, or fewer points than clusters.
        CoterieError: points that are not finite, or too large to be squared even in float64.
    """
    total = int(group.sum(torch.tensor(len(points))))
    points = _checked(points, total, n_clusters, metric, n_init, max_iter, group)
    if metric == "cosine":
        points, origin = F.normalize(points, dim=1), torch.zeros_like(points[0])
    else:
        # Distances between points near the origin lose fewer digits in float32.
        origin = group.mean(points)
        points = points - origin
    spherical = metric == "cosine"
    iterate = partial(lloyd, spherical=spherical, max_iter=max_iter, tol=tol)
    few, centers = _seeded(points, total, n_clusters, n_init, generator, group)
    if named is not None:
        centers = with_known(centers, points, named, group)
        centers = F.normalize(centers, dim=2) if spherical else centers
    elif len(few) < total and len(few) >= _AMPLE * n_clusters:
        # A sample brings the centers most of the way at a fraction of the cost; a scant one would lead them astray.
        centers, tried, _ = iterate(few, centers)
        centers = centers[tried.inertia.argsort(stable=True)[: _FINALISTS if proportions is None else None]]
    centers, assignment, iterations = iterate(points, centers, named=named, group=group)
    inertias, counts = group.sum(assignment.inertia), group.sum(assignment.counts)
    squares = group.sum(torch.linalg.vector_norm(points, dtype=widest(points.device)).square())
    best = _first_least(inertias, squares) if proportions is None else nearest_sizes(counts, proportions)
    # |x−c|² = 2(1−cos) on the unit sphere.
    scale = 0.5 if metric == "cosine" else 1.0
    labels = group.gather_shares(assignment.labels[best])
    found = KMeansResult(labels, centers[best] + origin, scale * float(inertias[best]), iterations)
    return found if proportions is None else _ordered(found, proportions)


def _first_least(inertias: Tensor, squares: Tensor) -> int:
    """The first restart (R,) of the least inertia. Those that differ by rounding found the same groups, and which of
    them is least would depend on how many processes added them up."""
    return int((inertias <= inertias.min() + _ROUNDING * squares).int().argmax())


def _seeded(
    points: Tensor, total: int, n_clusters: int, n_init: int, generator: torch.Generator, group: Processes
) -> tuple[Tensor, Tensor]:
    """A sample of all points, or all of them where it would not be much smaller, and centers (R, K, D) seeded in it."""
    size, ample = max(_SAMPLE, _SAMPLE_EACH * n_clusters), _AMPLE * n_clusters
    if total < 2 * size:
        few = group.gather_shares(points)
        return few, plus_plus(few, n_clusters, n_init, generator)
    few = sampled(points, total, max(size, ample) if total >= 2 * ample else size, generator, group)
    return few, plus_plus(few[:size], n_clusters, n_init, generator)


def sampled(points: Tensor, total: int, size: int, generator: torch.Generator, group: Processes) -> Tensor:
    """`size` rows drawn of the `total` that the processes share, the same in each of them."""
    drawn = torch.randperm(total, generator=generator, device=points.device)[:size]
    return group.picked(points, total, drawn)


def nearest_center(points: Tensor, centers: Tensor, *, metric: Metric = "euclidean") -> Tensor:
    """Index of the nearest center (K, D) of each point (N, D): (N,) int64."""
    points = in_range(points)
    centers = centers.to(points.dtype)
    if metric == "cosine":
        points, centers = F.normalize(points, dim=1), F.normalize(centers, dim=1)
    origin = centers.mean(dim=0)
    points = points - origin
    return assign(points, (points * points).sum(dim=1), (centers - origin).unsqueeze(0)).labels[0]


def nearest_sizes(counts: Tensor, proportions: Tensor) -> int:
    """The restart of `counts` (R, K) nearest by `KL(wanted‖found)` to `proportions` (K,), both from large to small."""
    wanted = wide(proportions / proportions.sum()).sort(descending=True).values
    found = (wide(counts) / wide(counts).sum(dim=1, keepdim=True)).sort(dim=1, descending=True).values
    return int((wanted * (wanted / found.clamp(min=1e-12)).log()).sum(dim=1).argmin())


def _ordered(found: KMeansResult, proportions: Tensor) -> KMeansResult:
    """The clusters numbered so that the largest is the one of the largest proportion, and so on."""
    sizes = torch.bincount(found.labels, minlength=len(proportions))
    order = torch.empty_like(sizes)
    order[proportions.argsort(descending=True, stable=True)] = sizes.argsort(descending=True, stable=True)
    return replace(found, labels=order.argsort()[found.labels], centers=found.centers[order])


def _checked(
    points: Tensor, total: int, n_clusters: int, metric: str, n_init: int, max_iter: int, group: Processes
) -> Tensor:
    if points.ndim != 2:
        raise UsageError(f"k-means wants points of shape (N, D), got {tuple(points.shape)}")
    if metric not in ("euclidean", "cosine"):
        raise UsageError(f"metric is 'euclidean' or 'cosine', not '{metric}'")
    if min(n_clusters, n_init, max_iter) < 1:
        raise UsageError("n_clusters, n_init and max_iter must be at least 1")
    if total < n_clusters:
        samples = "1 sample" if total == 1 else f"{total} samples"
        raise UsageError(f"{samples} cannot form {n_clusters} clusters: ask for fewer clusters")
    if not group.all_finite(points):
        raise CoterieError("k-means met a value that is not finite (NaN or infinity)")
    return in_range(points, group)
