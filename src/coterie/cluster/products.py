"""Products of points and centers, a chunk of points at a time, by the fastest way a device has."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

# Scores held at a time: on a CPU few enough to stay in its caches, elsewhere many enough to keep it busy.
_CPU_SCORES, _DEVICE_SCORES = 1 << 20, 1 << 26
# With many centers the least score is sought among the least of groups of this many: a minimum without its place is
# several times as fast as one with it.
_GROUP, _MANY = 64, 256


def scores(points: Tensor, centers: Tensor, bias: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """`bias − 2·x·c` for chunks of the points: which rows they are, and (rows, M).

    With the squared norms of the centers as bias this is the squared distance but for the norms of the points.

    Args:
        points: (N, D), contiguous. centers: (M, D). bias: (M,).
    """
    held = _CPU_SCORES if points.device.type == "cpu" else _DEVICE_SCORES
    chunk = max(256, held // len(centers))
    doubled = -2 * centers
    for start in range(0, len(points), chunk):
        part = points[start : start + chunk]
        yield slice(start, start + len(part)), product(part, doubled, bias)


def product(points: Tensor, others: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x·y` for all pairs, (N, M), plus `bias` (M,): points (N, D), contiguous, and others (M, D).

    In float32 on a CPU a 1×1 convolution is the same product, and on many CPUs twice as fast as that of linear algebra.
    """
    if points.device.type == "cpu" and points.dtype == torch.float32:
        as_image = points[None, None].permute(0, 3, 1, 2)  # 1×D×1×N, channels last.
        return F.conv2d(as_image, others[:, :, None, None], bias)[0, :, 0].T
    return points @ others.T if bias is None else torch.addmm(bias, points, others.T)


def nearest(points: Tensor, centers: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """The nearest of each of R sets of K centers for chunks of the points.

    Args:
        points: (N, D), contiguous. centers: (R, K, D).

    Yields:
        Which rows they are, squared distances less the squared norms of the points (rows, R), and indices (rows, R).
    """
    n_init, n_clusters, width = centers.shape
    norms = centers.square().sum(dim=2)
    if n_clusters >= _MANY:
        # Centers infinitely far away fill the last group.
        missing = -n_clusters % _GROUP
        centers = torch.cat([centers, centers.new_zeros(n_init, missing, width)], dim=1)
        norms = torch.cat([norms, norms.new_full((n_init, missing), torch.inf)], dim=1)
    for part, found in scores(points, centers.reshape(-1, width), norms.flatten()):
        by_restart = found.view(-1, n_init, centers.shape[1])
        least, index = by_restart.min(dim=2) if n_clusters < _MANY else _least(by_restart)
        yield part, least, index


def _least(values: Tensor) -> tuple[Tensor, Tensor]:
    """`values.min(dim=2)` for a last dimension of whole groups."""
    groups = values.view(*values.shape[:2], -1, _GROUP)
    least, group = groups.amin(dim=3).min(dim=2)
    within = groups.gather(2, group[..., None, None].expand(-1, -1, 1, _GROUP)).squeeze(2).argmin(dim=2)
    return least, group * _GROUP + within
