"""EfficientNet-Lite, its padding, and the layout its weights are found in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from coterie.nn.backbones import build_backbone
from coterie.nn.efficientnet_lite import EfficientNetLite
from coterie.nn.inverted import SameConvolution
from coterie.nn.pretrained import open_pretrained
from mobile_weights import ported, taught


@pytest.mark.parametrize(("number", "weights", "blocks"), [(0, 3_371_008, 16), (1, 4_135_680, 21), (2, 4_811_072, 21)])
def test_they_have_the_published_sizes(number: int, weights: int, blocks: int) -> None:
    with torch.device("meta"):
        network = build_backbone(f"efficientnet-lite{number}", 3, 224)
    # The published 4.7, 5.4 and 6.1 million count a classifier of 1000 classes.
    assert sum(each.numel() for each in network.parameters()) == weights
    assert (weights + 1_281_000) / 1e6 == pytest.approx([4.65, 5.42, 6.09][number], abs=0.005)
    assert len(network.blocks) == blocks
    assert all(each.eps == 1e-3 for each in network.modules() if isinstance(each, nn.BatchNorm2d))
    assert network(torch.empty(2, 3, 65, 65, device="meta")).shape == (2, 1280)


@pytest.mark.parametrize("side", [1, 7, 8, 9, 32])
@pytest.mark.parametrize("kernel", [3, 5])
def test_padding_is_tensorflows(side: int, kernel: int) -> None:
    image = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    convolution = SameConvolution(1, 1, kernel, stride=2, bias=False)
    seen = convolution(image).detach()
    assert seen.shape[-2:] == (-(-side // 2),) * 2
    # The rule spelt out: windows begin at 2i − before, where the zeros before are half of all, rounded down.
    needed = max(0, (seen.shape[-1] - 1) * 2 + kernel - side)
    before, wide = needed // 2, torch.zeros(1, 1, side + 2 * kernel, side + 2 * kernel)
    wide[..., kernel : kernel + side, kernel : kernel + side] = image
    for row in range(seen.shape[-2]):
        for column in range(seen.shape[-1]):
            top, left = kernel + 2 * row - before, kernel + 2 * column - before
            window = wide[0, 0, top : top + kernel, left : left + kernel]
            expected = (window * convolution.weight[0, 0]).sum().detach()
            assert float(seen[0, 0, row, column]) == pytest.approx(float(expected), abs=1e-6)


def test_even_images_are_padded_on_one_side_alone() -> None:
    convolution = SameConvolution(1, 1, 3, stride=2, bias=False)
    image = torch.rand(1, 1, 4, 4)
    assert torch.equal(convolution(image), F.conv2d(F.pad(image, (0, 1, 0, 1)), convolution.weight, stride=2))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_ported_layout_is_read(number: int, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = taught(build_backbone(f"efficientnet-lite{number}", 3, 32))
    weights = {**ported(network), "_fc.weight": torch.rand(1000, 1280), "_fc.bias": torch.rand(1000)}
    assert "_blocks.0._expand_conv.weight" not in weights
    torch.save(weights, tmp_path / "lite.pth")
    opened = open_pretrained(str(tmp_path / "lite.pth"))
    assert (opened.architecture.name, opened.side) == (f"efficientnet-lite{number}", (224, 240, 260)[number])
    # (x − 127)/128 of bytes.
    black, white = (((value - opened.mean[0]) / opened.deviation[0]) for value in (0, 1))
    assert (black, white) == pytest.approx((-127 / 128, 1.0))
    image = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(opened.backbone(image), network(image))
    assert opened.vocabulary is not None
    assert torch.equal(opened.vocabulary.bias, weights["_fc.bias"])


def test_a_small_one_learns() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = EfficientNetLite(channels=1, width=0.1, depth=0.5).train()
    network(torch.rand(4, 1, 16, 16)).sum().backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in network.parameters())
