"""What is known to be one kind attracts: a supervised contrast (Khosla et al., arXiv 2004.11362)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def attraction(embeddings: Tensor, named: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Supervised contrastive loss (eq. 2, outside the logarithm) of the named among a batch, as a mean over all of it.

    Each named embedding has those of its name as positives and all other named ones as negatives; where few are named
    the loss counts little.

    Args:
        embeddings: (n, d), of any length.
        named: (n,) int64, the name of each, −1 where it is not known.
        temperature: τ; logits are `cos/τ`.

    Returns:
        A scalar; 0 where no two share a name.
    """
    z = F.normalize(embeddings, dim=1)
    others = ~torch.eye(len(z), dtype=torch.bool, device=z.device)
    known = (named >= 0).unsqueeze(0) & (named >= 0).unsqueeze(1) & others
    alike = known & (named.unsqueeze(0) == named.unsqueeze(1))
    # Finite, as a row without any other has no logarithm to take.
    logits = (z @ z.T / temperature).masked_fill(~known, -1e4)
    surprises = logits.logsumexp(dim=1, keepdim=True) - logits
    counts = alike.sum(dim=1)
    return ((surprises * alike).sum(dim=1) / counts.clamp(min=1)).sum() / len(z)
