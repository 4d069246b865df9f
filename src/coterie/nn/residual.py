"""A residual multilayer perceptron for feature vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from coterie.nn.mixed import Mixed

_SLOPE = 0.1


class ResidualMLP(Mixed):
    """Feature vectors (n, in) to (n, out): for every width a linear layer and a residual block twice as wide inside.

    Every layer but the last is followed by layer norm, LeakyReLU of slope 0.1 and dropout (LNSCC, IJCAI 2022).

    Args:
        in_features, out_features: of the whole network.
        widths: of the layers between.
        dropout: share of the units that are silenced in training.
    """

    def __init__(self, in_features: int, widths: Sequence[int], out_features: int, *, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        self.blocks = nn.ModuleList()
        for width in widths:
            self.layers.append(_Layer(in_features, width, dropout))
            self.blocks.append(_Block(width, dropout))
            in_features = width
        self.last = nn.Linear(in_features, out_features)

    def forward(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Args: features (n, in); `generator` draws the dropout, and is needed in training alone."""
        with self.autocast(features):
            for layer, block in zip(self.layers, self.blocks, strict=True):
                features = block(layer(features, generator), generator)
        # Places need more digits than activations.
        mapped: Tensor = self.last(features.to(self.last.weight.dtype))
        return mapped


class _Layer(nn.Module):
    """Linear · LayerNorm · LeakyReLU · dropout."""

    def __init__(self, in_features: int, width: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = dropout

    def forward(self, features: Tensor, generator: torch.Generator | None) -> Tensor:
        activations = nn.functional.leaky_relu(self.norm(self.linear(features)), _SLOPE)
        if not self.training or self.dropout == 0:
            return activations
        return dropout(activations, self.dropout, generator)


class _Block(nn.Module):
    """`x + W₂·layer(x)`, with a layer of twice the width."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.inner = _Layer(width, 2 * width, dropout)
        self.outer = nn.Linear(2 * width, width)

    def forward(self, features: Tensor, generator: torch.Generator | None) -> Tensor:
        added: Tensor = self.outer(self.inner(features, generator))
        return features + added


def dropout(activations: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Silence a `share` of the activations, to the nearest 1/256, and scale the others to the same mean.

    torch's own dropout draws from the global generator, with which a resumed run would differ. One draw makes eight
    bytes, as a generator on the CPU draws one number after the other.
    """
    silenced = round(256 * share)
    words = torch.empty(-(-activations.numel() // 8), dtype=torch.int64, device=activations.device)
    draws = words.random_(-(2**63), None, generator=generator).view(torch.uint8)
    kept = (draws[: activations.numel()] >= silenced).view(activations.shape)
    return activations * kept * (256 / (256 - silenced))
