"""Killed at any epoch and resumed, a run ends in the same assignments to the byte."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from coterie.cli import main


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (120, 12, 12, 3), dtype=np.uint8)
    np.savez(tmp_path / "pack.npz", images=images)
    settings = ["epochs=6", "warmup_epochs=1", "hidden=16", "projection=8", "batch_size=40"]
    return ["fit", str(tmp_path / "pack.npz"), "-k", "3", "--device", "cpu", "--quiet"] + [
        part for setting in settings for part in ("--set", setting)
    ]


def kill_after(command: list[str], run: Path, epochs: int) -> None:
    """Start a run and kill it as soon as it has finished some epochs."""
    process = subprocess.Popen([sys.executable, "-m", "coterie", *command, "--out", str(run)])
    metrics = run / "metrics.jsonl"
    while process.poll() is None:
        if metrics.is_file() and len(metrics.read_bytes().splitlines()) >= epochs:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    process.wait()


@pytest.mark.parametrize("epochs", [1, 3, 6])
def test_killed_and_resumed(command: list[str], tmp_path: Path, epochs: int) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main([*command, "--out", str(whole)]) == 0
    kill_after(command, killed, epochs)
    assert main([*command, "--out", str(killed), "--resume"]) == 0
    assert (killed / "assignments.csv").read_bytes() == (whole / "assignments.csv").read_bytes()
    assert np.array_equal(np.load(killed / "embeddings.npy"), np.load(whole / "embeddings.npy"))
    assert [line.split(b",")[0] for line in (killed / "metrics.jsonl").read_bytes().splitlines()] == [
        b'{"epoch": %d' % epoch for epoch in range(1, 7)
    ]


def test_resume_without_a_run_starts_one(command: list[str], tmp_path: Path) -> None:
    assert main([*command, "--out", str(tmp_path / "run"), "--resume"]) == 0
    assert (tmp_path / "run" / "summary.json").is_file()


def test_the_same_command_resumes_whatever_it_sets(tmp_path: Path, command: list[str]) -> None:
    """Settings that are adapted to one another, as the warm-up to the epochs, are no difference."""
    (tmp_path / "mine.yaml").write_text("method: propos\ntrain: {epochs: 60, warmup_epochs: 12, batch_size: 5000}")
    given = ["fit", command[1], "-k", "3", "--recipe", str(tmp_path / "mine.yaml"), "--epochs", "5", "--quiet"]
    given += ["--set", "hidden=16", "--set", "projection=8", "--out", str(tmp_path / "run")]
    assert main(given) == 0
    (tmp_path / "run" / "summary.json").unlink()
    assert main([*given, "--resume"]) == 0
    assert main(["fit", command[1], "--out", str(tmp_path / "run"), "--resume", "--quiet"]) == 0
    assert main([*given, "--set", "hidden=17", "--resume"]) == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_from_outside(command: list[str], tmp_path: Path, number: int, code: int) -> None:
    arguments = [*command, "--set", "epochs=4000", "--out", str(tmp_path / "run")]
    process = subprocess.Popen([sys.executable, "-m", "coterie", *arguments], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (tmp_path / "run" / "metrics.jsonl").is_file():
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == code, errors
    assert errors.startswith("coterie: interrupted; go on with: coterie fit")
    assert errors.count("\n") == 1
