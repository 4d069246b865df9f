"""Projectors and predictors."""

from __future__ import annotations

from torch import nn


def mlp_head(in_features: int, hidden: int, out_features: int, *, batch_norm: bool = True) -> nn.Sequential:
    """Linear · BatchNorm · ReLU · Linear: BYOL's projector and predictor (arXiv 2006.07733, section 3.3).

    Without `batch_norm` it is the head of SimCLR, MoCo v2 and CC.
    """
    layers: list[nn.Module] = [nn.Linear(in_features, hidden)]
    layers += [nn.BatchNorm1d(hidden)] if batch_norm else []
    return nn.Sequential(*layers, nn.ReLU(inplace=True), nn.Linear(hidden, out_features))


def normalised_head(in_features: int, width: int, *, layers: int) -> nn.Sequential:
    """SimSiam's projector: `layers` linear layers of one width, batch norm on each, ReLU between (2011.10566, 3)."""
    modules: list[nn.Module] = []
    for layer in range(layers):
        modules += [nn.Linear(in_features if layer == 0 else width, width, bias=False), nn.BatchNorm1d(width)]
        modules += [nn.ReLU(inplace=True)] if layer < layers - 1 else []
    return nn.Sequential(*modules)


def start_small(head: nn.Module, *, deviation: float = 0.01) -> None:
    """Draw every linear layer's weights from N(0, deviation²) and set its biases to 0, as BYOL's predictor starts.

    The draw uses torch's global generator; callers fork and seed it (see `coterie.methods.build`).
    """
    for layer in head.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=deviation)
            nn.init.zeros_(layer.bias)
