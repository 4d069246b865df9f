"""The plan of a run: every setting with its origin, nothing written, and two plans compared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from coterie.cli import main
from coterie.methods import method_names
from coterie.plan import Request, plan

TINY = ("hidden=16", "projection=8", "batch_size=20")


def refused(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    capsys.readouterr()
    assert main([*command, "--quiet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_every_setting_has_an_origin(photo_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("method: propos\ntrain: {epochs: 30, warmup_epochs: 3}\naugment: {flip: 0.0}")
    recipe = str(tmp_path / "mine.yaml")
    wanted = Request(str(photo_folder), 2, recipe=recipe, settings=("crop=[0.3, 1.0]", *TINY), epochs=10, device="cpu")
    settings = {name: (value, origin) for name, value, origin in plan(wanted).settings()}
    assert settings["train.epochs"] == (10, "you")
    assert settings["train.warmup_epochs"] == (1, "in proportion to the epochs")
    assert settings["augment.crop"] == ([0.3, 1.0], "you")
    assert settings["augment.flip"] == (0.0, f"recipe {recipe}")
    assert settings["options.temperature"] == (0.5, "method propos")
    assert settings["precision"][1] == "this machine"
    assert all(origin for _, origin in settings.values())
    alone = {
        name: origin for name, _, origin in plan(Request(str(photo_folder), 2, method="cc", device="cpu")).settings()
    }
    assert alone["train.epochs"] == "default: 24 images on a CPU"
    assert alone["train.optimizer"] == "method cc"
    assert alone["train.batch_size"] == "no more than the 24 images"
    assert alone["data.side"] == "default: images of 20 pixels"


def test_the_verb_writes_nothing(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    asked = ["plan", str(photo_folder), "-k", "2", "--epochs", "3", *(p for s in TINY for p in ("--set", s))]
    assert main([*asked, "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "train.epochs" in printed
    assert "takes about" in printed
    assert main([*asked, "--json", "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["settings"]["train.epochs"] == {"value": 3, "from": "you"}
    assert told["images"] == 24
    assert min(told["estimate"].values()) > 0
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("method", method_names())
def test_any_method_can_be_estimated(method: str, blobs: tuple, tmp_path: Path) -> None:
    import small

    settings = tuple(f"{name}={value}" for name, value in small.options(method).items())
    pack = small.source(method, blobs[0], tmp_path / "pack.npz")
    found = plan(Request(str(pack), 3, method=method, settings=settings, device="cpu")).estimate
    assert found.seconds >= 0
    assert found.memory > 10**8
    assert found.disk > 10**6


def test_a_run_and_the_plan_it_is_resumed_by_are_compared(
    photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["fit", str(photo_folder), "-k", "2", "--out", str(tmp_path / "run"), "--epochs", "2"]
    command += [part for setting in TINY for part in ("--set", setting)]
    assert main([*command, "--quiet"]) == 0
    line = refused(capsys, *command, "--resume", "--epochs", "4", "--set", "hidden=32")
    assert "was started with options.hidden 16, not 32" in line
    assert "train.epochs 2, not 4" in line
    assert "cannot form 30 clusters" in refused(capsys, "plan", str(photo_folder), "-k", "30")


def test_a_run_is_a_source_of_features(photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, again = tmp_path / "run", tmp_path / "again"
    command = ["--epochs", "2", *(part for setting in TINY for part in ("--set", setting)), "--labels-from-folders"]
    assert main(["fit", str(photo_folder), "-k", "2", "--out", str(run), *command, "--quiet"]) == 0
    kmeans = ["-k", "3", "--method", "kmeans", "--set", "axes=0", "--out", str(again)]
    assert main(["fit", str(run), *kmeans, "--quiet"]) == 0
    np.testing.assert_allclose(np.load(again / "embeddings.npy"), np.load(run / "embeddings.npy"), atol=1e-6)
    rows = [
        [line.split(",")[place] for line in (path / "assignments.csv").read_text().splitlines()]
        for path in (run, again)
        for place in (0, -1)
    ]
    assert rows[0] == rows[2]
    assert rows[1] == rows[3]  # The labels come along.
    (run / "summary.json").unlink()
    assert "is not finished" in refused(capsys, "choose-k", str(run))


def test_features_are_shared_by_runs_on_the_same_images(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from coterie.workflow.steps import look

    command = ["--epochs", "2", *(part for setting in TINY for part in ("--set", setting))]
    assert main(["fit", str(photo_folder), "-k", "2", "--out", str(tmp_path / "run"), *command, "--quiet"]) == 0
    monkeypatch.setenv("COTERIE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(look, "_WORTH_SECONDS", 0.0)
    kmeans = ["fit", str(photo_folder), "--method", "kmeans", "--backbone", str(tmp_path / "run")]
    assert main([*kmeans, "-k", "2", "--out", str(tmp_path / "two"), "--quiet"]) == 0

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(look, "_made", never)
    capsys.readouterr()
    assert main([*kmeans, "-k", "3", "--out", str(tmp_path / "three")]) == 0
    assert "features taken from the cache" in capsys.readouterr().err
    kept = [np.load(tmp_path / run / "features.npz", allow_pickle=False)["features"] for run in ("two", "three")]
    assert np.array_equal(*kept)


def test_a_folder_of_images_may_hold_a_configuration_of_its_own(photo_folder: Path) -> None:
    (photo_folder / "config.yaml").write_text("camera: old")
    assert plan(Request(str(photo_folder), 2, device="cpu")).outline.count == 24


def test_auto_is_what_is_chosen_where_no_method_is_named(photo_folder: Path) -> None:
    chosen = plan(Request(str(photo_folder), 2, method="auto", device="cpu", epochs=1))
    assert chosen.config == plan(Request(str(photo_folder), 2, device="cpu", epochs=1)).config
    assert chosen.origins["method"] != "you"
    assert plan(Request("digits", 10, recipe="digits", method="auto")).origins["method"] == "recipe digits"
