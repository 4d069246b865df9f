"""Soft contrast between the ends of a graph's edges in a low-dimensional map (LNSCC, IJCAI 2022)."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# Keeps the slope finite where two points coincide: d^{2b} with b < 1 is steep at 0.
_LEAST_SQUARED = 1e-12


def soft_contrast(head: Tensor, tail: Tensor, permutation: Tensor, *, negative_rate: int, a: float, b: float) -> Tensor:
    """`−y·log σ(log p) − (1−y)(log σ(log p) − log p)` with `log p = −log(1+a·d^{2b})`, the mean over all pairs.

    The n edges are the positives, y = 1; as negatives, y = 0, every head meets `negative_rate` tails of the batch.

    Args:
        head, tail: ends of the edges in the map, (n, d).
        permutation: (n·negative_rate,), how the repeated tails are shuffled against the repeated heads.
        negative_rate: negatives for each edge.
        a, b: of the curve, see `curve`.
    """
    repeated_head = head.repeat_interleave(negative_rate, dim=0)
    repeated_tail = tail.repeat_interleave(negative_rate, dim=0)[permutation]
    attract = _log_probability(head, tail, a, b)
    repel = _log_probability(repeated_head, repeated_tail, a, b)
    loss = -F.logsigmoid(attract).sum() - (F.logsigmoid(repel) - repel).sum()
    return loss / (len(head) * (1 + negative_rate))


def _log_probability(left: Tensor, right: Tensor, a: float, b: float) -> Tensor:
    squared = (left - right).square().sum(dim=1).clamp(min=_LEAST_SQUARED)
    return -torch.log1p(a * squared.pow(b))


@cache
def curve(min_dist: float, spread: float = 1.0) -> tuple[float, float]:
    """The a and b with which `1/(1+a·d^{2b})` is nearest to 1 up to `min_dist`, then `exp(−(d−min_dist)/spread)`.

    Least squares over 300 distances up to three times `spread`, as in UMAP.
    """
    from scipy.optimize import curve_fit

    distances = np.linspace(0, 3 * spread, 300)
    wanted = np.where(distances < min_dist, 1.0, np.exp(-(distances - min_dist) / spread))
    (a, b), _ = curve_fit(lambda d, a, b: 1 / (1 + a * d ** (2 * b)), distances, wanted)
    return float(a), float(b)


def balance(assignment: Tensor, proportions: Tensor) -> Tensor:
    """The mean squared difference of the mean assignment (n, K) from the wanted proportions (K,)."""
    return F.mse_loss(assignment.mean(dim=0), proportions)
