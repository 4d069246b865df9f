"""Tiny weights of networks for phones, by the names that files have."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]

_PORTED = {
    r"^stem\.convolution": "_conv_stem", r"^stem\.norm": "_bn0", r"^head\.convolution": "_conv_head",
    r"^head\.norm": "_bn1", r"^blocks": "_blocks", r"expand\.convolution": "_expand_conv", r"expand\.norm": "_bn0",
    r"depthwise\.convolution": "_depthwise_conv", r"depthwise\.norm": "_bn1",
    r"project\.convolution": "_project_conv", r"project\.norm": "_bn2",
}  # fmt: skip


def taught(network: nn.Module) -> nn.Module:
    """The network, whose batch norms have seen something and are unlike each other."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, 0, 0.3, generator=generator)
    return network.eval()


def ported(network: nn.Module) -> Weights:
    """By the names of EfficientNets ported from TensorFlow."""
    named = {}
    for name, value in network.state_dict().items():
        for pattern, other in _PORTED.items():
            name = re.sub(pattern, other, name)
        named[name] = value.clone()
    return named


def numbered(network: nn.Module, *, nested: bool) -> Weights:
    """By torchvision's names for MobileNetV2, or the older ones that nest no convolution with its batch norm."""
    last = 1 + max(int(name.split(".")[1]) for name in network.state_dict() if name.startswith("blocks."))
    named = {}
    for name, value in network.state_dict().items():
        part, *rest = name.split(".")
        turn = int("norm" in rest)
        if part != "blocks":
            named[f"features.{0 if part == 'stem' else last + 1}.{turn}.{rest[-1]}"] = value.clone()
            continue
        parts = ["depthwise", "project"] if rest[0] == "0" else ["expand", "depthwise", "project"]
        pair = parts.index(rest[1])
        # The older names count the activation, too; in torchvision the last pair is not nested.
        place = f"{pair}.{turn}" if nested and rest[1] != "project" else str(pair + turn if nested else 3 * pair + turn)
        named[f"features.{int(rest[0]) + 1}.conv.{place}.{rest[-1]}"] = value.clone()
    return named
