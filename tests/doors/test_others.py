"""Doors beside those of commands: what a run can do without, what saves time, what processes hand each other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import intruders
from coterie.cli import main
from coterie.data.reading.cache import read_images
from coterie.data.reading.handout import take
from coterie.data.sources.local import FolderSource
from coterie.errors import CoterieError
from coterie.nn.pretrained import Architecture, build
from coterie.nn.pretrained.saved import load_backbone
from coterie.runs.folder import RunFolder
from coterie.runs.frames import Frames
from coterie.workflow.steps.look import _kept
from intruders import Place


def test_what_a_run_can_do_without_is_left_out(place: Place) -> None:
    for name in ("skipped.csv", "metrics.jsonl", "map.gif"):
        intruders.pickled(place.run / name, place.marker)
    intruders.npz(place.run / "frames.npz", place.marker, "epochs", "places")
    (place.run / "tracking.json").write_text("[" * 100_000)
    assert main(["report", "run", "--quiet"]) == 0
    assert main(["fit", "images.npz", "--out", "run", "--resume", "--quiet"]) == 0
    for line in ("[" * 100_000, '{"epoch": "x", "losses": {}}', '{"epoch": 1, "losses": 5}', '{"epoch": 1}', "3"):
        (place.run / "metrics.jsonl").write_text(f'{{"epoch": 1, "losses": {{"a": 0.5}}}}\n{line}\n')
        assert len(RunFolder(place.run).read_metrics()) == 1
    assert not place.marker.exists()


def test_what_was_kept_to_save_time_is_made_anew(
    place: Place, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _kept(intruders.npz(place.folder / "features.npz", place.marker, "features", "origin"), 0, 3) is None
    frames = intruders.npz(place.folder / "frames.npz", place.marker, "epochs", "places")
    assert Frames.resume(frames, np.zeros(3, dtype=bool), 9).places == {}
    monkeypatch.setenv("COTERIE_CACHE", str(place.folder / "cache"))
    monkeypatch.setattr("coterie.data.reading.cache._WORTH_SECONDS", 0.0)
    first, _ = read_images(FolderSource(photo_folder), 8)
    entry = next((place.folder / "cache").iterdir())
    intruders.npy(entry / "values.npy", place.marker)
    assert np.array_equal(read_images(FolderSource(photo_folder), 8)[0].images, first.images)
    assert not place.marker.exists()


def test_what_processes_hand_each_other(place: Place) -> None:
    (place.folder / "shared").mkdir()
    intruders.npy(place.folder / "shared" / "values.npy", place.marker)
    for about in ('{"kind": "images", "keys": []}', "[" * 100_000, '{"file": "/etc/passwd"}', "3"):
        (place.folder / "shared" / "about.json").write_text(about)
        with pytest.raises(CoterieError, match="cannot be read by this process"):
            take(place.folder / "shared")
    assert not place.marker.exists()


def test_backbones_that_a_model_brings(place: Place) -> None:
    folder = place.folder / "backbone"
    intruders.pickled(folder / "backbone.safetensors", place.marker)
    settings = {"channels": 3, "side": 32}
    for library, name, more in (
        ("coterie", "resnet18-small", {}),
        ("timm", "resnet18", {"checkpoint_path": str(folder / "backbone.safetensors")}),
        ("timm", "hf-hub:some/body", {}),
        ("timm", "local-dir:.", {}),
        ("elsewhere", "x", {}),
    ):
        architecture = {"library": library, "name": name, "settings": {**settings, **more}}
        about = {"name": "x", "architecture": architecture, "side": 32, "mean": [0.5] * 3, "deviation": [0.5] * 3}
        (folder / "backbone.json").write_text(json.dumps(about))
        with pytest.raises(CoterieError) as caught:
            load_backbone(folder)
        assert "\n" not in str(caught.value)
        if library == "timm":
            with pytest.raises(CoterieError, match="settings that coterie never writes"):
                build(Architecture(**architecture))
    assert not place.marker.exists()
