"""timm at its boundary: a small stand-in with the three functions that are called, and the library where it imports."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from coterie.errors import CoterieError, UsageError
from coterie.nn.pretrained import build, open_pretrained


class Net(nn.Module):
    """Means of the channels through a linear layer; holds a place for every pixel, as a ViT does for every patch."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 5)
        self.drop = nn.Dropout(0.5)
        self.places = nn.Parameter(torch.zeros(side))

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-1] != len(self.places):
            raise AssertionError("input height doesn't match model")
        return self.drop(self.linear(images.mean(dim=(2, 3))))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    known = SimpleNamespace(input_size=(3, 24, 24), fixed_input_size=True, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    conv = SimpleNamespace(input_size=(3, 24, 24), fixed_input_size=False, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))

    def create_model(name: str, *, pretrained: bool, num_classes: int, img_size: int = 24) -> nn.Module:
        made.append({"name": name, "pretrained": pretrained, "num_classes": num_classes, "img_size": img_size})
        if name == "gone":
            raise RuntimeError("No pretrained weights exist for gone")
        return Net(img_size)

    timm = ModuleType("timm")
    timm.create_model = create_model  # type: ignore[attr-defined]
    timm.get_pretrained_cfg = {"vit_tiny": known, "gone": known, "conv": conv}.get  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", timm)
    return made


def test_a_model_by_name(calls: list[dict[str, Any]]) -> None:
    opened = open_pretrained("timm:vit_tiny")
    assert calls == [{"name": "vit_tiny", "pretrained": True, "num_classes": 0, "img_size": 24}]
    assert (opened.name, opened.side, opened.mean, opened.deviation) == ("timm:vit_tiny", 24, (0.5,) * 3, (0.2,) * 3)
    assert opened.backbone.features == 5
    images = torch.rand(2, 3, 24, 24)
    again = build(opened.architecture)
    assert calls[-1]["pretrained"] is False
    again.load_state_dict(opened.backbone.state_dict())
    with torch.no_grad():
        assert torch.equal(again(images), opened.backbone.train()(images))  # Dropout is off in training, too.


def test_another_size(calls: list[dict[str, Any]]) -> None:
    opened = open_pretrained("timm:vit_tiny", side=32)
    assert (opened.side, calls[-1]["img_size"]) == (32, 32)
    assert len(build(opened.architecture).state_dict()["places"]) == 32
    with pytest.raises(UsageError, match="timm:conv takes no images of 32 pixels"):
        open_pretrained("timm:conv", side=32)


@pytest.mark.usefixtures("calls")
def test_what_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="timm has no such model"):
        open_pretrained("timm:nonesuch")
    with pytest.raises(CoterieError, match="cannot be loaded: No pretrained weights exist"):
        open_pretrained("timm:gone")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r"pip install 'coterie\[timm\]'"):
        open_pretrained("timm:vit_tiny")


def test_the_library_itself() -> None:
    timm = pytest.importorskip("timm")
    from coterie.nn.pretrained import Architecture

    backbone = build(Architecture("timm", "resnet10t", {"channels": 3, "side": 64})).eval()
    model = timm.create_model("resnet10t", pretrained=False, num_classes=0).eval()
    model.load_state_dict(backbone.state_dict())
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images), model(images))
    assert timm.get_pretrained_cfg("resnet10t").input_size[0] == 3
