"""Contrastive losses between instances: NT-Xent (SimCLR) and InfoNCE against a queue (MoCo)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def nt_xent(z1: Tensor, z2: Tensor, *, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross entropy (SimCLR, arXiv 2002.05709, eq. 1).

    For each of the 2n embeddings the other view is the positive and the 2n−2 others are negatives.

    Args:
        z1, z2: projections of two views, (n, d), of any length.
        temperature: τ; logits are `cos/τ`.

    Returns:
        The mean over both views: a scalar.
    """
    n = len(z1)
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    logits = z @ z.T / temperature
    itself = torch.eye(2 * n, dtype=torch.bool, device=z.device)
    partner = torch.arange(2 * n, device=z.device).roll(n)
    return F.cross_entropy(logits.masked_fill(itself, float("-inf")), partner)


def info_nce(query: Tensor, positive: Tensor, queue: Tensor, *, temperature: float) -> Tensor:
    """Cross entropy of each query's positive against a queue of past keys (MoCo, arXiv 1911.05722, eq. 1).

    Args:
        query: online projections, (n, d), of any length.
        positive: target projections of the other view, (n, d), of any length; no gradient flows through them.
        queue: past keys, (Q, d), of unit length.
        temperature: τ.
    """
    query, positive = F.normalize(query, dim=1), F.normalize(positive.detach(), dim=1)
    own = (query * positive).sum(dim=1, keepdim=True)
    logits = torch.cat([own, query @ queue.detach().T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.int64, device=query.device))
