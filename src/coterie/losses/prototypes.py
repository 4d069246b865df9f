"""Prototypes of a batch and their scattering (ProPos, arXiv 2111.11821, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# Clusters with less than half an image in the batch are taken as absent.
_LEAST_MASS = 0.5


def memberships(labels: Tensor, n_clusters: int) -> Tensor:
    """Which of the clusters 0..K−1 each label (n,) names: (n, K) boolean; labels out of that range name none."""
    # `one_hot` looks at its values first, for which an accelerator has to wait.
    return labels.unsqueeze(1) == torch.arange(n_clusters, device=labels.device)


def batch_prototypes(embeddings: Tensor, labels: Tensor, *, n_clusters: int) -> tuple[Tensor, Tensor]:
    """The normalised mean of each cluster's normalised members.

    Args:
        embeddings: (n, d), of any length.
        labels: (n,) int64 in 0..n_clusters−1, or −1 for members of no cluster; or how far each embedding belongs to
            each cluster, (n, K) floating point.
        n_clusters: K.

    Returns:
        prototypes (K, d), zero for clusters without a member, and counts (K,) in the embeddings' dtype.
    """
    # A product with the membership matrix instead of a scatter: deterministic on every device.
    members = (labels if labels.is_floating_point() else memberships(labels, n_clusters)).to(embeddings.dtype)
    counts = members.sum(dim=0)
    sums = members.T @ F.normalize(embeddings, dim=1)
    return F.normalize(sums / counts.clamp(min=_LEAST_MASS).unsqueeze(1), dim=1), counts


def prototype_scattering(
    online: Tensor, target: Tensor, labels: Tensor, *, n_clusters: int, temperature: float
) -> Tensor:
    """Prototype scattering loss: each prototype near its counterpart and far from the others (ProPos, eq. 6).

    Logits are `μ_k·μ_l/τ` off the diagonal and `μ_k·μ'_k/τ` on it. Clusters without a member in the batch are left
    out of rows and columns alike, by masking, so no shape depends on the data.

    Args:
        online: online projections, (n, d); gradient flows through their prototypes μ.
        target: target projections of the other view, (n, d); their prototypes μ' carry no gradient.
        labels: pseudo labels, (n,) int64, or soft ones, (n, K); see `batch_prototypes`.
        n_clusters: K.
        temperature: τ.

    Returns:
        The mean cross entropy over the clusters present: a scalar.
    """
    prototypes, counts = batch_prototypes(online, labels, n_clusters=n_clusters)
    targets, _ = batch_prototypes(target.detach(), labels, n_clusters=n_clusters)
    present = counts > _LEAST_MASS
    diagonal = torch.eye(n_clusters, dtype=torch.bool, device=online.device)
    between = prototypes @ prototypes.T
    own = (prototypes * targets).sum(dim=1)
    logits = torch.where(diagonal, own.unsqueeze(1), between) / temperature
    logits = logits.masked_fill(~present, float("-inf"))
    rows = torch.where(present, logits.logsumexp(dim=1) - own / temperature, own.new_zeros(()))
    return rows.sum() / present.sum()
