from __future__ import annotations

import pytest
import torch
from torch import nn

from coterie.errors import UsageError
from coterie.nn.backbones import backbone_names, build_backbone
from coterie.nn.convolution import Conv3x3
from coterie.nn.encoder import Encoder
from coterie.nn.heads import mlp_head, start_small


# Weights of torchvision's models less those of `fc`.
@pytest.mark.parametrize(
    ("name", "weights"), [("resnet18", 11_176_512), ("resnet34", 21_284_672), ("resnet50", 23_508_032)]
)
def test_resnets_have_torchvisions_weights(name: str, weights: int) -> None:
    with torch.device("meta"):
        backbone = build_backbone(name, channels=3, side=224)
    assert sum(parameter.numel() for parameter in backbone.parameters()) == weights
    names = set(dict(backbone.named_parameters()))
    assert {"conv1.weight", "bn1.weight", "bn1.bias", "layer1.0.conv1.weight", "layer4.1.bn2.bias"} <= names
    assert {"layer2.0.downsample.0.weight", "layer2.0.downsample.1.bias"} <= names
    assert ("layer1.0.downsample.0.weight" in names) == ("layer1.0.conv3.weight" in names) == (name == "resnet50")


@pytest.mark.parametrize("name", backbone_names())
@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 32), (3, 70)])
def test_backbones_give_what_they_promise(name: str, channels: int, side: int) -> None:
    backbone = build_backbone(name, channels=channels, side=side).eval()
    with torch.inference_mode():
        features = backbone(torch.zeros(2, channels, side, side))
    assert features.shape == (2, backbone.features)
    assert features.isfinite().all()


def test_unknown_backbones_are_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'resnet18'"):
        build_backbone("resnet-18", channels=3, side=32)


def test_encoder_answers_in_float32_under_autocast() -> None:
    encoder = Encoder(build_backbone("convnet-small", channels=1, side=8)).eval()
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    exact = encoder(images)
    encoder.speed_up(autocast_dtype=torch.bfloat16, channels_last=True)
    fast = encoder(images)
    assert fast.dtype == torch.float32
    torch.testing.assert_close(fast, exact, rtol=0.05, atol=0.02)


def test_predictor_starts_small() -> None:
    head = mlp_head(64, 256, 64)
    start_small(head)
    first = head[0]
    assert isinstance(first, nn.Linear)
    assert float(first.weight.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert first.bias.eq(0).all()


def test_a_stride_over_one_pixel_leaves_true_gradients() -> None:
    gradients = {}
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(0)
        convolution = Conv3x3(64, 64, stride=2).to(dtype)
        images = torch.randn(32, 64, 1, 1, generator=torch.Generator().manual_seed(1)).to(dtype)
        strided = nn.functional.conv2d(images, convolution.weight, stride=2, padding=1)
        found = convolution(images)
        torch.testing.assert_close(found, strided)
        found.square().sum().backward()
        assert convolution.weight.grad is not None
        gradients[dtype] = convolution.weight.grad.float()
    apart = gradients[torch.bfloat16] - gradients[torch.float32]
    assert apart.norm() < 0.05 * gradients[torch.float32].norm()
