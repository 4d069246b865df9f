"""MobileNetV2, and the layouts its weights are found in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from coterie.errors import UsageError
from coterie.nn.backbones import backbone_names, build_backbone
from coterie.nn.inverted import InvertedResidual, rounded
from coterie.nn.mobilenet import MobileNetV2
from coterie.nn.pretrained import build, open_pretrained
from coterie.nn.pretrained.mobile_layouts import mobile_weights, without_classifier
from mobile_weights import numbered, ported, taught


def images(side: int) -> torch.Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return taught(MobileNetV2())


def test_it_has_the_papers_size() -> None:
    with torch.device("meta"):
        whole, narrow = MobileNetV2(), MobileNetV2(width=0.1)
    # torchvision's model has 3 504 872 with its classifier of 1000 classes.
    assert sum(each.numel() for each in whole.parameters()) == 3_504_872 - 1000 * 1281
    assert sum(isinstance(each, nn.Conv2d) for each in whole.modules()) == 52
    assert (whole.features, narrow.features) == (1280, 1280)
    assert whole(torch.empty(1, 3, 224, 224, device="meta")).shape == (1, 1280)
    assert whole.blocks(whole.stem(torch.empty(1, 3, 224, 224, device="meta"))).shape == (1, 320, 7, 7)


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 33), (3, 64)])
def test_images_of_any_side_and_colour(channels: int, side: int) -> None:
    narrow = MobileNetV2(channels=channels, width=0.1).eval()
    with torch.inference_mode():
        features = narrow(torch.zeros(2, channels, side, side))
    assert features.shape == (2, narrow.features)
    assert features.isfinite().all()


def test_a_block_by_hand() -> None:
    block = InvertedResidual(1, 1, expansion=1).eval()
    for module in (block.depthwise, block.project):
        nn.init.ones_(module.convolution.weight)
        module.norm.eps = 0.0
    # The sum over neighbours is cut at 6 by the activation, not again after narrowing, and the image is added.
    image = torch.tensor([[[[1.0, 2, 3]]]])
    assert block(image).tolist() == [[[[4.0, 8.0, 8.0]]]]
    assert not InvertedResidual(1, 1, expansion=1, stride=2).shortcut
    assert not InvertedResidual(1, 2, expansion=1).shortcut


def test_widths_are_multiples_of_eight() -> None:
    assert [rounded(width) for width in (1, 16, 17.6, 24 * 1.1, 44, 100, 11)] == [8, 16, 16, 24, 48, 104, 16]


@pytest.mark.parametrize("nested", [True, False])
def test_both_layouts_are_read(nested: bool, network: nn.Module, tmp_path: Path) -> None:
    classifier = (
        {"classifier.1.weight": torch.rand(1000, 1280), "classifier.1.bias": torch.rand(1000)} if nested else {}
    )
    names = numbered(network, nested=nested)
    assert ("features.2.conv.1.0.weight" if nested else "features.2.conv.3.weight") in names
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in {**names, **classifier}.items()}}, tmp_path / "w.pth"
    )
    opened = open_pretrained(str(tmp_path / "w.pth"))
    assert (opened.architecture.name, opened.side, opened.mean) == ("mobilenetv2", 224, (0.485, 0.456, 0.406))
    with torch.inference_mode():
        assert torch.equal(opened.backbone(images(40)), network(images(40)))
    assert [*build(opened.architecture).state_dict()] == [*network.state_dict()]
    if nested:
        assert opened.vocabulary is not None
        assert torch.equal(opened.vocabulary.weight, classifier["classifier.1.weight"])
    else:
        assert opened.vocabulary is None


def test_names_are_carried_over_one_by_one(network: nn.Module) -> None:
    wanted = network.state_dict()
    for nested in (True, False):
        found = mobile_weights(numbered(network, nested=nested))
        assert found is not None
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)
        assert found.keys() == wanted.keys()
    assert mobile_weights({"conv1.weight": torch.zeros(1)}) is None
    assert without_classifier({"classifier.weight": torch.zeros(2, 3)}) == {}


def test_another_width_is_refused(tmp_path: Path) -> None:
    torch.save(numbered(MobileNetV2(width=0.1), nested=True), tmp_path / "narrow.pth")
    with pytest.raises(UsageError, match=r"narrow\.pth holds no network coterie knows, .* those of mobilenetv2"):
        open_pretrained(str(tmp_path / "narrow.pth"))
    torch.save(ported(MobileNetV2(width=0.1)), tmp_path / "other.pth")
    with pytest.raises(UsageError, match="holds no network coterie knows"):
        open_pretrained(str(tmp_path / "other.pth"))


def test_it_is_built_by_name_and_not_offered_for_training_from_nothing() -> None:
    assert build_backbone("mobilenetv2", 3, 32, width=0.1).features == 1280
    assert "mobilenetv2" not in backbone_names()
    with pytest.raises(UsageError, match="did you mean 'mobilenetv2'"):
        build_backbone("mobilenet2", 3, 32)
