"""Malformed files among photographs: a fit goes on, and each that is left out is listed with its reason."""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import hostile
from coterie.cli import main
from coterie.text import printable

# All that a fit of ten thousand malformed files may take, with torch itself: the largest pictures that are taken at
# all take 1 GiB, one at a time.
_MOST_BYTES = 2 * 2**30


def command(root: Path, run: Path) -> list[str]:
    settings = ["hidden=16", "projection=8", "batch_size=40"]
    return ["fit", str(root), "-k", "3", "--epochs", "1", "--size", "16", "--device", "cpu", "--out", str(run)] + [
        part for setting in settings for part in ("--set", setting)
    ]


def check(made: hostile.Made, run: Path) -> tuple[int, int]:
    """Every file is either grouped or listed, as it must be; returns how many of each."""
    with (run / "assignments.csv").open(encoding="utf-8", newline="") as stream:
        grouped = [row["key"] for row in csv.DictReader(stream)]
    with (run / "skipped.csv").open(encoding="utf-8", newline="") as stream:
        skipped = {row["key"]: row["reason"] for row in csv.DictReader(stream)}
    good, bad, either = ({printable(key) for key in keys} for keys in (made.good, made.bad, made.either))
    assert good <= set(grouped)
    assert bad <= skipped.keys()
    assert either <= skipped.keys() | set(grouped)
    assert not skipped.keys() & set(grouped)
    assert len(set(grouped)) == len(grouped)
    assert all(skipped.values())
    return len(grouped), len(skipped)


def test_two_hundred_malformed_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = hostile.fill(tmp_path / "photos", seed=0, malformed=200, good=40, depth=60)
    assert main([*command(tmp_path / "photos", tmp_path / "run"), "--quiet"]) == 0
    grouped, skipped = check(made, tmp_path / "run")
    assert grouped >= 41
    assert skipped >= 100
    assert "Warning" not in capfd.readouterr().err


@pytest.mark.soak
def test_ten_thousand_malformed_files(tmp_path: Path) -> None:
    root, run = tmp_path / "photos", tmp_path / "run"
    try:
        made = hostile.fill(root, seed=1, malformed=10_000, good=200, depth=3000)
        process = subprocess.Popen([sys.executable, "-m", "coterie", *command(root, run)], stderr=subprocess.PIPE)
        said = process.stderr.read() if process.stderr else b""
        assert process.wait(timeout=3600) == 0, said.decode(errors="replace")[-2000:]
        grouped, skipped = check(made, run)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        print(f"\n10 000 malformed files and {len(made.good)} good: {grouped} grouped, {skipped} left out", end=", ")
        print(f"at most {peak / 1e9:.2f} GB")
        assert peak < _MOST_BYTES
    finally:
        # Deeper than shutil.rmtree can go, which recurses.
        subprocess.run(["rm", "-rf", os.fspath(root)], check=False)
