"""Soft assignment by Student's t and its sharpening (DEC, arXiv 1511.06335), as CADECL (2109.12714) uses it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_TINY = 1e-8


def soft_assignment(embeddings: Tensor, centers: Tensor, *, alpha: float = 1.0) -> Tensor:
    """`q_k ∝ (1+‖e−μ_k‖²/α)^(−(α+1)/2)`, (n, K), for embeddings (n, d) and centers (K, d)."""
    squared = (embeddings.unsqueeze(1) - centers).square().sum(dim=2)
    q = (1 + squared / alpha) ** (-(alpha + 1) / 2)
    return q / q.sum(dim=1, keepdim=True)


def sharpened(assignment: Tensor) -> Tensor:
    """The target `P_ik ∝ q_ik²/Σ_i q_ik`, rows summing to 1, without gradient."""
    q = assignment.detach()
    weight = q.square() / q.sum(dim=0)
    return weight / weight.sum(dim=1, keepdim=True)


def divergence(target: Tensor, assignment: Tensor) -> Tensor:
    """`KL(target‖assignment)` of rows, summed over the batch and divided by n; no gradient through the target.

    The assignment's logarithm is kept finite by adding 1e-8, as the reference does.
    """
    return F.kl_div((assignment + _TINY).log(), target.detach(), reduction="sum") / len(target)


def plain_and_augmented(plain: Tensor, *augmented: Tensor) -> Tensor:
    """`Σ_v mean KL(q(x)‖q(x_v))` of rows; no gradient through the plain view's assignment (CADECL's anchor loss)."""
    plain = plain.detach()
    views = [(plain * ((plain + _TINY).log() - (view + _TINY).log())).sum(dim=1).mean() for view in augmented]
    return torch.stack(views).sum()
