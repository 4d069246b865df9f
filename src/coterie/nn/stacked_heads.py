"""Many small heads of one shape on the same features, computed together."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_DEVIATION = 0.02


class StackedLinear(nn.Module):
    """H linear layers, weights (H, out, in) from N(0, 0.02²) and biases (H, out) from 0."""

    def __init__(self, heads: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(heads, out_features, in_features).normal_(std=_DEVIATION))
        self.bias = nn.Parameter(torch.zeros(heads, out_features))

    def forward(self, inputs: Tensor, heads: Tensor | None) -> Tensor:
        """Outputs (h, n, out) of the `heads` (h,) for inputs (n, in) they share, or (h, n, in)."""
        weight, bias = _of(heads, self.weight), _of(heads, self.bias)
        if inputs.ndim == 2:  # As one layer, in one product.
            shared = F.linear(inputs, weight.flatten(0, 1), bias.flatten())
            return shared.view(-1, *bias.shape).transpose(0, 1)
        return torch.baddbmm(bias.unsqueeze(1), inputs, weight.transpose(1, 2))


class NormalisedRows(nn.Module):
    """H layers of rows `g·v/‖v‖` without bias: v (H, out, in) starts as a linear layer does, g (H, out, 1) at 1."""

    def __init__(self, heads: int, in_features: int, out_features: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_features)
        self.v = nn.Parameter(torch.empty(heads, out_features, in_features).uniform_(-bound, bound))
        self.g = nn.Parameter(torch.ones(heads, out_features, 1))

    def forward(self, inputs: Tensor, heads: Tensor | None, *, frozen: bool = False) -> Tensor:
        """Outputs (h, n, out) for inputs (h, n, in); `frozen` keeps this layer's gradient away."""
        v, g = (_of(heads, parameter.detach() if frozen else parameter) for parameter in (self.v, self.g))
        return torch.bmm(inputs, (g * F.normalize(v, dim=2)).transpose(1, 2))


class StackedHeads(nn.Module):
    """H heads: Linear · GELU · Linear · unit length · K normalised rows (TEMI, arXiv 2303.17896).

    Draws come from torch's global generator; callers fork and seed it (see `coterie.methods.build_method`).

    Args:
        in_features: width of the input.
        hidden, bottleneck: widths of the layers.
        n_clusters: K.
        heads: H.
    """

    def __init__(self, in_features: int, hidden: int, bottleneck: int, n_clusters: int, *, heads: int) -> None:
        super().__init__()
        self.hidden = StackedLinear(heads, in_features, hidden)
        self.bottleneck = StackedLinear(heads, hidden, bottleneck)
        self.last = NormalisedRows(heads, bottleneck, n_clusters)

    def forward(self, features: Tensor, heads: Tensor | None = None, *, last_frozen: bool = False) -> Tensor:
        """Logits (h, n, K) of features (n, in), of all heads or of `heads` (h,).

        With `last_frozen` the last layer gets no gradient.
        """
        narrowed = self.bottleneck(F.gelu(self.hidden(features, heads)), heads)
        logits: Tensor = self.last(F.normalize(narrowed, dim=2), heads, frozen=last_frozen)
        return logits


def _of(heads: Tensor | None, parameter: Tensor) -> Tensor:
    """A parameter of all heads, or of some."""
    return parameter if heads is None else parameter.index_select(0, heads)
