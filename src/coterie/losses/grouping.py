"""Dynamic grouping (DigPro, arXiv 2401.13581)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.losses.prototypes import memberships


def nearest_groups(embeddings: Tensor, groups: Tensor) -> Tensor:
    """The group (K, d) of greatest cosine for each embedding (n, d): (n,) int64."""
    return (F.normalize(embeddings, dim=1) @ F.normalize(groups, dim=1).T).argmax(dim=1)


def moved_groups(embeddings: Tensor, groups: Tensor, *, beta: float) -> Tensor:
    """Groups met by an embedding move: `G_k ← β G_k + (1−β) mean z` over its members; gradient flows through the mean.

    Args:
        embeddings: online projections, (n, d).
        groups: G, (K, d).
        beta: β.
    """
    members = memberships(nearest_groups(embeddings, groups), len(groups)).to(embeddings.dtype)
    counts = members.sum(dim=0).unsqueeze(1)
    means = members.T @ embeddings / counts.clamp(min=1)
    return torch.where(counts > 0, beta * groups + (1 - beta) * means, groups)


def group_loss(prediction: Tensor, groups: Tensor, assignments: Tensor, *, temperature: float) -> Tensor:
    """Cross entropy of `cos(prediction, G)/τ` against the groups (n,) the target network assigns."""
    logits = F.normalize(prediction, dim=1) @ F.normalize(groups, dim=1).T
    return F.cross_entropy(logits / temperature, assignments)
