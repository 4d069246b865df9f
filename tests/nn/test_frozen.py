"""Networks made fast for looking."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from coterie.nn.backbones import build_backbone
from coterie.nn.frozen import fold, frozen, look_batch
from mobile_weights import taught

_NAMES = ["mobilenetv2", "efficientnet-lite0", "resnet18", "resnet18-small", "resnet50", "convnet-small"]


def network(name: str, side: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return taught(build_backbone(name, 3, side, width=0.1))


def images(count: int, side: int) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("name", _NAMES)
def test_folding_changes_nothing_but_the_time(name: str) -> None:
    plain = network(name, 33)
    before = copy.deepcopy(plain.state_dict())
    folded = fold(plain, images(1, 33))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    with torch.inference_mode():
        close(folded(images(3, 33)), plain(images(3, 33)))
    assert all(torch.equal(value, before[key]) for key, value in plain.state_dict().items())


@pytest.mark.parametrize("name", _NAMES)
def test_a_frozen_network_sees_the_same(name: str) -> None:
    plain = network(name, 32)
    state = torch.get_rng_state()
    fast = frozen(plain, channels=3, side=32)
    assert torch.equal(state, torch.get_rng_state())
    fast.batch = 2  # Which leaves a part of one image.
    found = fast(images(5, 32))
    assert found.shape == (5, plain.features) == (5, fast.features)
    with torch.inference_mode():
        close(found, plain(images(5, 32)))
    assert not any(each.requires_grad for each in fast.parameters())
    assert all(each.requires_grad for each in plain.parameters())


def test_bfloat16_is_answered_in_float32() -> None:
    plain = network("mobilenetv2", 32)
    exact, rough = (frozen(plain, channels=3, side=32, dtype=each) for each in (torch.float32, torch.bfloat16))
    found = rough(images(4, 32))
    assert found.dtype == torch.float32
    assert rough.batch == pytest.approx(2 * exact.batch, abs=1)
    assert float(nn.functional.cosine_similarity(found, exact(images(4, 32))).min()) > 0.99


class Twice(nn.Module):
    """Uses what the convolution makes before and after the batch norm."""

    features = 4

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        seen = self.convolution(images)
        return (seen + self.norm(seen)).mean(dim=(2, 3))


class Shared(Twice):
    """Uses one convolution in front of two batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        return (self.norm(self.convolution(images)) + self.other(self.convolution(images))).mean(dim=(2, 3))


class NormFirst(Twice):
    """Has its batch norm before the ReLU and the convolution after it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Tensor:
        return self.convolution(self.norm(images).relu()).mean(dim=(2, 3))


@pytest.mark.parametrize("kind", [Twice, Shared, NormFirst])
def test_what_cannot_be_folded_stays(kind: type[Twice]) -> None:
    plain = taught(kind())
    fast = frozen(plain, channels=3, side=8)
    assert any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    with torch.inference_mode():
        close(fast(images(2, 8)), plain(images(2, 8)))


def test_a_batch_by_hand() -> None:
    """8 channels of 16×16 are the most: 8 KiB of float32."""
    layers = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 1))
    assert look_batch(layers, images(1, 16), kept=8192 * 5 + 100) == 5
    assert look_batch(layers, images(1, 16), kept=100) == 1


@pytest.mark.parametrize(("side", "batch"), [(224, 6), (160, 13), (128, 21)])
def test_batches_of_mobilenet_stay_within_what_memory_is_kept(side: int, batch: int) -> None:
    with torch.device("meta"):
        plain = build_backbone("mobilenetv2", 3, side).eval()
    assert look_batch(plain, torch.empty(1, 3, side, side, device="meta")) == batch
