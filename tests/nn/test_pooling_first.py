"""Networks pool before their ReLUs, which changes nothing: neither what they make of images nor any gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coterie.nn.backbones import build_backbone


class _ReLUFirst(nn.Module):
    """A max pooling of what a ReLU leaves."""

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, maps: Tensor) -> Tensor:
        pooled: Tensor = self.pool(F.relu(maps))
        return pooled


@pytest.mark.parametrize(("name", "side"), [("convnet-small", 8), ("convnet-small", 64), ("resnet18", 64)])
def test_the_same_as_after_the_relu(name: str, side: int) -> None:
    images = torch.randn(6, 3, side, side, generator=torch.Generator().manual_seed(0))
    found = []
    for relu_first in (False, True):
        torch.manual_seed(0)
        network = build_backbone(name, channels=3, side=side)
        pools = [(key, module) for key, module in network.named_modules() if isinstance(module, nn.MaxPool2d)]
        assert pools
        for key, pool in pools if relu_first else []:
            network.set_submodule(key, _ReLUFirst(pool))
        made = network(images)
        made.square().sum().backward()
        found.append([made.detach(), *(weight.grad for weight in network.parameters())])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
