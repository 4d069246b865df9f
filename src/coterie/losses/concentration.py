"""Contrast with prototypes of known concentration (PCL, Li et al., arXiv 2005.04966)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.processes import ALONE, Processes

_NARROWEST = 0.01


def concentration(
    embeddings: Tensor, labels: Tensor, centers: Tensor, *, temperature: float, group: Processes = ALONE
) -> Tensor:
    """How widely each cluster's members lie, scaled to the mean τ (PCL, eq. 12): the temperature of its logits.

    `φ_c = mean_v ‖v−c‖ / log(|V|+10)`; clusters of one member or none take the largest φ; all are clipped to the 10th
    and 90th percentile. Where no cluster has any width, all are τ.

    Args:
        embeddings: (N, d). labels: (N,) int64. centers: (K, d).
        temperature: τ.
        group: processes of which each has some of the embeddings, with their labels.

    Returns:
        φ (K,), of mean τ.
    """
    n_clusters = len(centers)
    distances = (embeddings - centers[labels]).norm(dim=1)
    counts = group.sum(torch.bincount(labels, minlength=n_clusters)).to(distances.dtype)
    sums = group.sum(torch.zeros_like(counts).index_add_(0, labels, distances))
    phi = sums / counts.clamp(min=1) / (counts + 10).log()
    several = counts > 1
    phi = torch.where(several, phi, torch.where(several, phi, torch.zeros_like(phi)).max())
    ends = torch.quantile(phi, torch.tensor([0.1, 0.9], dtype=phi.dtype, device=phi.device))
    phi = phi.clamp(ends[0], ends[1])
    mean = phi.mean()
    # Members that are all alike, or clusters of one, have no width to divide by.
    return temperature * torch.where(mean > 0, (phi / mean).clamp(min=_NARROWEST), torch.ones_like(phi))


def prototype_contrast(
    query: Tensor,
    centers: Tensor,
    density: Tensor,
    positive: Tensor,
    negative: Tensor,
    counted: Tensor | None = None,
) -> Tensor:
    """InfoNCE of each query against its own prototype and some others, logits `q̂·c/φ_c` (PCL, eq. 11).

    Args:
        query: online projections, (n, d), of any length.
        centers: prototypes, (K, d), taken as they are.
        density: φ, (K,), from `concentration`.
        positive: each query's own prototype, (n,) int64.
        negative: other prototypes, (m,) int64, shared by all queries.
        counted: which of them are negatives indeed, (m,) boolean; None for all.
    """
    query = F.normalize(query, dim=1)
    own = (query * centers[positive]).sum(dim=1) / density[positive]
    others = query @ centers[negative].T / density[negative]
    if counted is not None:
        others = others.masked_fill(~counted, float("-inf"))
    logits = torch.cat([own.unsqueeze(1), others], dim=1)
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.int64, device=query.device))
