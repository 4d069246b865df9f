"""Pointwise mutual information of neighbours' classes, weighted by their agreement (TEMI, arXiv 2303.17896).

Heads lie along the first axis. All logarithms of probabilities are natural, (H, n, K).
"""

from __future__ import annotations

import torch
from torch import Tensor


def running_probabilities(before: Tensor, teacher: Tensor, *, momentum: float) -> Tensor:
    """`π_h ← m·π_h + (1−m)·mean of the rows q_h`, (H, K), without gradient.

    Args:
        before: running class probabilities, (H, K), summing to 1.
        teacher: the teacher's probabilities of all images of the batch, (H, n, K).
        momentum: m.
    """
    return torch.lerp(before, teacher.detach().mean(dim=1), 1 - momentum)


def agreement(first: Tensor, second: Tensor) -> Tensor:
    """`w_i = mean_h Σ_c q_h(c|x_i)·q_h(c|x'_i)`, (n,), of a pair's probabilities by the teachers, (H, n, K) each."""
    return (first * second).detach().sum(dim=2).mean(dim=0)


def pointwise_information(student: Tensor, teacher: Tensor, probabilities: Tensor, *, beta: float) -> Tensor:
    """`pmi_h(a, b) = log Σ_c (p_h(c|a)·q_h(c|b))^β / π_h(c)`, (H, n); no gradient but the student's.

    Args:
        student: log p of images, (H, n, K).
        teacher: log q of their partners, (H, n, K).
        probabilities: π, (H, K).
        beta: 1 for the plain information; less keeps clusters alive.
    """
    return torch.logsumexp(beta * (student + teacher.detach()) - probabilities.detach().log().unsqueeze(1), dim=2)


def temi(
    students: tuple[Tensor, Tensor],
    teachers: tuple[Tensor, Tensor],
    probabilities: Tensor,
    weights: Tensor | float = 1.0,
    *,
    beta: float,
) -> Tensor:
    """`L_h = −½ mean_i w_i [pmi_h(x_i, x'_i) + pmi_h(x'_i, x_i)]`, (H,): no image is compared with itself.

    Args:
        students: log p of the images and of their partners, each (H, n, K).
        teachers: log q of the same.
        probabilities: π, (H, K).
        weights: of the pairs, (n,).
        beta: see `pointwise_information`.
    """
    one = pointwise_information(students[0], teachers[1], probabilities, beta=beta)
    other = pointwise_information(students[1], teachers[0], probabilities, beta=beta)
    return -0.5 * (weights * (one + other)).mean(dim=1)
