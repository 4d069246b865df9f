from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import miniatures
from coterie.cli import main


@pytest.fixture
def run(tmp_path: Path, photo_folder: Path) -> Path:
    command = ["fit", str(photo_folder), "-k", "2", "--epochs", "1", "--size", "16", "--set", "hidden=16", "--quiet"]
    assert main([*command, "--set", "projection=8", "--set", "batch_size=12", "--out", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


def test_labels_from_folders_and_from_a_table_agree(
    run: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", str(run), str(photo_folder), "--labels-from-folders", "--quiet"]) == 0
    line = capsys.readouterr().out
    assert line.startswith("linear top-1 ")
    assert line.count("\n") == 1
    assert "(20 images learnt from, 4 held out, 2 classes)" in line
    keys = [row.split(",")[0] for row in (run / "assignments.csv").read_text().splitlines()[1:]]
    rows = [f"{key},{key.split('/')[0]}" for key in keys]
    (tmp_path / "labels.csv").write_text("\n".join(["key,label", *rows]))
    command = ["probe", str(run), str(photo_folder), "--labels", str(tmp_path / "labels.csv"), "--quiet", "--json"]
    assert main(command) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["tested"] == 4
    assert f"linear top-1 {scores['top1']:.4f}" in line


def test_without_labels_it_says_how_to_give_them(
    run: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", str(run), str(photo_folder), "--quiet"]) == 2
    assert "add --labels-from-folders, or a CSV by --labels" in capsys.readouterr().err
    np.savez(tmp_path / "one.npz", images=np.zeros((4, 16, 16, 3), np.uint8), labels=[0, 0, 0, 0])
    assert main(["probe", str(run), str(tmp_path / "one.npz"), "--quiet"]) == 2
    assert "at least two classes" in capsys.readouterr().err


def test_the_splits_of_a_download_and_a_recipes_protocol(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    miniatures.cifar10(tmp_path / "data", each=20)
    source = f"cifar10:{tmp_path / 'data'}"
    command = ["probe", str(run), f"{source}:train", "--quiet", "--json", "--test", f"{source}:test"]
    assert main([*command, "--recipe", "imagenet-propos", "--epochs", "2"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert (scores["trained"], scores["tested"], scores["classes"]) == (100, 20, 10)
    with pytest.raises(SystemExit):
        main([*command, "--held-out", "0.5"])
    assert main([*command, "--recipe", "imagenet-propo"]) == 2
    assert main([*command, "--optimizer", "adam"]) == 2
