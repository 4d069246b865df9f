from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dying
from coterie.cli import main
from coterie.plan.recipes import recipe
from coterie.runs.reproduction import kept_runs
from coterie.workflow import reproduce as module
from miniatures import cifar10

SETTINGS = ("backbone=convnet-small", "epochs=2", "warmup_epochs=1", "hidden=16", "projection=8", "batch_size=20",
            "data.side=8")  # fmt: skip
FILES = ("reproduction.json", "reproduction.md", "curves.png")


@pytest.fixture
def command(tmp_path: Path, blobs: tuple) -> list[str]:
    np.savez(tmp_path / "pack.npz", images=blobs[0], labels=blobs[1])
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    return [
        "reproduce",
        "cifar10-propos",
        "--data",
        str(tmp_path / "pack.npz"),
        "--device",
        "cpu",
        "--quiet",
        *settings,
    ]


def scores(out: Path) -> list[dict[str, float]]:
    return [run["scores"] for run in json.loads((out / "reproduction.json").read_text())["runs"]]


def test_beside_the_paper(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main([*command, "--seeds", "2", "--out", str(out)]) == 0
    told = capsys.readouterr().out
    found = json.loads((out / "reproduction.json").read_text())
    paper, ours = found["paper"]["scores"], found["ours"]
    assert paper == dict(recipe("cifar10-propos").reported)
    assert [run["seed"] for run in found["runs"]] == [0, 1]
    assert ours["acc"]["mean"] == pytest.approx(np.mean([run["acc"] for run in scores(out)]), abs=0.01)
    assert "deviation" in ours["acc"]
    for run in found["runs"]:
        own = json.loads((out / f"seed-{run['seed']}" / "evaluation.json").read_text())
        assert run["scores"]["acc"] == pytest.approx(100 * own["acc"], abs=0.01)
        assert run["machine"]["torch"]
    page = (out / "reproduction.md").read_text()
    for text in (told, page):
        assert f"{paper['acc']:.1f}" in text
        assert f"{ours['acc']['mean']:.1f} ± {ours['acc']['deviation']:.1f}" in text
    assert found["command"] in page
    assert "--seeds 2" in found["command"]
    before = {name: (out / name).read_bytes() for name in FILES}
    assert main([*command, "--seeds", "2", "--out", str(out), "--json"]) == 0
    assert {name: (out / name).read_bytes() for name in FILES} == before
    assert json.loads(capsys.readouterr().out) == found


def test_a_data_set_as_it_is_downloaded(command: list[str], tmp_path: Path) -> None:
    cifar10(tmp_path)
    given = [*command[:3], f"cifar10:{tmp_path}", *command[4:]]
    assert main([*given, "--seeds", "1", "--out", str(tmp_path / "out"), "--set", "clusters=3"]) == 0
    found = json.loads((tmp_path / "out" / "reproduction.json").read_text())
    assert found["asked"]["source"] == f"cifar10:{tmp_path}"
    assert f"--data cifar10:{tmp_path} " in found["command"]


def test_killed_in_the_second_seed_it_goes_on_there(command: list[str], tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert main([*command, "--seeds", "2", "--out", str(whole)]) == 0
    # Two epochs of three steps make a seed.
    code = subprocess.run([sys.executable, dying.__file__, "step:11", *command, "--seeds", "2", "--out", str(out)])
    assert code.returncode == -signal.SIGKILL
    assert len(scores(out)) == 1
    kept = (out / "seed-0" / "summary.json").stat().st_mtime_ns
    assert (out / "seed-1" / "checkpoint.pt").is_file()
    assert main([*command, "--seeds", "2", "--out", str(out)]) == 0
    assert (out / "seed-0" / "summary.json").stat().st_mtime_ns == kept
    assert scores(out) == scores(whole)
    for seed in ("seed-0", "seed-1"):
        assert (out / seed / "embeddings.npy").read_bytes() == (whole / seed / "embeddings.npy").read_bytes()


def test_linear_evaluation_where_the_paper_has_it(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "recipe", lambda name: replace(recipe(name), linear={"epochs": 2}))
    assert main([*command, "--seeds", "1", "--out", str(tmp_path / "out")]) == 0
    assert 0 <= scores(tmp_path / "out")[0]["top1"] <= 100
    assert "linear top-1" in capsys.readouterr().out


def test_bad_use_is_explained(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"

    def told(*more: str, given: list[str] = command) -> str:
        assert main([*given, "--out", str(out), *more]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        return lines[0]

    assert "--seeds must be at least 1" in told("--seeds", "0")
    assert "unknown recipe" in told(given=["reproduce", "cifar10-probos", *command[2:]])
    assert "learning_rat" in told("--set", "learning_rat=1")
    assert not out.exists()
    np.savez(tmp_path / "bare.npz", images=np.zeros((20, 8, 8), np.uint8))
    assert "knows no labels to evaluate by" in told(given=[*command[:3], str(tmp_path / "bare.npz"), *command[4:]])
    out.mkdir()
    (out / "letter.txt").write_text("mine")
    assert "is not a reproduction" in told()
    (out / "letter.txt").unlink()
    assert main([*command, "--seeds", "1", "--out", str(out)]) == 0
    capsys.readouterr()
    assert "was begun with minutes none, not 2" in told("--minutes", "2")


def test_a_record_that_cannot_be_read_is_made_anew(command: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main([*command, "--seeds", "1", "--out", str(out)]) == 0
    path = out / "reproduction.json"
    whole, measured = json.loads(path.read_text()), scores(out)
    run = whole["runs"][0]
    damaged = [{**run, "scores": {"acc": math.inf}}, {**run, "machine": 3}, {**run, "commit": ["x"]}, {"seed": 0}, 3]
    for text in ["[" * 100_000, "[]", *(json.dumps({**whole, "runs": [each]}) for each in damaged)]:
        path.write_text(text)
        assert kept_runs(path, whole["asked"]) == {}
    assert main([*command, "--seeds", "1", "--out", str(out)]) == 0
    assert scores(out) == measured
