"""A weighted graph of nearest neighbours, locally normalised: the fuzzy simplicial set of UMAP (arXiv 1802.03426)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# The least σ as a share of the mean distance, the steps of the bisection and when it rests, as the reference has them.
_LEAST_SCALE = 1e-3
_BISECTIONS = 64
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Graph:
    """Edges, each in both directions: `rows` (E,), in order, `columns` (E,) and `weights` (E,) in (0, 1]."""

    rows: Tensor
    columns: Tensor
    weights: Tensor

    def repeats(self, passes: int) -> Tensor:
        """How often each edge occurs in a list of training edges: `int(passes·w)`, 0 below `max(w)/passes`; (E,)."""
        kept = self.weights >= self.weights.max() / passes
        return torch.where(kept, (passes * self.weights).long(), 0)


def fuzzy_graph(distances: Tensor, neighbours: Tensor) -> Graph:
    """Join every point to its neighbours with weights that fall from 1 at the nearest, in each point's own scale.

    The weight of j for i is `exp(−max(0, d_ij − ρ_i)/σ_i)`; the two weights a and b of a pair unite to `a + b − ab`.

    Args:
        distances: (N, k), the point itself first, as `nearest_neighbours` gives them.
        neighbours: (N, k) int64.
    """
    rho, sigma = local_scales(distances)
    beyond = (distances - rho.unsqueeze(1)).clamp(min=0)
    # With σ of 0 all neighbours lie at distance ρ.
    weights = torch.where(sigma.unsqueeze(1) > 0, (-beyond / sigma.unsqueeze(1)).exp(), 1.0)
    rows = torch.arange(len(distances), device=distances.device).unsqueeze(1).expand_as(neighbours)
    others = neighbours != rows
    return _union(rows[others], neighbours[others], weights[others], len(distances))


def local_scales(distances: Tensor) -> tuple[Tensor, Tensor]:
    """ρ, the distance of the nearest other point, and σ with `Σ_j exp(−max(0, d_j − ρ)/σ) = log₂ k`; both (N,).

    Args:
        distances: (N, k), the point itself first.
    """
    others = distances[:, 1:]
    nearest = torch.where(others > 0, others, torch.inf).amin(dim=1)
    rho = torch.where(torch.isfinite(nearest), nearest, 0.0)
    beyond = others - rho.unsqueeze(1)
    target = math.log2(distances.shape[1])
    low, high = torch.zeros_like(rho), torch.full_like(rho, torch.inf)
    sigma, resting = torch.ones_like(rho), torch.zeros_like(rho, dtype=torch.bool)
    for _ in range(_BISECTIONS):
        total = torch.where(beyond > 0, (-beyond / sigma.unsqueeze(1)).exp(), 1.0).sum(dim=1)
        resting = resting | ((total - target).abs() < _TOLERANCE)
        high = torch.where(total > target, sigma, high)
        low = torch.where(total > target, low, sigma)
        middle = torch.where(torch.isinf(high), 2 * sigma, (low + high) / 2)
        sigma = torch.where(resting, sigma, middle)
    mean = torch.where(rho > 0, distances.mean(dim=1), distances.mean())
    return rho, torch.maximum(sigma, _LEAST_SCALE * mean)


def _union(rows: Tensor, columns: Tensor, weights: Tensor, count: int) -> Graph:
    """Each pair in both directions with the weight `a + b − ab`."""
    keys = torch.cat([rows * count + columns, columns * count + rows])
    unique, place = torch.unique(keys, return_inverse=True)
    there, back = weights.new_zeros(2, len(unique))
    there[place[: len(rows)]] = weights
    back[place[len(rows) :]] = weights
    more, less = torch.maximum(there, back), torch.minimum(there, back)
    united = more + less * (1 - more)  # Exactly 1 where either is.
    kept = united > 0
    return Graph((unique // count)[kept], (unique % count)[kept], united[kept])
