"""A signal to any of several processes ends them all, with one word from the first; another number of them goes on."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dying
from coterie.cli import main
from launching import finish, free_port, start

SETTINGS = ["batch_size=20", "hidden=16", "projection=8", "warmup_epochs=1", "learning_rate=0.01"]


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    images = np.random.default_rng(0).integers(0, 60, (60, 8, 8, 3))
    for place in range(60):
        images[place, 2 * (place % 3) : 2 * (place % 3) + 3, :, place % 3] += 190
    np.savez(tmp_path / "pack.npz", images=images.astype(np.uint8))
    given = ["fit", str(tmp_path / "pack.npz"), "-k", "3", "--method", "propos", "--epochs", "4"]
    return [
        *given,
        "--device",
        "cpu",
        "--precision",
        "float32",
        "--quiet",
        *(part for setting in SETTINGS for part in ("--set", setting)),
    ]


def without_end(command: list[str]) -> list[str]:
    """The same, for so many epochs that a signal certainly comes before the last."""
    place = command.index("--epochs") + 1
    return [*command[:place], "40000", *command[place + 1 :]]


def check_stopped(ended: list[tuple[int, str]], code: int) -> None:
    """All with the signal's code; the first one says how to go on, the others nothing."""
    assert [each for each, _ in ended] == [code] * len(ended), ended
    assert ended[0][1].startswith("coterie: interrupted; go on with: coterie fit"), ended
    assert ended[0][1].count("\n") == 1, ended
    assert [said for _, said in ended[1:]] == [""] * (len(ended) - 1)


def table(run: Path) -> list[dict[str, str]]:
    with (run / "assignments.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_one_of_two_is_stopped_and_one_alone_goes_on(command: list[str], tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    check_stopped(finish(start([dying.__file__, "signal:1,15,2", *command, "--out", str(run)], 2)), 143)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    assert main([*command, "--out", str(whole)]) == 0
    assert main([*command, "--out", str(run), "--resume"]) == 0
    for ours, theirs in zip(table(run), table(whole), strict=True):
        assert (ours["key"], ours["cluster"], ours["outlier"]) == (theirs["key"], theirs["cluster"], theirs["outlier"])
        assert float(ours["confidence"]) == pytest.approx(float(theirs["confidence"]), abs=5e-3)
    np.testing.assert_allclose(np.load(run / "embeddings.npy"), np.load(whole / "embeddings.npy"), atol=5e-3)


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("reached", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("stage", ["reading", "learning"])
def test_whoever_is_reached_and_wherever(
    command: list[str], tmp_path: Path, number: int, reached: tuple[int, ...], stage: str
) -> None:
    """From outside, at a moment nobody chose; ten thousand files take a while to read."""
    run = tmp_path / "run"
    if stage == "reading":
        folder = tmp_path / "photos"
        folder.mkdir()
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8)).save(folder / "0.png")
        for place in range(1, 10_000):
            os.link(folder / "0.png", folder / f"{place}.png")
        command[1] = str(folder)
    arguments = ["-m", "coterie", *without_end(command), "--out", str(run)]
    running = start(arguments, 2)
    awaited = run / ("config.yaml" if stage == "reading" else "metrics.jsonl")
    while not awaited.is_file():
        assert [process.poll() for process in running] == [None, None]
        time.sleep(0.05)
    time.sleep(1)
    for rank in reached:
        running[rank].send_signal(number)
    check_stopped(finish(running), 128 + number)
    assert (run / "metrics.jsonl").is_file() == (stage == "learning")


@pytest.mark.soak
def test_torchrun_passes_a_signal_on(command: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={free_port()}", "-m",
         "coterie", *without_end(command), "--out", str(run)],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (run / "metrics.jsonl").is_file():
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert said.count("interrupted; go on with: coterie fit") == 1, said
    assert "another process of this run is gone" not in said
