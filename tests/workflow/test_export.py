"""`coterie export` as a person gives it: what it writes, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import small
from coterie import Clusterer
from coterie.cli import main


@pytest.fixture
def saved(tmp_path: Path, blobs: tuple) -> Path:
    options = {"train.batch_size": 20, **small.options("simclr")}
    Clusterer(3, method="simclr", epochs=1, options=options, device="cpu").fit(blobs[0]).save(tmp_path / "saved")
    return tmp_path / "saved"


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["export", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_several_at_once(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    out = [str(tmp_path / name) for name in ("coco.json", "labels.json", "backbone.safetensors", "card")]
    command = ["export", str(saved), "--coco", out[0], "--fiftyone", out[1], "--safetensors", out[2], "--hub", out[3]]
    assert main([*command, "--onnx"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(any(line.startswith(f"{path}: ") for line in captured.err.splitlines()) for path in out)
    assert (saved / "model.onnx").is_file()
    assert main([*command, "--onnx", "--force", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_nothing_is_written_over(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "mine.json"
    taken.write_text("mine")
    command = [str(saved), "--fiftyone", str(tmp_path / "labels.json"), "--coco", str(taken)]
    assert "mine.json exists already: add --force" in refused(command, capsys)
    assert taken.read_text() == "mine"
    assert not (tmp_path / "labels.json").exists()
    assert main(["export", *command, "--force", "--quiet"]) == 0
    assert taken.read_text() != "mine"


def test_how_it_refuses(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = str(saved), str(tmp_path / "out.json")
    (tmp_path / "empty").mkdir()
    says = {
        "say what to export to: --atlas, --coco": [run],
        "is not a run": [str(tmp_path / "empty"), "--coco", out],
        "--push uploads what --hub FOLDER writes": [run, "--coco", out, "--push", "me/groups"],
        "did you mean 'uint8'": [run, "--coco", out, "--pixels", "int8"],
        "the same place": [run, "--coco", out, "--fiftyone", out],
        "is a folder: give another name": [run, "--coco", str(tmp_path), "--force"],
        "is a file: give another name": [run, "--hub", str(saved / "assignments.csv"), "--force"],
        "there is no folder": [run, "--coco", str(tmp_path / "none" / "out.json")],
    }
    for words, command in says.items():
        assert words in refused(command, capsys)
        assert not (tmp_path / "out.json").exists()


def test_an_unfinished_run(tmp_path: Path, blobs: tuple, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "pack.npz", images=blobs[0])
    command = ["fit", str(tmp_path / "pack.npz"), "-k", "3", "--epochs", "1", "--set", "hidden=16", "--quiet"]
    assert main([*command, "--method", "simclr", "--out", str(tmp_path / "run")]) == 0
    (tmp_path / "run" / "summary.json").unlink()
    assert "is not finished" in refused([str(tmp_path / "run"), "--coco", str(tmp_path / "out.json")], capsys)


def test_an_unknown_format_in_python(saved: Path, tmp_path: Path) -> None:
    from coterie import UsageError, load

    with pytest.raises(UsageError, match="unknown format 'onx': did you mean 'onnx'"):
        load(saved).export(onx=tmp_path / "model.onnx")
