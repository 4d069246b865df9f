"""Hardness-aware self-distillation (HaDis, arXiv 2401.14038)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LEAST_SQUARED = 1e-12


def hardness_aware_distillation(teacher: Tensor, student: Tensor, *, temperature: float) -> Tensor:
    """Cross entropy between each anchor's hardest negative and its hardest positive, weighted by their hardness.

    With T_ij = ‖t_i−t_j‖ and D_ij = ‖t_i−s_j‖, j is a negative of anchor i when T_ij > D_ii, else a positive. The
    hardest negative a is the nearest by D, the hardest positive p the farthest; weights max(T_ia − D_ia, 0) and
    max(D_ip − T_ip, 0) carry no gradient. An anchor without a negative has 0 for its negative logit.

    Args:
        teacher: target projections, (n, d), of any length; no gradient flows through them.
        student: predictions, (n, d), of any length.
        temperature: τ.
    """
    teacher, student = F.normalize(teacher.detach(), dim=1), F.normalize(student, dim=1)
    between = _distances(teacher, teacher)
    across = _distances(teacher, student)
    negative = between > across.diagonal().unsqueeze(1)
    infinity = torch.full_like(across, float("inf"))
    hardest_negative = torch.where(negative, across, infinity).argmin(dim=1, keepdim=True)
    hardest_positive = torch.where(negative, -infinity, across).argmax(dim=1, keepdim=True)
    logits = []
    for index, sign in ((hardest_negative, 1.0), (hardest_positive, -1.0)):
        distance = across.gather(1, index)
        weight = (sign * (between.gather(1, index) - distance)).clamp(min=0).detach()
        logits.append(weight * distance)
    logits[0] = torch.where(negative.any(dim=1, keepdim=True), logits[0], torch.zeros_like(logits[0]))
    answer = torch.zeros(len(teacher), dtype=torch.int64, device=teacher.device)
    return F.cross_entropy(torch.cat(logits, dim=1) / temperature, answer)


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances (n, m) between unit vectors, no less than 1e-6, where the gradient would be unbounded."""
    return (2 - 2 * a @ b.T).clamp(min=_LEAST_SQUARED).sqrt()
