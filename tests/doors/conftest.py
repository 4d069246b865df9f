"""A run in a folder of its own, for every test to spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import intruders
from coterie.cli import main
from intruders import Place


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images.npz and a finished run on it, called run."""
    here = tmp_path_factory.mktemp("doors")
    rng, kinds = np.random.default_rng(0), np.arange(40) % 2
    images = rng.integers(0, 40, (40, 8, 8))
    images[kinds == 0, :3] += 200
    images[kinds == 1, 5:] += 200
    np.savez(here / "images.npz", images=images.astype(np.uint8), labels=kinds)
    intruders.grown(here / "bomb", 17 << 24)
    arguments = [
        "fit",
        str(here / "images.npz"),
        "-k",
        "2",
        "--method",
        "propos",
        "--epochs",
        "1",
        "--out",
        str(here / "run"),
        "--quiet",
    ]
    settings = ["hidden=16", "projection=8", "batch_size=20"]
    assert main(arguments + [part for one in settings for part in ("--set", one)]) == 0
    return here


@pytest.fixture
def place(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)  # What a hostile name would import from.
    return Place(tmp_path)
