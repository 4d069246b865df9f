"""Contrast between the columns of two assignment matrices (Contrastive Clustering, arXiv 2009.09687)."""

from __future__ import annotations

import math

from torch import Tensor

from coterie.losses.contrastive import nt_xent


def cluster_contrast(probabilities1: Tensor, probabilities2: Tensor, *, temperature: float) -> Tensor:
    """NT-Xent over the 2K columns: a cluster's members in one view against its members in the other (CC, eq. 5).

    Args:
        probabilities1, probabilities2: assignments of two views, (n, K), rows summing to 1.
        temperature: τ.
    """
    return nt_xent(probabilities1.T, probabilities2.T, temperature=temperature)


def assignment_entropy_gap(probabilities: Tensor) -> Tensor:
    """`log K + Σ_k p_k log p_k` of the mean assignment p: 0 for balanced clusters, log K for a single one (CC, eq. 6).

    Args:
        probabilities: (n, K), rows summing to 1.
    """
    mean = probabilities.mean(dim=0)
    # x log x tends to 0 with x, also where softmax has underflowed.
    return math.log(probabilities.shape[1]) + (mean * mean.clamp(min=1e-30).log()).sum()
