"""Projectors and predictors."""

from __future__ import annotations

from torch import nn


def mlp_head(in_features: int, hidden: int, out_features: int) -> nn.Sequential:
    """Linear · BatchNorm · ReLU · Linear: BYOL's projector and predictor (arXiv 2006.07733, section 3.3)."""
    return nn.Sequential(
        nn.Linear(in_features, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, out_features),
    )


def start_small(head: nn.Module, *, deviation: float = 0.01) -> None:
    """Draw every linear layer's weights from N(0, deviation²) and set its biases to 0, as BYOL's predictor starts.

    The draw uses torch's global generator; callers fork and seed it (see `coterie.methods.build`).
    """
    for layer in head.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=deviation)
            nn.init.zeros_(layer.bias)
