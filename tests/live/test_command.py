"""`coterie open` as a command: what it prints, how it ends, and what it refuses."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from coterie.cli import main
from coterie.data.sources.arrays import ArraySource
from small import finished_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    return finished_run(tmp_path / "run", ArraySource(images), np.arange(8) % 2)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
def test_it_prints_the_address_serves_the_page_and_ends_cleanly(run: Path) -> None:
    command = [sys.executable, "-m", "coterie", "open", str(run), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert "8 images in 2 groups" in answer.read().decode()
        finally:
            process.send_signal(signal.SIGINT)
            further, words = process.communicate(timeout=60)
    assert (process.returncode, further) == (0, "")
    assert words == "the page saves into the run; Ctrl-C ends it\n"
    assert not (run / "lock").exists()


def test_it_refuses_in_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "summary.json").rename(tmp_path / "summary.json")
    for words in ([str(run)], [str(tmp_path)]):
        assert main(["open", *words, "--no-browser"]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    (tmp_path / "summary.json").rename(run / "summary.json")
    assert main(["open", str(run), "--port", "99999", "--no-browser"]) == 2
    assert "--port 99999 cannot be used" in capsys.readouterr().err
