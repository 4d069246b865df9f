"""What gives out under a run, and that the run goes on once it is there again."""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from coterie.cli import main
from coterie.data.sources import local
from coterie.train.loop import Epoch, Loop
from coterie.workflow.steps.observer import Observer

QUICK = ["--epochs", "3", "--device", "cpu", "--set", "hidden=16", "--set", "projection=8", "--set", "batch_size=20"]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    pack = tmp_path_factory.mktemp("source") / "pack.npz"
    np.savez(pack, images=np.random.default_rng(0).integers(0, 255, (60, 8, 8), dtype=np.uint8))
    return ["fit", str(pack), "-k", "3", *QUICK, "--quiet"]


@pytest.fixture(scope="module")
def whole(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert main([*command, "--out", str(run)]) == 0
    return run


def goes_on(command: list[str], run: Path, whole: Path) -> None:
    """From the first epoch, to the same end."""
    assert torch.load(run / "checkpoint.pt", weights_only=True)["epochs"] == 1
    assert main([*command, "--out", str(run), "--resume"]) == 0
    assert (run / "assignments.csv").read_bytes() == (whole / "assignments.csv").read_bytes()


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line a run fails with."""
    assert main(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_memory_gives_out(
    command: list[str], tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What else gives out is told apart in tests/test_failures.py."""
    run, step = tmp_path / "run", Loop.step

    def failing(loop: Loop, views: Any, batch: Any, rate: float) -> Any:
        if batch.progress.step == 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB.")
        return step(loop, views, batch, rate)

    monkeypatch.setattr(Loop, "step", failing)
    line = told([*command, "--out", str(run)], capsys)
    assert "out of GPU memory (2.50 GiB more were wanted): a new run takes less with train.accumulate=2" in line
    assert line.endswith("--resume")
    monkeypatch.undo()
    goes_on(command, run, whole)


def after_epoch(number: int, what: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something once the epoch is saved."""
    call = Observer.__call__

    def then(observer: Observer, epoch: Epoch) -> None:
        call(observer, epoch)
        if epoch.number + 1 == number:
            what()

    monkeypatch.setattr(Observer, "__call__", then)


def test_a_file_the_system_refuses_to_let_grow(
    command: list[str],
    tmp_path: Path,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The checkpoint is half written when it is refused, as on a full disk."""
    run, (soft, hard) = tmp_path / "run", resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (whole / "checkpoint.pt").stat().st_size
    after_epoch(1, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard)), monkeypatch)
    try:
        line = told([*command, "--out", str(run)], capsys)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "checkpoint.pt could not be written: the disk or the system allows no file of that size; then go on" in line
    monkeypatch.undo()
    goes_on(command, run, whole)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, where this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(
    command: list[str], disk: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = disk / "run"

    def fill() -> None:
        with (disk / "filler").open("wb", buffering=0) as stream:
            while stream.write(bytes(4096)) == 4096:
                pass

    def fill_up() -> None:
        with pytest.raises(OSError, match="No space left"):
            fill()

    after_epoch(1, fill_up, monkeypatch)
    line = told([*command, "--out", str(run)], capsys)
    assert "could not be written: the disk is full: free some room; then go on with: coterie fit" in line
    monkeypatch.undo()
    (disk / "filler").unlink()
    goes_on(command, run, whole)


def test_a_disk_that_becomes_read_only(
    command: list[str], disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)

    after_epoch(1, lambda: remount("ro"), monkeypatch)
    line = told([*command, "--out", str(disk / "run")], capsys)
    assert "the disk is read-only" in line
    monkeypatch.undo()
    line = told([*command, "--out", str(disk / "other")], capsys)
    assert line.endswith("other cannot be made: the disk is read-only: make it writable, or give another place")
    remount("rw")
    assert main([*command, "--out", str(disk / "run"), "--resume"]) == 0


def test_images_that_changed_are_named(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pack, images = Path(command[1]), np.load(command[1])["images"]

    after_epoch(1, lambda: os.kill(os.getpid(), signal.SIGTERM), monkeypatch)
    assert main([*command, "--out", str(tmp_path / "run")]) == 143
    monkeypatch.undo()
    assert capsys.readouterr().err.startswith("coterie: interrupted; go on with: coterie fit")
    changed = images.copy()
    changed[7] = 255 - changed[7]
    np.savez(pack, images=changed)
    try:
        line = told([*command, "--out", str(tmp_path / "run"), "--resume"], capsys)
    finally:
        np.savez(pack, images=images)
    assert "1 image changed (000007); restore them to go on, or give another --out" in line
    assert main([*command, "--out", str(tmp_path / "run"), "--resume"]) == 0
    assert (tmp_path / "run" / "checksums.txt").is_file()


def test_a_folder_that_goes_while_it_is_read(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    away, decode, times = tmp_path / "away", local.decode_file, itertools.count()

    def decode_file(path: Path, side: int, scale: Any) -> Any:
        if side == 16 and next(times) == 7:
            photo_folder.rename(away)
        return decode(path, side, scale)

    monkeypatch.setattr(local, "decode_file", decode_file)
    given = ["fit", str(photo_folder), "-k", "2", *QUICK, "--size", "16", "--out", str(tmp_path / "run"), "--quiet"]
    line = told(given, capsys)
    assert "photos was deleted or unmounted while it was read: bring it back; then go on with: coterie fit" in line
    away.rename(photo_folder)
    assert main([*given, "--resume"]) == 0
    assert len((tmp_path / "run" / "assignments.csv").read_text().splitlines()) == 25


def test_a_folder_that_goes_during_the_run(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All was read, so that the run ends well; only the page lacks pictures."""
    after_epoch(1, lambda: shutil.rmtree(photo_folder), monkeypatch)
    assert main(["fit", str(photo_folder), "-k", "2", *QUICK, "--size", "16", "--out", str(tmp_path / "run")]) == 0
    assert "can no longer be read, so the page has no pictures" in capsys.readouterr().err
    assert len((tmp_path / "run" / "assignments.csv").read_text().splitlines()) == 25
