"""ResNet weights in the layouts files have, made from networks of ours."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from coterie.errors import CoterieError, UsageError
from coterie.nn.backbones import build_backbone
from coterie.nn.pretrained import build, open_pretrained
from coterie.nn.pretrained.state_dicts import encoder_weights, fit, recognise

Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    """A large and a small ResNet-18 whose batch norms have seen something."""
    made = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name in ("resnet18", "resnet18-small"):
            network = build_backbone(name, channels=3, side=32).train()
            network(torch.rand(4, 3, 32, 32))
            made[name] = network.eval()
    return made


def numbered(network: nn.Module, *, small: bool) -> Weights:
    """The names of a `Sequential` of the network's parts, as the reference saves its encoders."""
    parts = [network.conv1, network.bn1, nn.ReLU(), *([] if small else [nn.MaxPool2d(2)])]
    parts += [network.layer1, network.layer2, network.layer3, network.layer4, nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return dict(nn.Sequential(*parts).state_dict())


def prefixed(prefix: str, weights: Weights) -> Weights:
    return {f"{prefix}{name}": value.clone() for name, value in weights.items()}


def head(name: str) -> Weights:
    return prefixed(f"{name}.", dict(nn.Sequential(nn.Linear(512, 8), nn.BatchNorm1d(8)).state_dict()))


def same(path: Path, network: nn.Module, *, side: int) -> None:
    state = torch.get_rng_state()
    opened = open_pretrained(str(path))
    assert torch.equal(state, torch.get_rng_state())
    assert opened.side == side
    assert opened.mean == (0.485, 0.456, 0.406)
    images = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(opened.backbone(images), network(images))
    assert [*build(opened.architecture).state_dict()] == [*network.state_dict()]


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_torchvisions(suffix: str, networks: dict[str, nn.Module], tmp_path: Path) -> None:
    weights = {**networks["resnet18"].state_dict(), "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    path = tmp_path / f"resnet18.{suffix}"
    safetensors.torch.save_file(weights, path) if suffix == "safetensors" else torch.save(weights, path)
    same(path, networks["resnet18"], side=224)


def test_files_of_old_torch_do_not_count_batches(networks: dict[str, nn.Module], tmp_path: Path) -> None:
    weights = {k: v for k, v in networks["resnet18"].state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(weights, tmp_path / "old.pth")
    same(tmp_path / "old.pth", networks["resnet18"], side=224)


@pytest.mark.parametrize("name", ["resnet18", "resnet18-small"])
@pytest.mark.parametrize(
    ("online", "target"),
    [
        ("encoder_q.", "encoder_k."),  # BYOL and ProPos
        ("module.encoder_q.", "module.encoder_k."),
        ("encoder_q.0.", "encoder_k.0."),  # MoCo and PCL
        (None, "encoder_q."),
        (None, "backbone."),  # SimSiam
        (None, "encoder.0."),  # SimCLR
        (None, "encoder."),  # CC
        (None, ""),  # what its script for linear evaluation extracts
    ],
)
def test_the_references_names(name: str, online: str | None, target: str, networks: dict[str, nn.Module]) -> None:
    weights = numbered(networks[name], small=name.endswith("small"))
    held = prefixed(target, weights) | head("projector_k") | head("predictor")
    if online is not None:  # The target network's is the one whose embeddings are clustered.
        held |= prefixed(online, {key: value + 1 for key, value in weights.items()})
    found, wanted = encoder_weights(held, "file"), networks[name].state_dict()
    assert recognise(found, "file") == name
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize(("name", "inside"), [("resnet18", None), ("resnet18-small", "byol")])
def test_the_references_files(name: str, inside: str | None, networks: dict[str, nn.Module], tmp_path: Path) -> None:
    held = prefixed("encoder_k.", numbered(networks[name], small=name.endswith("small")))
    path = tmp_path / "byol-1000"
    torch.save({inside: held, "epoch": 1000} if inside else held, path)
    same(path, networks[name], side=0 if name.endswith("small") else 224)


def test_bottlenecks_and_grey_images(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        network = build_backbone("resnet50", channels=1, side=32).eval()
    torch.save(network.state_dict(), tmp_path / "grey.pth")
    opened = open_pretrained(str(tmp_path / "grey.pth"), side=64)
    assert (opened.channels, opened.side, opened.architecture.name) == (1, 64, "resnet50")
    assert opened.mean == pytest.approx((0.449,), abs=1e-3)


def load(weights: Weights) -> None:
    found = encoder_weights(weights, "file")
    name = recognise(found, "file")
    fit(build_backbone(name, 3, 32), found, f"file looks like a {name}")


def refused(weights: Weights) -> str:
    with pytest.raises(UsageError) as caught:
        load(weights)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_does_not_fit_is_named(networks: dict[str, nn.Module], tmp_path: Path) -> None:
    whole = dict(networks["resnet18"].state_dict())
    less = {name: value for name, value in whole.items() if not name.startswith("layer4.1.bn")}
    lacking = refused(less)
    assert lacking.startswith("file looks like a resnet18, but lacks layer4.1.bn1.weight, layer4.1.bn1.bias, ")
    assert "and 5 more" in lacking
    assert "has no place for layer1.0.se.weight" in refused({**whole, "layer1.0.se.weight": torch.ones(1)})
    wide = {**whole, "layer1.0.conv1.weight": torch.zeros(128, 64, 3, 3)}
    assert "layer1.0.conv1.weight is (128, 64, 3, 3) and not (64, 64, 3, 3)" in refused(wide)
    short = {name: value for name, value in whole.items() if not name.startswith("layer4.1.")}
    assert "2·2·2·1 blocks; coterie knows ResNet-18, 34 and 50" in refused(short)
    assert "no ResNet in a known layout (it holds blocks.0.weight" in refused({"blocks.0.weight": torch.ones(1)})
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UsageError, match="holds no state dict"):
        open_pretrained(str(tmp_path / "list.pth"))


class Hostile:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (str(self.path), "w")


def test_pickles_are_refused(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    torch.save({"state_dict": {}, "opt": Hostile(ran)}, tmp_path / "saved.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Hostile(ran), protocol=2))
    for name in ("saved.pth", "plain.pth"):
        with pytest.raises(UsageError, match="pickled objects"):
            open_pretrained(str(tmp_path / name))
    assert not ran.exists()


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file of weights .*nowhere\.pth"):
        open_pretrained(str(tmp_path / "nowhere.pth"))
    for suffix in ("pth", "safetensors"):
        (tmp_path / f"cut.{suffix}").write_bytes(b"PK\x03\x04 rubbish")
        with pytest.raises(CoterieError, match="cannot be read as weights"):
            open_pretrained(str(tmp_path / f"cut.{suffix}"))
