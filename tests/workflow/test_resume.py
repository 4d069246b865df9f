"""Killed at any epoch and resumed, a run ends in the same assignments to the byte."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import dying
from coterie.cli import main
from coterie.files import is_partial


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (120, 12, 12, 3), dtype=np.uint8)
    np.savez(tmp_path / "pack.npz", images=images)
    settings = ["epochs=6", "warmup_epochs=1", "hidden=16", "projection=8", "batch_size=40"]
    return ["fit", str(tmp_path / "pack.npz"), "-k", "3", "--method", "propos", "--device", "cpu", "--quiet"] + [
        part for setting in settings for part in ("--set", setting)
    ]


def striped(folder: Path) -> Path:
    """Three hundred noisy images of three kinds, 12 pixels wide."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 90, (300, 12, 12, 3))
    for place in range(300):
        images[place, 4 * (place % 3) : 4 * (place % 3) + 4, :, place % 3] += 120
    np.savez(folder / "striped.npz", images=images.astype(np.uint8))
    return folder / "striped.npz"


def killed(place: str, command: list[str], run: Path) -> None:
    """A run, resumed if there is one, that dies where it is told to."""
    code = subprocess.run([sys.executable, dying.__file__, place, *command, "--out", str(run), "--resume"], check=False)
    assert code.returncode == -signal.SIGKILL, f"{place}: ended with {code.returncode}"


def same_results(one: Path, other: Path) -> None:
    """Byte for byte."""
    for name in ("assignments.csv", "embeddings.npy", "model/model.safetensors", "config.yaml"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    epochs = [[json.loads(line)["epoch"] for line in (run / "metrics.jsonl").open()] for run in (one, other)]
    assert epochs[0] == epochs[1] == sorted(set(epochs[0]))
    assert not [path for path in one.rglob("*") if is_partial(path)]


def test_killed_in_the_e_step_in_the_checkpoint_and_among_the_results(command: list[str], tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert main([*command, "--out", str(whole)]) == 0
    for place in ("e-step:2", "checkpoint:1", "results:1"):
        killed(place, command, run)
    assert main([*command, "--out", str(run), "--resume"]) == 0
    same_results(run, whole)


# Places of tests/dying.py, with how many kills there are at each.
INSIDE = {"checkpoint": 8, "rename": 2, "e-step": 6, "embedding": 5, "metrics": 2, "step": 3}


@pytest.mark.soak
def test_killed_fifty_times(tmp_path: Path) -> None:
    """At certain places in an order drawn from a seed, and at random times; the last ones while results are written."""
    settings = ["epochs=360", "warmup_epochs=20", "hidden=32", "projection=16", "batch_size=60", "embed_batch=100"]
    command = ["fit", str(striped(tmp_path)), "-k", "3", "--method", "propos", "--device", "cpu", "--quiet"]
    command += [part for setting in settings for part in ("--set", setting)]
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert main([*command, "--out", str(whole)]) == 0
    draw = random.Random(0)
    places = [f"{place}:{draw.randint(1, 4)}" for place, kills in INSIDE.items() for _ in range(kills)]
    places += [f"after:{draw.uniform(0, 0.5):.3f}" for _ in range(14)]
    places += [f"start:{draw.uniform(0, 2):.3f}" for _ in range(5)]
    draw.shuffle(places)
    places = ["reading:1", *places, *(f"results:{stage}" for stage in (1, 2, 3, 4))]
    assert len(places) == 50
    began = []
    for place in places:
        killed(place, command, run)
        began.append(len((run / "metrics.jsonl").read_bytes().splitlines()) if (run / "metrics.jsonl").is_file() else 0)
    assert main([*command, "--out", str(run), "--resume"]) == 0
    same_results(run, whole)
    print(f"\n{len(places)} kills survived, with {began} epochs in the table of metrics after each")


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


def test_stopped_from_outside(command: list[str], tmp_path: Path) -> None:
    arguments = [*command, "--set", "epochs=4000", "--out", str(tmp_path / "run")]
    process = subprocess.Popen([sys.executable, "-m", "coterie", *arguments], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (tmp_path / "run" / "metrics.jsonl").is_file():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert errors.startswith("coterie: interrupted; go on with: coterie fit")
    assert errors.count("\n") == 1
