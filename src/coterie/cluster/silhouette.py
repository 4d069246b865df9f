"""The silhouette: how much nearer points are to their own group than to the next."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def silhouette(distances: Tensor, labels: Tensor, k: int) -> float:
    """The mean of `(b−a)/max(a, b)`: a to the others of the own cluster, b to the nearest other (Rousseeuw, 1987).

    Args:
        distances: (n, n). labels: (n,) int64 below `k`.
    """
    members = F.one_hot(labels, k).to(distances.dtype)
    sizes = members.sum(dim=0)
    sums = distances @ members
    own = sums.gather(1, labels.unsqueeze(1)).squeeze(1) / (sizes[labels] - 1).clamp(min=1)
    means = (sums / sizes.clamp(min=1)).masked_fill(members.bool() | (sizes == 0), torch.inf)
    other = means.amin(dim=1)
    widths = (other - own) / torch.maximum(own, other).clamp(min=1e-12)
    return float(torch.where(sizes[labels] > 1, widths, 0.0).mean())
